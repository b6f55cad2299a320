"""Primaries fail, replicas that lag take over, anybody writes: what a sender obeyed is not undone by that.

Real are the runner, the store in memory, what a process knows and how it looks; the database and its
replication are a copy of what the store holds.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rollout.commands import (
    AcceptStore,
    Advance,
    ClearTrip,
    Kill,
    Pause,
    Resume,
    RollBack,
    Spoken,
    Start,
    Unkill,
)
from rollout.django.own_connection import OwnConnection
from rollout.django.polling import DatabasePoll
from rollout.errors import TransitionError
from rollout.rollout_state import Cause
from tests.unit.rollout.rollout_world import ANNA, FLAG
from tests.unit.rollout.runner_world import World

pytestmark = pytest.mark.slow

Row = tuple[str | None, ...]
NAMES = ("a", "b", "c")


class Tables(OwnConnection):
    """Answer a poll's questions from a store in memory."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def read(
        self, sql: str, parameters: Sequence[str | float] = (), *, spent_seconds: float = 0.0
    ) -> list[Row]:
        """Return what the tables would hold."""
        store = self.world.store
        entries = list(store.journal(FLAG))
        if "cause" in sql:
            found = [each.version for each in entries if each.cause == Cause.STORE_ACCEPTED.value]
            return [(FLAG, str(max(found)))] if found else []
        if "hash = " in sql:
            return [(FLAG,) for each in entries if [each.version, each.hash] == list(parameters[2:])]
        waiting = sum(each.seen_version > 0 for each in store.senders(FLAG))
        last: Row = ("!", str(waiting), "0", "", "0", "", "0")
        state = store.load(FLAG)
        if state.version == 0:
            return [last]
        ceiling = "" if state.ceiling is None else str(state.ceiling)
        entry = str(entries[-1].version) if entries else "0"
        return [(FLAG, str(state.version), str(state.epoch), ceiling, "0", state.head, entry), last]


class Process:
    """A sender: what it knows, and the entries that it has obeyed since it began."""

    def __init__(self, world: World) -> None:
        self.poll = DatabasePoll(Tables(world), environment="test", monotonic=world.clock)
        self.obeyed: set[str] = set()
        self.version = 0

    def beat(self, world: World, name: str) -> None:
        """Look, remember what is obeyed now, and tell it."""
        world.clock.advance(0.25)
        polled = self.poll.look(strictly=True)
        known = polled.controls.get(FLAG)
        if self.poll.is_confirmed() and known is not None:
            self.check(world)
            self.obeyed.add(known.head)
            self.version = known.version
        epochs = {} if known is None else {FLAG: known.epoch}
        seen = {} if known is None or not polled.is_lost else {FLAG: known.version}
        lease = 0.0 if polled.went_back else 3.0
        world.store.beat(name, epochs, lease_seconds=lease, seen=seen)

    def lacking(self, world: World) -> set[str]:
        """What it has obeyed and the journal lacks, unless a person has accepted the store since."""
        entries = world.store.journal(FLAG)
        word = max((each.version for each in entries if each.cause == Cause.STORE_ACCEPTED.value), default=0)
        return set() if word > self.version else self.obeyed - {each.hash for each in entries} - {""}

    def check(self, world: World) -> None:
        """A state is confirmed only where everything that was obeyed is still in its journal."""
        assert self.lacking(world) == set()
        self.obeyed &= {each.hash for each in world.store.journal(FLAG)}


class FailoverMachine(RuleBasedStateMachine):
    """One rollout, three senders, runners of every age, a primary and what a replica has of it."""

    @initialize()
    def begin(self) -> None:
        """Under way, and everybody knows."""
        self.world = World()
        self.old = self.world.runner(wait=self.hear)
        self.give(Start(by=ANNA, confirm=True))
        self.senders = {name: Process(self.world) for name in NAMES}
        self.hear(0.0)
        self.replica = copy.deepcopy(self.kept())

    def kept(self) -> dict[str, object]:
        """What is in the database."""
        return {name: vars(self.world.store)[name] for name in ("_states", "_journals", "_senders", "_seen")}

    def hear(self, _seconds: float) -> None:
        """For six seconds: every sender that is alive looks and tells."""
        for name, process in self.senders.items():
            process.beat(self.world, name)

    def give(self, command: Spoken) -> None:
        """A person's command, by a process of its own."""
        with suppress(TransitionError):
            self.world.runner().obey(command)

    @rule(
        command=st.sampled_from(
            [
                *(Pause(by=ANNA), Resume(by=ANNA), Kill(by=ANNA), RollBack(by=ANNA)),
                *(Unkill(by=ANNA, reason="x"), Start(by=ANNA, confirm=True)),
                *(Advance(by=ANNA, force=True, reason="x"), ClearTrip(by=ANNA, reason="x")),
                AcceptStore(by=ANNA, reason="x"),
            ]
        )
    )
    def a_person_speaks(self, command: Spoken) -> None:
        """Whatever it is, and whatever they know."""
        self.give(command)

    @rule(is_new=st.booleans(), ticks=st.integers(1, 12))
    def a_runner_ticks(self, is_new: bool, ticks: int) -> None:
        """Nothing goes up past what a sender that is alive has obeyed."""
        runner = self.world.runner(wait=self.hear) if is_new else self.old
        runner._owner = "one"
        for _ in range(ticks):
            self.world.clock.advance(15.0)
            before = self.world.state
            after = runner.tick().state
            went_up = after is not None and (after.ceiling or 0) != before.ceiling
            if went_up and after is not None and after.state.value == "RUNNING":
                lacking = [each.lacking(self.world) for each in self.senders.values()]
                assert lacking == [set()] * len(NAMES)

    @rule(name=st.sampled_from(NAMES))
    def a_sender_looks(self, name: str) -> None:
        """Four times a second, or much more rarely."""
        self.senders[name].beat(self.world, name)

    @rule(name=st.sampled_from(NAMES))
    def a_sender_begins_anew(self, name: str) -> None:
        """It knows of nothing."""
        self.senders[name] = Process(self.world)

    @rule()
    def the_replica_catches_up(self) -> None:
        """It has everything, for now."""
        self.replica = copy.deepcopy(self.kept())

    @rule()
    def the_replica_is_promoted(self) -> None:
        """What it lacks is lost."""
        vars(self.world.store).update(copy.deepcopy(self.replica))

    @invariant()
    def nobody_goes_on_without_what_it_obeyed(self) -> None:
        """A look now, by anybody."""
        for process in getattr(self, "senders", {}).values():
            self.world.clock.advance(0.25)
            if process.poll.is_confirmed():
                process.check(self.world)


class FailoverTest(FailoverMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk through the machine; see FailoverMachine."""

    settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
