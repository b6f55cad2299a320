"""Stateful: the controller through a store, under any order of ticks, commands, verdicts and edits."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rollout.actor import Actor
from rollout.commands import (
    AcceptStore,
    Advance,
    Approve,
    ChangeFlag,
    ClearTrip,
    Command,
    Kill,
    Pause,
    Replan,
    Resume,
    RollBack,
    SetPercentage,
    Start,
    Tick,
    Unkill,
)
from rollout.controller import TRANSITIONS, step
from rollout.errors import ConfigError, StoreConflict, TransitionError
from rollout.flags import FlagKey
from rollout.fleet import Sender
from rollout.freeze import FrozenHours
from rollout.journal import replay, verify
from rollout.percentage import NOBODY, Percentage
from rollout.plan import Plan, Stage
from rollout.rollout_state import LATCHED, Cause, RolloutState, State
from rollout.situation import Situation
from rollout.stores.memory import MemoryRolloutStore
from rollout.testing import ManualClock
from rollout.verdict import Reading, Standing, Verdict

pytestmark = pytest.mark.slow

NOW = 1_763_000_000.0
FLAG = FlagKey("tournament-webhooks")
ANNA = Actor(name="user:17", authenticated=True)
LEASE = 60.0

STAGES = st.lists(st.sampled_from([0, 1, 5, 25, 50, 100]), unique=True, min_size=1, max_size=4).map(sorted)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Short plans: a shadow stage, approvals, freezes, all drawn."""
    stages = tuple(
        Stage(
            percentage=Percentage.parse(each),
            bake_seconds=draw(st.sampled_from([1, 20, 60])),
            approval=draw(st.booleans()),
            shadow=each == 0,
        )
        for each in draw(STAGES)
    )
    frozen = (FrozenHours(days=("thu",), start_minute=0, end_minute=180),) if draw(st.booleans()) else ()
    return Plan(flag=FLAG, stages=stages, freezes=frozen)


