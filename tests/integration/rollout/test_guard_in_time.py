"""The guard over the real tables while time passes: stages that change, a clock that goes back, silence."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rollout.actor import Actor
from rollout.commands import SetPercentage, Start
from rollout.counters import Counts
from rollout.criteria import Criteria
from rollout.django.evidence import EvidenceTable
from rollout.django.fleet_evidence import FleetEvidence
from rollout.django.store import DjangoRolloutStore
from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.plan import Plan, Stage
from rollout.rollout_state import RolloutState, State
from rollout.runner import Runner
from rollout.testing import ManualClock
from rollout.watch import Watch
from tests.guarding import BEGIN, SLOW, WELL
from webhooks_core.django.outbox.database import Database

FLAG = FlagKey("tournament-webhooks")
ANNA = Actor(name="user:17", authenticated=True)
DEAD = {**WELL, "ok": 0, "failed_server_error": 25}
LATE = {**WELL, SLOW: 5}


class Rollout:
    """A plan of two stages on a store whose clock a test moves; its runner ticks each quarter of a minute."""

    def __init__(self, alias: str, *, criteria: Criteria | None = None) -> None:
        self.now = BEGIN
        monotonic = ManualClock(0.0)
        database = Database(alias, clock=self._now, machine_clock=self._now, monotonic=monotonic)
        self.table = EvidenceTable(database, environment="test", flag=FLAG)
        stages = tuple(
            Stage(percentage=Percentage.parse(each), bake_seconds=4 * 3_600) for each in (25, 50, 100)
        )
        plan = Plan(flag=FLAG, stages=stages, criteria=criteria or Criteria())
        source = FleetEvidence(self.table, breakers=None, endpoints=())
        store = DjangoRolloutStore(database, environment="test")
        self.runner = Runner(FLAG, store, Watch(source), plan=lambda: plan, owner="one")
        self.runner.obey(Start(by=ANNA, reason="go"))
        self.states: list[RolloutState] = []

    def _now(self) -> float:
        return self.now

    @property
    def state(self) -> RolloutState:
        """Where it stands."""
        return self.runner.look()[0]

    def run(self, minutes: float, counts: Mapping[str, int]) -> list[RolloutState]:
        """Have *counts* in each minute, and tick; the states after each tick."""
        found = []
        for second in range(15, round(minutes * 60) + 15, 15):
            self.now += 15
            if second % 60 == 15 and counts:
                self.table.add({"partner": Counts(counts)})
            state = self.runner.tick().state
            assert state is not None
            found.append(state)
        return found


def ticks_until(state: State, found: list[RolloutState]) -> int:
    """After how many ticks it was there."""
    return [each.state for each in found].index(state) + 1


@pytest.mark.parametrize("is_changed", [False, True], ids=["one-stage", "two-stages"])
def test_five_bad_minutes_roll_back_wherever_a_stage_begins_among_them(alias: str, is_changed: bool) -> None:
    """p95 above 5 s: rolled back when the fifth minute is over, whether or not a person went up."""
    rollout = Rollout(alias)
    rollout.run(10, WELL)

    found = rollout.run(4, LATE)
    if is_changed:
        rollout.runner.obey(SetPercentage(by=ANNA, percentage=Percentage.parse(50), reason="go on"))
    found += rollout.run(2, LATE)

    assert ticks_until(State.ROLLING_BACK, found) == 5 * 4
    assert "p95 above 5000 ms in 5 minutes in a row" in rollout.state.reason


@pytest.mark.parametrize("minutes", [40, 10], ids=["in-the-stage", "before-it"])
def test_a_fault_after_the_stores_clock_went_back_is_rolled_back_at_once(alias: str, minutes: int) -> None:
    """One tick holds and says so; the ones after it see the fault. Before, 28 minutes were blind."""
    rollout = Rollout(alias)
    assert rollout.run(minutes, WELL)[-1].state is State.RUNNING

    rollout.now -= 1_800
    said = rollout.runner.tick().state
    found = rollout.run(2, DEAD)

    assert said is not None
    assert said.state is State.HOLD
    assert "the store's clock went back" in said.reason
    assert " 30 min" in said.reason or " 20 min 0 s before the beginning of the stage" in said.reason
    assert ticks_until(State.ROLLING_BACK, found) <= 4


def test_time_without_deliveries_does_not_bake_however_long_the_window_is(alias: str) -> None:
    """Ten minutes of them, then none for six hours, by a plan that looks back a day: an hour of it counts."""
    rollout = Rollout(alias, criteria=Criteria(window_minutes=1_440))
    rollout.run(10, WELL)

    for _ in range(6 * 60):
        rollout.now += 60
        rollout.runner.tick()

    assert 60 * 60 < rollout.state.progress.baked_seconds < 70 * 60
    assert rollout.state.state is State.HOLD
    assert "no delivery ended at this stage in the last 60 minutes" in rollout.state.reason
