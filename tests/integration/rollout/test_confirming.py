"""What a person's word overrules is told before it is asked for, and again once it was said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from rollout.django.management import queued
from rollout.percentage import Percentage
from rollout.rollout_state import State
from tests.integration.rollout.commands import run, run_json
from tests.integration.rollout.staged import ONCE, STAGES, staged, state

__all__ = ["staged"]
pytestmark = [pytest.mark.network, ONCE]
ALWAYS = [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}]


def three() -> list[int]:
    """The units of a small project."""
    return [1, 2, 3]


@pytest.fixture
def frozen(staged: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A freeze that is always on, three units, and a plan that goes over 25 %."""
    plan = {"stages": STAGES, "freeze": ALWAYS}
    changed = {**staged["ROLLOUT"], "PLAN": plan, "UNITS": f"{__name__}.three"}
    with override_settings(ROLLOUT=changed):
        yield changed


def told(text: str, *what: str) -> list[bool]:
    """Which of *what* was told, in the order asked for."""
    return [each in text for each in what]


def test_a_start_names_the_cohort_and_the_freeze_together(frozen: dict[str, Any]) -> None:
    """`--yes` for an empty cohort must not begin in a freeze of which nobody was told."""
    refused = run("start")
    as_json = run_json("start")
    before = state().state
    begun = run("start", "--yes")

    assert (refused[0], before, begun[0], state().state) == (2, State.NOT_STARTED, 0, State.RUNNING)
    for _, text in (refused, begun):
        assert told(text, "at 5 % ", " in: the cohort is ", "frozen until ") == [True] * 3
    assert "say --yes to begin all the same; nothing was changed" in refused[1]
    assert "Confirmed all the same: at 5 %" in begun[1]
    assert (as_json[1]["needs"], len(as_json[1]["reasons"])) == ("--yes", 2)


def test_a_start_names_what_it_would_drop_beside_a_freeze(
    frozen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve deliveries must not be given up for good by the `--yes` that a freeze asked for."""
    monkeypatch.setattr(queued, "held", lambda: queued.Count(number=12))

    code, said = run_json("start", "--held", "drop")

    assert (code, said["needs"], state().state) == (2, "--yes", State.NOT_STARTED)
    assert told(said["error"], "frozen until ", "--held drop would give up 12 held") == [True] * 2


def test_a_percentage_by_hand_names_the_cohort_the_stages_passed_over_and_the_freeze(
    frozen: dict[str, Any],
) -> None:
    """From 5 % to 100 % past the 25 % stage, three units, in a freeze: one word, and all of it told."""
    run("start", "--yes")

    refused = run("set", "100", "--reason", "now")
    unmoved = state().ceiling
    done = run_json("set", "100", "--reason", "now", "--yes")

    assert (refused[0], unmoved, done[0]) == (2, Percentage.parse("5"), 0)
    what = ("only 3 in: the cohort is tiny", "it is beyond the next stage, 25 %", "frozen until ")
    assert told(refused[1], *what) == [True] * 3
    assert told("; ".join(done[1]["confirmed"]), *what) == [True] * 3
    assert state().ceiling == Percentage.parse("100")


def test_less_by_hand_asks_about_the_units_that_go_out_alone(frozen: dict[str, Any]) -> None:
    """A freeze stands in the way of nothing that lets less through."""
    run("start", "--yes")
    run("set", "100", "--reason", "now", "--yes")

    refused = run("set", "5", "--reason", "less")
    done = run_json("set", "5", "--reason", "less", "--yes")

    assert refused[0] == 2 and "units go out" in refused[1]
    assert "frozen" not in refused[1]
    assert (done[0], done[1]["confirmed"]) == (0, [])


def test_an_advance_names_the_guard_and_the_freeze_together(frozen: dict[str, Any]) -> None:
    """`--force` for a guard that does not pass must not go up in a freeze of which nobody was told."""
    run("start", "--yes")

    tiny = run("advance", "--force", "--reason", "now")
    refused = run("advance", "--yes", "--reason", "now")
    unmoved = state().ceiling
    done = run("advance", "--yes", "--force", "--reason", "now")

    assert (tiny[0], refused[0], unmoved, done[0]) == (2, 2, Percentage.parse("5"), 0)
    assert "the cohort is" in tiny[1] and "say --yes" in tiny[1]
    for _, text in (refused, done):
        assert told(text, "the guard does not pass (", "frozen until ") == [True] * 2
    assert "say --force, with a reason, to begin all the same" in refused[1]
    assert told(done[1], "Confirmed all the same: at 25 %") == [True]


def test_nothing_is_said_to_be_confirmed_where_nothing_stood_against_it(staged: dict[str, Any]) -> None:
    """Nobody counts, and there is no freeze: `--yes` overruled nothing."""
    code, said = run_json("start", "--yes")

    assert (code, said["confirmed"]) == (0, [])