class ControllerMachine(RuleBasedStateMachine):
    """What must hold is checked at every write, by what was true just before it."""

    @initialize(plan=plans())
    def begin(self, plan: Plan) -> None:
        """An empty store, two senders."""
        self.clock = ManualClock(NOW)
        self.store = MemoryRolloutStore(clock=self.clock)
        self.plan = plan
        # Sender → the epoch it obeys, and the highest ceiling that goes with it.
        self.obeyed: dict[str, int] = {"a": 0, "b": 0}
        self.seen_version = 0
        self.highest_version = 0
        self.backup: RolloutState | None = None
        for name, epoch in self.obeyed.items():
            self.store.beat(name, {FLAG: epoch}, lease_seconds=LEASE)
        self.give(Start(by=ANNA, confirm=True), None)

    def situation(self, standing: Standing | None) -> Situation:
        """The world now."""
        now = self.clock.now
        said = None
        if standing is not None:
            reading = Reading(measure="m", value=1, sample=1, needed=1, standing=standing, why="1 of 1")
            said = Verdict.of([reading], at=now, rule_version=1)
        return Situation(
            now=now,
            plan=self.plan,
            verdict=said,
            senders=tuple(self.store.senders(FLAG)),
            seen_version=self.seen_version,
        )

    def give(self, command: Command, standing: Standing | None) -> None:
        """One command, written, and everything that must hold of the write."""
        state, situation = self.store.load(FLAG), self.situation(standing)
        try:
            made = step(state, command, situation)
        except (TransitionError, ConfigError):
            assert not isinstance(command, (Tick, RollBack, Kill)), "less must always be possible"
            assert self.store.load(FLAG) == state
            return
        if made.state is state:
            assert made.entry is None
            return
        self.store.swap(made.state, made.entry, expected_version=state.version)
        self.seen_version = made.state.version
        self.check(command, standing, (state, made.state), situation)

    def check(
        self,
        command: Command,
        standing: Standing | None,
        states: tuple[RolloutState, RolloutState],
        situation: Situation,
    ) -> None:
        """Never up without a pass or a person; never more than a stage; stopped means stopped."""
        before, after = states
        entry = self.store.journal(FLAG)[-1] if self.store.journal(FLAG) else None
        told = after.without_progress() != before.without_progress()
        assert told == (entry is not None and entry.version == after.version), "every change has its row"
        if told and entry is not None:
            cause = Cause(entry.cause)
            assert TRANSITIONS[before.state, cause] is after.state
        old, new = before.ceiling or NOBODY, after.ceiling or NOBODY
        if new > old:
            self.check_increase(command, standing, states, situation)
        if standing is Standing.ROLL_BACK and isinstance(command, Tick):
            assert after.state in LATCHED
        if after.epoch != before.epoch:
            assert after.epoch > max((sender.epoch for sender in situation.senders), default=0)
        else:
            assert (after.ceiling, after.is_shadow) == (before.ceiling, before.is_shadow)
        if situation.went_back(before):
            assert after.state in LATCHED or isinstance(command, AcceptStore), "a person decides"
            assert after.version > self.highest_version, "everybody must take it for news"
        self.highest_version = max(self.highest_version, after.version)
        if after.state is State.ROLLED_BACK and before.state is State.ROLLING_BACK and told:
            for sender in situation.senders:
                alive = situation.now - sender.seen_at <= LEASE
                assert sender.epoch >= after.epoch or not alive or isinstance(command, Unkill)
        if isinstance(command, (RollBack, Kill)):
            assert new == NOBODY

    def check_increase(
        self,
        command: Command,
        standing: Standing | None,
        states: tuple[RolloutState, RolloutState],
        situation: Situation,
    ) -> None:
        """What lets more through was asked for by those who may."""
        before, after = states
        assert after.plan is not None
        assert after.ceiling is not None
        assert not situation.went_back(before)
        assert before.state not in LATCHED or isinstance(command, Start)
        if isinstance(command, Tick):
            assert standing is Standing.GO_ON
            assert before.plan == self.plan
            assert before.stage is not None
            passed = situation.now - (before.progress.ticked_at or situation.now)
            baked = before.progress.baked_seconds + min(max(passed, 0.0), 60.0)
            assert baked >= before.plan.stages[before.stage].bake_seconds
            assert all(freeze.until(situation.now) is None for freeze in self.plan.freezes)
            assert before.ceiling is not None
            following = next(each for each in before.plan.stages if each.percentage > before.ceiling)
            assert after.ceiling == following.percentage, "one stage at a time"
            assert not following.approval or before.has_approved(after.ceiling)
        elif isinstance(command, Advance):
            assert command.force or standing is Standing.GO_ON
        else:
            assert isinstance(command, (Start, SetPercentage))

    @rule(standing=st.sampled_from([*Standing, None]), seconds=st.sampled_from([0.0, 1.0, 15.0, 60.0, 300.0]))
    def the_runner_ticks(self, standing: Standing | None, seconds: float) -> None:
        """Time passes, and any verdict."""
        self.clock.now += seconds
        self.give(Tick(), standing)

    @rule(ticks=st.integers(1, 12))
    def all_is_well_for_a_while(self, ticks: int) -> None:
        """What takes a rollout through its plan."""
        for _ in range(ticks):
            self.clock.now += 15.0
            self.give(Tick(), Standing.GO_ON)

    @rule(
        command=st.sampled_from(
            [
                *(Pause(by=ANNA), Resume(by=ANNA), Approve(by=ANNA), Approve(by=ANNA), Advance(by=ANNA)),
                *(Advance(by=ANNA, force=True, reason="known"), Replan(by=ANNA)),
                *(Start(by=ANNA), Unkill(by=ANNA, reason="fixed"), AcceptStore(by=ANNA, reason="restored")),
                ClearTrip(by=ANNA, reason="corrected"),
                ChangeFlag(by=ANNA, reason="5 % -> 25 %"),
            ]
        ),
        standing=st.sampled_from([Standing.GO_ON, Standing.HOLD, None]),
    )
    def a_person_speaks(self, command: Command, standing: Standing | None) -> None:
        """Any command that is no stop, in any state."""
        self.give(command, standing)

    @rule(command=st.sampled_from([RollBack(by=ANNA), Kill(by=ANNA)]), again=st.integers(0, 3))
    def it_is_stopped_and_mostly_begun_again(self, command: Command, again: int) -> None:
        """A stop, and three times of four all that a person does to begin again."""
        self.give(command, None)
        if again:
            for name in ("a", "b"):
                self.a_sender_beats(name, obeys=True)
            self.give(Unkill(by=ANNA, reason="fixed"), None)
            self.clock.now += 15.0
            self.give(Tick(), None)
            self.give(Start(by=ANNA, confirm=True), None)

    @rule(times=st.integers(1, 3))
    def all_that_is_needed_is_given(self, times: int) -> None:
        """Replan, resume, approve, and time: the way up, whatever stood in it."""
        for _ in range(times):
            for command in (Replan(by=ANNA), Resume(by=ANNA), Approve(by=ANNA)):
                self.give(command, Standing.GO_ON)
            self.all_is_well_for_a_while(7)

    @rule(
        value=st.sampled_from([0, 1, 3, 5, 20, 25, 60, 100]),
        reason=st.sampled_from(["", "x"]),
        yes=st.booleans(),
    )
    def a_person_sets(self, value: int, reason: str, yes: bool) -> None:
        """Any percentage, with and without a reason and a confirmation."""
        percentage = Percentage.parse(value)
        self.give(SetPercentage(by=ANNA, percentage=percentage, reason=reason, confirm=yes), None)

    @rule(plan=plans())
    def somebody_edits_the_plan(self, plan: Plan) -> None:
        """The file changes under a rollout under way."""
        self.plan = plan

    @rule(name=st.sampled_from(["a", "b", "c"]), obeys=st.booleans())
    def a_sender_beats(self, name: str, obeys: bool) -> None:
        """With or without having looked at the state; never going by a lower epoch than before."""
        if obeys:
            self.obeyed[name] = max(self.obeyed.get(name, 0), self.store.load(FLAG).epoch)
        self.store.beat(name, {FLAG: self.obeyed.get(name, 0)}, lease_seconds=LEASE)

    @rule()
    def a_backup_is_made(self) -> None:
        """Of the state alone, as it is now."""
        self.backup = self.store.load(FLAG)
        self.cut = len(self.store.journal(FLAG))

    @rule(restarted=st.booleans())
    def the_backup_is_restored(self, restarted: bool) -> None:
        """State and journal go back; senders remember, and so does a runner that was not restarted."""
        if self.backup is None or self.backup.version == 0:
            return
        from rollout import state_text

        self.store._states[FLAG] = state_text.dumps(self.backup)
        self.store._journals[FLAG] = self.store._journals.get(FLAG, [])[: self.cut]
        self.clock.now += 1.0
        if restarted:
            self.seen_version = 0

    @rule()
    def two_write_at_once(self) -> None:
        """The slower of two is refused."""
        state = self.store.load(FLAG)
        slow = step(state, RollBack(by=ANNA), self.situation(None))
        self.give(Tick(), Standing.GO_ON)
        if self.store.load(FLAG).version != state.version and slow.state is not state:
            with pytest.raises(StoreConflict):
                self.store.swap(slow.state, slow.entry, expected_version=state.version)

    @invariant()
    def what_is_kept_holds_together(self) -> None:
        """A valid state, never above the plan's stage, and a journal that leads to it."""
        if not hasattr(self, "store"):
            return
        state = self.store.load(FLAG)
        if state.stage is not None and state.plan is not None and state.ceiling is not None:
            assert state.ceiling <= state.plan.stages[state.stage].percentage <= state.plan.highest
        entries = self.store.journal(FLAG)
        assert verify(entries, head=state.head) == state.head
        assert replay(FLAG, entries).without_progress() == state.without_progress()


class ControllerTest(ControllerMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk through the machine; see ControllerMachine."""

    settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_sender_that_is_gone_is_not_waited_for() -> None:
    """The model's senders promise what the port asks; here the promise is spelt out once."""
    gone = Sender(name="a", epoch=0, acknowledged_at=0.0, seen_at=NOW - LEASE - 0.1, lease_seconds=LEASE)

    assert not gone.is_alive(now=NOW)
