"""`manage.py rollout plan`, `simulate`, `history` and `explain`: what was, what is, what would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import Start
from rollout.django import driving
from tests.integration.rollout.commands import run, run_json
from tests.integration.rollout.staged import ONCE, TWELVE, staged, state

__all__ = ["staged"]
pytestmark = [pytest.mark.network, pytest.mark.usefixtures("staged")]


def test_the_plan_is_shown_with_its_drift(staged: dict[str, Any]) -> None:
    """Edited after the start: both are named, and lint judges the one in the settings."""
    run("start")
    edited = {**staged["ROLLOUT"], "PLAN": {"stages": [{"percentage": "100", "bake": "1m"}]}}
    with override_settings(ROLLOUT=edited):
        code, text = run("plan", "show")
        shown = run_json("plan", "show")[1]
        linted = run("plan", "lint")
        replanned = run("replan")
        after = run_json("plan", "show")[1]

    assert code == 0
    assert "drift: the settings have another plan" in text
    assert text.splitlines()[2].split()[:3] == ["1", "5", "%"]
    assert (shown["drift"], len(shown["pinned"]["stages"]), len(shown["written"]["stages"])) == (True, 3, 1)
    assert linted[0] == 0 and "shorter than the 5 minutes" in linted[1]
    assert (replanned[0], after["drift"]) == (0, False)


@ONCE
@pytest.mark.parametrize(
    ("text", "name", "code", "says"),
    [
        ('{"stages": [{"percentage": "100", "bake": "1h"}]}', "plan.json", 0, "nothing looks wrong"),
        ('stages = [{percentage = "100", bake = "1h"}]', "plan.toml", 0, "nothing looks wrong"),
        ('{"stages": [{"percentage": 1e2}]}', "plan.json", 1, "'1e2' is not allowed"),
        ('{"stagse": []}', "plan.json", 1, "stages"),
        ("{", "plan.json", 1, "no JSON"),
        (None, "plan.json", 1, "cannot be read"),
    ],
    ids=["json", "toml", "exponent", "misspelt", "broken", "missing"],
)
def test_a_plan_in_a_file_is_judged(
    tmp_path: Path, text: str | None, name: str, code: int, says: str
) -> None:
    """With the file and the place of what is wrong."""
    file = tmp_path / name
    if text is not None:
        file.write_text(text)

    ended, said = run("plan", "lint", str(file))

    assert ended == code
    assert says in said and str(file) in said


def test_history_shows_verifies_and_finds_what_was_cut_off() -> None:
    """The head is the one that the log was told."""
    run("start", "--reason", "go")
    run("pause", "--reason", "lunch")
    head = state().head

    code, text = run("history", "--limit", "1", "--head", head)
    cut = run_json("history", "--head", "0" * 64)
    whole = run_json("history", "--verify")

    assert code == 0
    assert "PAUSED 5 %" in text and "lunch" in text and "NOT_STARTED" not in text
    assert f"ends where the log says: head {head}" in text
    assert (cut[0], cut[1]["verified"]) == (1, False)
    assert (whole[0], whole[1]["head"], len(whole[1]["entries"])) == (0, head, 2)


def test_a_long_reason_is_cut_at_a_word_in_the_table_and_whole_for_programs() -> None:
    """A verdict's reason is longer than a line, and full of numbers."""
    reason = "391 of 391 deliveries arrived, " * 5
    run("start", "--reason", reason)

    _, text = run("history")
    _, whole = run_json("history")

    assert (
        "391 of 391 deliveries arrived, 391 of 391 deliveries arrived, 391 of 391 deliveries arrived, 391 of…"
        in text
    )
    assert whole["entries"][0]["reason"] == reason.strip()


def test_a_unit_is_explained_now_and_at_a_moment_of_the_past() -> None:
    """From the journal: in at 100 %, not before the start, not after the rollback."""
    before = driving.store().now()
    driving.runner().obey(Start(by=Actor(name="user:17", authenticated=True)))
    run("set", "100", "--yes", "--reason", "all")
    run("rollback", "--reason", "x")
    entries = driving.store().journal(driving.driving().flag)

    now = run_json("explain", "101")
    early = run_json("explain", "101", "--at", _iso(before - 1))
    code, text = run("explain", "101", "--at", _iso(entries[1].at + 0.0001))

    assert (now[0], now[1]["is_in"], now[1]["ceiling"]) == (0, False, "0")
    assert (early[1]["is_in"], early[1]["ceiling"], early[1]["state"]) == (False, "0", "NOT_STARTED")
    assert code == 0
    assert "101 was in. It stands at 15.4397 %; the ceiling was 100 %." in text
    assert "not in the journal" in text


def _iso(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat()


@ONCE
def test_a_past_that_lies_ahead_or_a_unit_that_is_none_is_refused() -> None:
    """With the reason."""
    ahead = run("explain", "101", "--at", "2999-01-01")
    nobody = run("explain", "", "--at", "1s")

    assert (ahead[0], nobody[0]) == (2, 1)
    assert "in the future" in ahead[1] and "no unit given" in nobody[1]


@ONCE
def test_a_plan_in_the_settings_that_is_none_is_named_and_the_pinned_one_shown(
    staged: dict[str, Any],
) -> None:
    """A person who broke the settings sees what is under way, and why nothing goes up; none at all is 4."""
    bad = {**staged["ROLLOUT"], "PLAN": {"stages": "none"}}
    none = {key: value for key, value in staged["ROLLOUT"].items() if key != "PLAN"}
    run("start")

    with override_settings(ROLLOUT=bad):
        linted = run("plan", "lint")
    with override_settings(ROLLOUT=none):
        pinned = run("plan", "show")
    with override_settings(ROLLOUT={**none, "DATABASE": None}):
        nothing = run("plan", "show")

    assert (linted[0], pinned[0], nothing[0]) == (1, 0, 4)
    assert 'ROLLOUT["PLAN"]' in linted[1] and "is not set" in nothing[1]
    assert 'drift: ROLLOUT["PLAN"]: is not set' in pinned[1]


@ONCE
def test_cohorts_are_judged_with_the_units_that_there_are(staged: dict[str, Any]) -> None:
    """Of twelve, 5 % is nobody; a callable that fails leaves the count out."""
    counted = {**staged["ROLLOUT"], "UNITS": TWELVE}
    broken = {**staged["ROLLOUT"], "UNITS": f"{TWELVE}.missing"}

    with override_settings(ROLLOUT=counted):
        linted = run("plan", "lint")[1]
        shown = run("plan", "show")[1]
    with override_settings(ROLLOUT=broken):
        without = run("plan", "lint")[1]

    assert "5 % of 12 is nobody" in linted
    assert "units in" in shown and shown.splitlines()[-1].split()[-1] == "12"
    assert "of 12" not in without


@ONCE
def test_an_entry_that_cannot_be_read_is_said(alias: str) -> None:
    """Somebody wrote into the table: 4, and never a shorter history."""
    run("start")
    with connections[alias].cursor() as cursor:
        cursor.execute("UPDATE rollout_journalentry SET content = 'x'")

    code, text = run("history")

    assert code == 4
    assert "an entry of the journal cannot be read" in text


@ONCE
def test_worlds_are_simulated_with_the_plans_thresholds() -> None:
    """The table, and the promises."""
    code, said = run_json("simulate", "--worlds", "1", "--like", "the only receiver dead, 50/min")

    assert (code, said["not_kept"]) == (0, [])
    assert "the only receiver dead, 50/min" in said["table"]
