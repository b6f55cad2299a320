"""A rollout that a person starts again within the minute of its fault; on each database."""

from __future__ import annotations

import pytest

from rollout.actor import Actor
from rollout.commands import RollBack, Start
from rollout.counters import Counts
from rollout.django import driving
from rollout.rollout_state import State

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("under_way")]
ANNA = Actor(name="user:17", authenticated=True)
FAULTS = [
    pytest.param({"failed_server_error": 20, "attempts": 20}, id="failures"),
    pytest.param({"pii": 1}, id="personal-data"),
]


def count(fault: dict[str, int]) -> None:
    """Add to the present minute, as a settle or a tripwire does."""
    table = driving.evidence()
    assert table is not None
    table.add({"default": Counts(fault)})


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_from_before_the_restart_is_not_the_stages(fault: dict[str, int]) -> None:
    """It is not rolled back for what it was rolled back for; the next fault in the same minute does it."""
    runner = driving.runner()
    count(fault)
    first = runner.tick().state
    stopped = runner.tick().state

    runner.obey(Start(by=ANNA, reason="mended"))
    again = [runner.tick().state for _ in range(2)]
    count(fault)
    second = runner.tick().state

    assert first is not None
    assert stopped is not None
    assert second is not None
    assert (first.state, stopped.state) == (State.ROLLING_BACK, State.ROLLED_BACK)
    assert [each and each.state for each in again] == [State.HOLD, State.HOLD]
    assert second.state is State.ROLLING_BACK


def test_what_failed_after_a_rollback_by_hand_is_not_the_stages_either() -> None:
    """Nobody looked at it before the start."""
    runner = driving.runner()
    runner.obey(RollBack(by=ANNA, reason="drill"))
    count({"failed_server_error": 20, "attempts": 20})
    runner.tick()

    runner.obey(Start(by=ANNA, reason="again"))
    made = runner.tick()

    assert made.state is not None
    assert made.state.state is State.HOLD
