"""A whole rollout: the real runner, guard and plan, under simulated traffic."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest

from rollout.actor import Actor
from rollout.commands import Start
from rollout.counters import Counts
from rollout.evidence import Row, minute_of
from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.plan import Plan, Stage
from rollout.rollout_state import State
from rollout.runner import Runner
from rollout.stores.memory import MemoryRolloutStore
from rollout.testing import ManualClock
from rollout.testing.worlds import Fault, Health, World
from rollout.testing.worlds.traffic import Traffic
from rollout.watch import Watch

pytestmark = pytest.mark.slow

FLAG = FlagKey("tournament-webhooks")
BEGIN = 1_763_000_040.0
TICK = 30.0
#: In the middle of the second stage.
FAULT = 2_700.0


class Source:
    """The evidence of a simulated world, up to the present; it may be away."""

    def __init__(self, world: World, clock: ManualClock) -> None:
        self._traffic, self._clock = Traffic(world, seed=1), clock
        self._minutes: list[list[tuple[float, Row]]] = []
        self.is_away = False

    def rows(self, flag: FlagKey, *, from_minute: int) -> Iterable[Row]:
        """Return what has ended by now."""
        if self.is_away:
            raise ConnectionError("no database")
        gone = self._clock() - BEGIN
        while len(self._minutes) * 60.0 <= gone:
            number = len(self._minutes)
            minute = minute_of(BEGIN) + number
            self._minutes.append(
                [
                    (one.at, Row(minute, one.endpoint, Counts(one.counts)))
                    for one in self._traffic.minute(number)
                ]
            )
        first = max(0, from_minute - minute_of(BEGIN))
        return [row for minute in self._minutes[first:] for at, row in minute if at <= gone]


class Rollout:
    """A plan of four stages of half an hour over a simulated world."""

    def __init__(self, world: World) -> None:
        self.clock = ManualClock(BEGIN)
        self.source = Source(world, self.clock)
        stages = tuple(
            Stage(percentage=Percentage.parse(each), bake_seconds=1_800) for each in (5, 25, 50, 100)
        )
        plan = Plan(flag=FLAG, stages=stages)
        store = MemoryRolloutStore(clock=self.clock)
        self.runner = Runner(FLAG, store, Watch(self.source), plan=lambda: plan, owner="one")
        self.runner.obey(Start(by=Actor(name="user:17", authenticated=True), reason="go"))
        #: (time, percentage let through, state) after each tick.
        self.seen: list[tuple[float, float, State]] = []

    def run(self, minutes: float) -> None:
        """Tick for so long."""
        for _ in range(round(minutes * 60 / TICK)):
            self.clock.advance(TICK)
            state = self.runner.tick().state
            assert state is not None
            ceiling = float(state.ceiling.value) if state.ceiling is not None else 0.0
            self.seen.append((self.clock() - BEGIN, ceiling, state.state))

    @property
    def ceilings(self) -> list[float]:
        """The percentages in force, each once, in order."""
        found = [ceiling for _, ceiling, _ in self.seen]
        return found[:1] + [after for before, after in pairwise(found) if after != before]


HEALTHY = World(name="healthy", per_minute=50, endpoints=2)


def test_a_healthy_rollout_goes_up_by_itself() -> None:
    """Four stages of half an hour, one after the other, and done."""
    rollout = Rollout(HEALTHY)

    rollout.run(minutes=240)

    assert rollout.ceilings == [5, 25, 50, 100]
    assert rollout.seen[-1][2] is State.COMPLETED


@pytest.mark.parametrize("per_minute", [0.0, 0.2])
def test_too_little_data_never_goes_up(per_minute: float) -> None:
    """Nothing at all, or twelve deliveries an hour, where a share needs fifty."""
    rollout = Rollout(World(name="quiet", per_minute=per_minute))

    rollout.run(minutes=300)

    assert rollout.ceilings == [5]
    assert rollout.seen[-1][2] is State.HOLD


def test_evidence_that_cannot_be_read_never_goes_up() -> None:
    """Not while it is away, however well things went before."""
    rollout = Rollout(HEALTHY)
    rollout.run(minutes=10)
    rollout.source.is_away = True

    rollout.run(minutes=300)

    assert rollout.ceilings == [5]
    assert rollout.seen[-1][2] is State.HOLD


def test_the_time_of_a_paused_runner_is_no_bake_time() -> None:
    """Away for three hours of a stage of half an hour: the stage goes on where it was, and does not end."""
    rollout = Rollout(HEALTHY)
    rollout.run(minutes=10)
    rollout.clock.advance(3 * 3_600)

    rollout.run(minutes=10)

    assert rollout.ceilings == [5]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(health=Health(success=0.8), begins=FAULT),
        Fault(health=Health(success=0.0), begins=FAULT),
        Fault(health=Health(success=0.0, is_answering=False), begins=FAULT),
    ],
    ids=["to-80", "to-0", "dead"],
)
def test_after_a_breach_nothing_is_exposed_but_its_stage_for_one_tick(fault: Fault) -> None:
    """The tick that sees the breach rolls back; until then no more than the stage it began in."""
    rollout = Rollout(World(name="breach", per_minute=50, endpoints=1, fault=fault))

    rollout.run(minutes=90)

    before = [ceiling for at, ceiling, _ in rollout.seen if at <= FAULT][-1]
    after = [(at, ceiling, state) for at, ceiling, state in rollout.seen if at > FAULT]
    rolled = next(at for at, _, state in after if state is State.ROLLING_BACK)
    assert before == 25
    assert {ceiling for at, ceiling, _ in after if at < rolled} <= {before}
    assert {ceiling for at, ceiling, _ in after if at >= rolled} == {0.0}
    assert rolled <= FAULT + 60 + 7 * 60 + TICK
