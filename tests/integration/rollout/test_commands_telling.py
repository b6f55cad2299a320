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
from rollout.django.models import JournalEntry
from rollout.django.store import DjangoRolloutStore
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


def test_a_head_that_was_noted_before_later_entries_is_no_tampering() -> None:
    """Yesterday's line of the log: which version it is, and how many follow."""
    run("start", "--reason", "go")
    head = state().head
    run("pause", "--reason", "lunch")
    run("resume", "--reason", "back")

    code, text = run("history", "--head", head)
    said = run_json("history", "--head", head)[1]

    assert code == 0
    assert f"What the log says, {head[:12]}, is in it, as version 1; 2 entries follow." in text
    assert (said["verified"], said["head"], said["noted_version"], said["after"]) == (
        True,
        state().head,
        1,
        2,
    )


def test_history_sees_a_row_that_is_missing_from_the_end(alias: str) -> None:
    """The rollout's own row says where it must end; for somebody who can write both there is the log."""
    run("start", "--reason", "go")
    run("pause", "--reason", "lunch")
    with connections[alias].cursor() as cursor:
        cursor.execute("DELETE FROM rollout_journalentry WHERE version = 2")

    code, text = run("history", "--verify")
    said = run_json("history", "--verify")[1]

    assert (code, said["verified"]) == (1, False)
    assert "THE JOURNAL DOES NOT HOLD" in text and state().head[:12] in text


def test_a_row_that_is_written_while_the_journal_is_checked_is_no_break(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is checked again with it."""
    run("start", "--reason", "go")
    load, others = DjangoRolloutStore.load, ["pause", "resume"]

    def loads(self: DjangoRolloutStore, flag: Any) -> Any:
        found = load(self, flag)
        if others:
            with monkeypatch.context() as alone:
                alone.setattr(DjangoRolloutStore, "load", load)
                run(others.pop(0))
        return found

    monkeypatch.setattr(DjangoRolloutStore, "load", loads)
    code, said = run_json("history", "--verify")

    assert (code, said["head"], others) == (0, state().head, [])


def test_the_journals_model_changes_and_removes_nothing(alias: str) -> None:
    """By a row, or by many at once."""
    run("start", "--reason", "go")
    rows = JournalEntry.objects.using(alias)
    kept, row = rows.values().get(), rows.get()

    for change in (
        row.save,
        row.delete,
        rows.delete,
        lambda: rows.update(actor="somebody"),
        lambda: rows.bulk_update([row], ["actor"]),
        lambda: rows.all()._raw_delete(alias),
    ):
        with pytest.raises(TypeError, match="a journal entry is never"):
            change()

    assert rows.values().get() == kept


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
    assert "by the ceiling of then (100 %) 101 was in. The flag's own percentage lets it in now" in text
    assert "It stands at 15.4397 %." in text and "not in the journal" in text


def test_the_past_is_not_told_by_the_flag_of_today(staged: dict[str, Any]) -> None:
    """In by the ceiling then; the flag says 0 % today, which says nothing of then: nobody knows."""
    driving.runner().obey(Start(by=Actor(name="user:17", authenticated=True)))
    run("set", "100", "--yes", "--reason", "all")
    at = _iso(driving.store().journal(driving.driving().flag)[1].at + 0.0001)
    nobody = {"tournament-webhooks": {"percentage": 0}}

    in_then = run_json("explain", "101", "--at", at)[1]
    with override_settings(ROLLOUT={**staged["ROLLOUT"], "FLAGS": nobody}):
        said, text = run_json("explain", "101", "--at", at)[1], run("explain", "101", "--at", at)[1]

    assert (in_then["is_in"], in_then["flag_percentage_of"]) == (True, "now")
    assert (said["is_in"], said["by_ceiling"], said["by_flag"]) == (None, True, False)
    assert text.splitlines()[0].endswith(
        "by the ceiling of then (100 %) 101 was in. The flag's own percentage does not let it in now (0 %);"
        " what it was then is not kept."
    )


def test_a_unit_that_is_forced_on_today_may_have_been_in_above_the_ceiling(staged: dict[str, Any]) -> None:
    """The journal has the ceiling, and no forced units."""
    driving.runner().obey(Start(by=Actor(name="user:17", authenticated=True)))
    at = _iso(driving.store().journal(driving.driving().flag)[0].at + 0.0001)
    flags = {"tournament-webhooks": {"percentage": 100, "forced_on": ["101"]}}

    without = run_json("explain", "101", "--at", at)[1]
    with override_settings(ROLLOUT={**staged["ROLLOUT"], "FLAGS": flags}):
        forced, text = run_json("explain", "101", "--at", at)[1], run("explain", "101", "--at", at)[1]

    assert (without["is_in"], forced["is_in"]) == (False, None)
    assert "by the ceiling of then (5 %) 101 was not in, unless it was forced on, as it is now." in text


def _iso(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat()


@ONCE
def test_a_past_that_lies_ahead_or_a_unit_that_is_none_is_refused() -> None:
    """With the reason."""
    ahead = run("explain", "101", "--at", "2999-01-01")
    nobody = [run("explain", "", *more) for more in ([], ["--at", "1s"])]

    assert (ahead[0], [code for code, _ in nobody]) == (2, [2, 2])
    assert "in the future" in ahead[1] and all("no unit given" in text for _, text in nobody)


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


@ONCE
def test_thresholds_that_break_a_promise_of_the_defaults_are_told(staged: dict[str, Any]) -> None:
    """Without a number as many worlds run as it takes to judge the promise."""
    plan = {**staged["ROLLOUT"]["PLAN"], "criteria": {"unreachable_minutes": 15}}
    worlds = ("simulate", "--like", "the only receiver dead, 1/min")

    kept = run_json(*worlds)
    with override_settings(ROLLOUT={**staged["ROLLOUT"], "PLAN": plan}):
        code, said = run_json(*worlds)

    assert (kept[0], kept[1]["worlds"], kept[1]["not_kept"]) == (0, 10, [])
    assert (code, [one.partition(" min, ")[2] for one in said["not_kept"]]) == (
        1,
        ["at most 10 are promised"],
    )
    assert "| median at most 10 min |" in said["table"]
