"""Every arrow of the controller's table as a runner goes along it, and what a crash on the way must leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rollout.commands import Command, Kill, Pause, Replan, Start
from rollout.controller import TRANSITIONS
from rollout.controls import KillState
from rollout.errors import TransitionError
from rollout.journal import JournalEntry, replay, verify
from rollout.rollout_state import Cause, State
from rollout.runner import Runner
from rollout.verdict import Standing
from tests.unit.rollout.rollout_world import ANNA, BREACH, FLAG, HOLD, PASS, SPOKEN, plan_of
from tests.unit.rollout.runner_world import Crash, DyingStore, World

#: Followed a second time, these make a second entry of the same content; all others say that it is done.
REPEATABLE = frozenset({Cause.SET, Cause.TRIP_CLEARED, Cause.FLAG_CHANGED, Cause.STORE_ACCEPTED})
#: More than a runner's lease of 30 s.
LEASE_OVER_SECONDS = 31.0
NEVER = -1


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """One row of the table; a kill comes by a person's word or by the host's file."""

    before: State
    cause: Cause
    by_file: bool = False

    def __str__(self) -> str:
        return f"{self.before}-{self.cause.name}{'-by-file' if self.by_file else ''}"


ARROWS = [Arrow(before=before, cause=cause) for before, cause in TRANSITIONS]
ARROWS += [
    Arrow(before=before, cause=cause, by_file=True) for before, cause in TRANSITIONS if cause is Cause.KILLED
]


@dataclass
class Play:
    """One arrow in a world of its own, with a sender that lives and has acknowledged nothing."""

    arrow: Arrow
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.world.store.beat("web-1", {FLAG: 0}, lease_seconds=86_400.0)
        self.dying = DyingStore(self.world.store)
        self.runner = self._process()

    def run(self, *, dies_at: int = NEVER, after: bool = False) -> Play:
        """Come to where the arrow begins, then go along it; the process dies at its call *dies_at*."""
        self._come_to(self.arrow.before)
        self._make_ready()
        self.prepared = self.world.store.journal(FLAG)
        self.dying.calls, self.dying.dies_at, self.dying.after = 0, dies_at, after
        try:
            self._go_along()
        except Crash:
            self.world.clock.advance(LEASE_OVER_SECONDS)
            self.runner = self._process()
            try:
                self._go_along(seconds=0.0)
            except TransitionError:
                assert len(self.world.store.journal(FLAG)) > len(self.prepared), "nothing had been written"
        self.entries = list(self.world.store.journal(FLAG))
        return self

    @property
    def gone(self) -> list[tuple[str, str]]:
        """The arrows that the journal tells of, the preparation's left out."""
        return [(str(each.before["state"]), each.cause) for each in self.entries[len(self.prepared) :]]

    def check_whole(self) -> None:
        """State and journal are of one piece, whatever happened."""
        state = self.world.state
        assert verify(self.entries, head=state.head) == state.head
        assert replay(FLAG, self.entries).without_progress() == state.without_progress()

    def _process(self) -> Runner:
        return self.world.runner(self.dying, prepare=self.dying.prepare, observer=self.dying.hear)

    def _go_along(self, *, seconds: float = 15.0) -> None:
        cause = self.arrow.cause
        if self.arrow.by_file:
            self.world.kill = KillState(killed=True, why="'/run/kill' is there")
            self._tick(seconds=seconds)
        elif cause in SPOKEN:
            self._obey(SPOKEN[cause])
        else:
            self._tick({Cause.HELD: HOLD, Cause.BREACHED: BREACH}.get(cause, PASS), seconds=seconds)

    def _tick(self, standing: Standing = PASS, *, seconds: float = 15.0) -> None:
        self.world.eyes.standing = standing
        self.world.clock.advance(seconds)
        self.runner.tick()

    def _obey(self, command: Command) -> None:
        self.runner.obey(command)  # type: ignore[arg-type]

    def _acknowledge(self) -> None:
        self.world.store.beat("web-1", {FLAG: self.world.state.epoch}, lease_seconds=86_400.0)

    def _come_to(self, state: State) -> None:
        """Bring the rollout to *state* by the ways that lead there."""
        needs_approval = state is State.AWAITING_APPROVAL or self.arrow.cause is Cause.NEEDS_APPROVAL
        ends = state is State.COMPLETED or self.arrow.cause is Cause.DONE
        bakes = needs_approval or ends or self.arrow.cause is Cause.PASSED
        stages = (5,) if ends else (5, 25, 100)
        self.world.plan = plan_of(
            *stages, bake=20 if bakes else 3600, approval=(25,) if needs_approval else ()
        )
        if state is not State.NOT_STARTED:
            self._obey(Start(by=ANNA, reason="go"))
        if state is State.HOLD:
            self._tick(HOLD)
        elif state is State.PAUSED:
            self._obey(Pause(by=ANNA))
        elif state in (State.AWAITING_APPROVAL, State.COMPLETED):
            self._bake(ticks=3)
        elif state in (State.ROLLING_BACK, State.ROLLED_BACK):
            self._tick(BREACH)
        if state is State.ROLLED_BACK:
            self._acknowledge()
            self._tick()
        assert self.world.state.state is state

    def _bake(self, *, ticks: int) -> None:
        for _ in range(ticks):
            self._tick()

    def _make_ready(self) -> None:
        """Make the world in which the next tick or word goes along the arrow."""
        before, cause = self.arrow.before, self.arrow.cause
        if cause in (Cause.PASSED, Cause.DONE, Cause.NEEDS_APPROVAL):
            self._bake(ticks=2)
        elif cause is Cause.REPLANNED:
            self.world.plan = plan_of(5, 30, 60, 100, bake=3600)
        elif cause is Cause.UNKILLED:
            self._obey(Kill(by=ANNA, reason="now"))
            if before is State.ROLLED_BACK:
                self._acknowledge()
                self._tick()
        elif cause is Cause.APPROVED and before is not State.AWAITING_APPROVAL:
            self.world.plan = plan_of(5, 25, bake=3600, approval=(25,))
            self._obey(Replan(by=ANNA))
        elif cause is Cause.STOPPED:
            self._acknowledge()
        elif cause in (Cause.STORE_ACCEPTED, Cause.ISSUED_AGAIN):
            told = self.world.state.epoch + 4
            self.world.store.beat("web-1", {FLAG: told}, lease_seconds=86_400.0)


def check_deaths(arrow: Arrow, *, make: Callable[[], World] = World) -> int:
    """Die once before and once after each call along *arrow*; the next process ends where it leads.

    Returns:
        How many deaths that were.
    """
    whole = Play(arrow, make()).run()
    calls = whole.dying.calls
    assert whole.gone == [(arrow.before.value, arrow.cause.value)]
    for dies_at in range(1, calls + 1):
        for after in (False, True):
            played = Play(arrow, make()).run(dies_at=dies_at, after=after)

            assert played.dying.calls > dies_at - after, "nobody died"
            assert _kept(played) == _kept(whole)
            played.check_whole()
            assert played.gone[:1] == whole.gone
            assert len(played.gone) <= (2 if arrow.cause in REPEATABLE else 1)
    return 2 * calls


def _kept(play: Play) -> tuple[object, ...]:
    state = play.world.state
    return state.state, state.ceiling, state.killed, state.plan, [each.percentage for each in state.approvals]
