"""What every rollout store must do, as tests: subclass, say how to build yours, run.

    class TestMyStore(RolloutStoreContract):
        def make_store(self, clock): return MyStore(clock=clock)

No test library is imported: the methods are plain assertions that pytest collects from the subclass. The
invariant: moments are given by a clock that only the suite moves; nothing sleeps. Explained in
docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from rollout.actor import Actor
from rollout.commands import AcceptStore, Command, Pause, RollBack, Start
from rollout.controller import Step, step
from rollout.errors import StoreConflict
from rollout.flags import FlagKey
from rollout.journal import replay, verify
from rollout.plan import Plan
from rollout.rollout_state import RolloutState, State
from rollout.situation import Situation
from rollout.stores.base import MAX_LEASE_SECONDS, Fence, RolloutStore
from rollout.testing.clock import ManualClock

__all__ = ["RolloutStoreContract"]

_NOW = 1_763_000_000.0
_FLAG, _OTHER = FlagKey("tournament-webhooks"), FlagKey("other-webhooks")
_ANNA = Actor(name="user:17", authenticated=True)
_THREADS = 8


class RolloutStoreContract:
    """What a `RolloutStore` must do."""

    def make_store(self, clock: ManualClock) -> RolloutStore:
        """Return a new, empty store that takes *clock* for its own."""
        raise NotImplementedError

    def made(self) -> tuple[RolloutStore, ManualClock]:
        """Return an empty store and its clock, which stands at one fixed moment."""
        clock = ManualClock(_NOW)
        return self.make_store(clock), clock

    def written(self, store: RolloutStore, command: Command, *, flag: FlagKey = _FLAG) -> Step:
        """Let *command* be followed and written, as a person's."""
        state = store.load(flag)
        made = step(state, command, Situation(now=store.now(), plan=Plan(flag=flag)))
        store.swap(made.state, made.entry, expected_version=state.version)
        return made

    def test_its_clock_is_the_one_it_was_given(self) -> None:
        """Leases and bake times use the store's clock, which a test can move."""
        store, clock = self.made()

        clock.advance(1.5)

        assert store.now() == _NOW + 1.5

    def test_a_flag_never_seen_is_not_started(self) -> None:
        """No row: version 0, no ceiling, an empty journal."""
        store, _ = self.made()

        state = store.load(_FLAG)

        assert state == RolloutState(flag=_FLAG)
        assert list(store.journal(_FLAG)) == []

    def test_what_was_written_is_read(self) -> None:
        """State and journal entry come back as they were, to the last digit."""
        store, clock = self.made()
        clock.advance(0.123456)

        made = self.written(store, Start(by=_ANNA, reason="first tournament"))

        assert store.load(_FLAG) == made.state
        assert list(store.journal(_FLAG)) == [made.entry]

    def test_a_write_on_top_of_another_version_is_refused(self) -> None:
        """Compare and swap: the second of two writers that read the same version changes nothing."""
        store, _ = self.made()
        first = self.written(store, Start(by=_ANNA))
        late = step(RolloutState(flag=_FLAG), RollBack(by=_ANNA), Situation(now=_NOW, plan=Plan(flag=_FLAG)))

        refused = _refused(lambda: store.swap(late.state, late.entry, expected_version=0))

        assert refused
        assert store.load(_FLAG) == first.state
        assert list(store.journal(_FLAG)) == [first.entry]

    def test_a_version_that_does_not_grow_is_refused(self) -> None:
        """The version only grows, whoever writes."""
        store, _ = self.made()
        first = self.written(store, Start(by=_ANNA))

        refused = _refused(lambda: store.swap(first.state, None, expected_version=first.state.version))

        assert refused

    def test_an_entry_that_does_not_continue_the_journal_is_refused(self) -> None:
        """Nothing is put into the chain but at its end, and no state without its entry."""
        store, _ = self.made()
        first = self.written(store, Start(by=_ANNA))
        assert first.entry is not None
        paused = step(first.state, Pause(by=_ANNA), Situation(now=_NOW, plan=Plan(flag=_FLAG)))
        assert paused.entry is not None
        forged = replace(paused.entry, previous="")

        for entry in (None, forged, first.entry):
            assert _refused(lambda entry=entry: store.swap(paused.state, entry, expected_version=1))  # type: ignore[misc]

        assert store.load(_FLAG) == first.state

    def test_progress_is_written_without_an_entry(self) -> None:
        """Bake time grows from tick to tick and is no change that the journal tells."""
        store, _ = self.made()
        first = self.written(store, Start(by=_ANNA))
        grown = replace(
            first.state,
            version=first.state.version + 1,
            progress=replace(first.state.progress, baked_seconds=12.5, ticked_at=_NOW, evidence='{"a":1}'),
        )

        store.swap(grown, None, expected_version=first.state.version)

        assert store.load(_FLAG) == grown
        assert len(store.journal(_FLAG)) == 1

    def test_the_journal_verifies_and_replays_to_the_state(self) -> None:
        """Start, pause, roll back: a chain that ends at the state's head, and leads to the state."""
        store, clock = self.made()
        for command in (Start(by=_ANNA), Pause(by=_ANNA, reason="lunch"), RollBack(by=_ANNA, reason="5xx")):
            clock.advance(1.0)
            self.written(store, command)

        entries, state = list(store.journal(_FLAG)), store.load(_FLAG)

        assert verify(entries, head=state.head) == state.head
        assert replay(_FLAG, entries).without_progress() == state.without_progress()
        assert state.state is State.ROLLING_BACK

    def test_the_journal_is_read_in_parts(self) -> None:
        """Oldest first, from a version on, at most so many."""
        store, _ = self.made()
        made = [self.written(store, command) for command in (Start(by=_ANNA), Pause(by=_ANNA))]
        made.append(self.written(store, RollBack(by=_ANNA)))

        part = store.journal(_FLAG, after_version=made[0].state.version, limit=1)

        assert list(part) == [made[1].entry]

    def test_flags_do_not_mix(self) -> None:
        """Each flag has a state, a journal and a fence of its own."""
        store, _ = self.made()

        self.written(store, Start(by=_ANNA))
        held = store.take_fence(_FLAG, "a", lease_seconds=30)
        other = store.take_fence(_OTHER, "b", lease_seconds=30)

        assert store.load(_OTHER) == RolloutState(flag=_OTHER)
        assert list(store.journal(_OTHER)) == []
        assert held is not None
        assert other is not None

    def test_of_many_writers_one_wins_each_version(self) -> None:
        """Threads that start the same rollout: one state, one entry."""
        store, _ = self.made()
        barrier, wins = threading.Barrier(_THREADS), []

        def start() -> None:
            state = store.load(_FLAG)
            made = step(state, Start(by=_ANNA), Situation(now=_NOW, plan=Plan(flag=_FLAG)))
            barrier.wait()
            if not _refused(lambda: store.swap(made.state, made.entry, expected_version=state.version)):
                wins.append(made)

        _in_threads(start)

        assert len(wins) == 1
        assert list(store.journal(_FLAG)) == [wins[0].entry]

    def test_one_holds_the_fence(self) -> None:
        """While a lease runs, nobody else gets it; renewing keeps the token."""
        store, clock = self.made()
        first = _taken(store, "a")

        clock.advance(29.0)
        other = store.take_fence(_FLAG, "b", lease_seconds=30)
        renewed = _taken(store, "a")

        assert other is None
        assert (renewed.token, renewed.expires_at) == (first.token, clock.now + 30)

    def test_of_many_who_want_the_fence_one_gets_it(self) -> None:
        """Threads of different owners: one fence."""
        store, _ = self.made()
        barrier, held, names = threading.Barrier(_THREADS), [], iter(range(_THREADS))

        def take() -> None:
            owner = f"runner-{next(names)}"
            barrier.wait()
            fence = store.take_fence(_FLAG, owner, lease_seconds=30)
            if fence is not None:
                held.append(fence)

        _in_threads(take)

        assert len(held) == 1

    def test_who_lost_the_fence_writes_nothing_more(self) -> None:
        """A runner that slept through its lease finds a higher token, and is refused."""
        store, clock = self.made()
        old = _taken(store, "a")
        clock.advance(31.0)

        new = _taken(store, "b")
        made = step(store.load(_FLAG), Start(by=_ANNA), Situation(now=_NOW, plan=Plan(flag=_FLAG)))
        refused = _refused(lambda: store.swap(made.state, made.entry, expected_version=0, fence=old))
        store.swap(made.state, made.entry, expected_version=0, fence=new)

        assert refused
        assert new.token > old.token
        assert store.load(_FLAG) == made.state

    def test_a_lease_that_ran_out_while_nobody_took_it_still_writes(self) -> None:
        """What was decided need not be decided again."""
        store, clock = self.made()
        fence = _taken(store, "a")
        clock.advance(31.0)

        made = step(store.load(_FLAG), Start(by=_ANNA), Situation(now=_NOW, plan=Plan(flag=_FLAG)))
        store.swap(made.state, made.entry, expected_version=0, fence=fence)

        assert store.load(_FLAG) == made.state

    def test_taking_what_ran_out_gives_a_higher_token_even_to_the_same(self) -> None:
        """A pause longer than the lease is not passed over."""
        store, clock = self.made()
        old = _taken(store, "a")

        clock.advance(31.0)

        assert _taken(store, "a").token > old.token

    def test_a_fence_from_before_the_clock_went_back_is_not_waited_for(self) -> None:
        """Its owner may be dead, and nobody would guard the rollout for as long as the step was."""
        store, clock = self.made()
        old = _taken(store, "a")

        clock.now = old.expires_at - MAX_LEASE_SECONDS
        within = store.take_fence(_FLAG, "b", lease_seconds=30)
        clock.now -= 1.0
        new = _taken(store, "b")

        assert within is None
        assert new.token > old.token

    def test_a_fence_can_be_given_back(self) -> None:
        """Another gets it at once; giving back one that is not held any more changes nothing."""
        store, _ = self.made()
        old = _taken(store, "a")

        store.give_back(old)
        new = _taken(store, "b")
        store.give_back(old)

        assert new.token > old.token
        assert store.take_fence(_FLAG, "a", lease_seconds=30) is None

    def test_a_heartbeat_tells_what_a_sender_obeys(self) -> None:
        """Epoch, when it was first told, when it was last seen, and its lease."""
        store, clock = self.made()
        store.beat("web-1/7/1.0", {_FLAG: 3}, lease_seconds=5.0)

        clock.advance(2.0)
        store.beat("web-1/7/1.0", {_FLAG: 3}, lease_seconds=6.0)
        (sender,) = store.senders(_FLAG)

        assert (sender.name, sender.epoch) == ("web-1/7/1.0", 3)
        assert (sender.acknowledged_at, sender.seen_at) == (_NOW, _NOW + 2.0)
        assert sender.lease_seconds == 6.0

    def test_a_heartbeat_without_a_word_on_a_flag_counts_as_obeying_nothing(self) -> None:
        """Every live sender must acknowledge, those that never heard of the flag too."""
        store, _ = self.made()

        store.beat("a", {_OTHER: 9}, lease_seconds=5.0)
        store.beat("b", {}, lease_seconds=5.0)

        assert [(each.name, each.epoch) for each in store.senders(_FLAG)] == [("a", 0), ("b", 0)]

    def test_a_heartbeat_tells_which_file_stops_its_host(self) -> None:
        """The last word counts; without one nothing stops it."""
        store, _ = self.made()
        store.beat("a", {}, lease_seconds=5.0, stopped_by="'/kill' is there")
        store.beat("b", {}, lease_seconds=5.0, stopped_by="'/kill' is there")

        store.beat("b", {}, lease_seconds=5.0)

        assert [each.stopped_by for each in store.senders(_FLAG)] == ["'/kill' is there", ""]

    def test_an_acknowledged_epoch_is_never_taken_back(self) -> None:
        """A lower one by the same name is kept as the higher: what was seen shows that a store went back."""
        store, clock = self.made()
        store.beat("a", {_FLAG: 5}, lease_seconds=5.0)
        clock.advance(1.0)

        store.beat("a", {_FLAG: 4}, lease_seconds=5.0)
        (sender,) = store.senders(_FLAG)

        assert (sender.epoch, sender.acknowledged_at, sender.seen_at) == (5, _NOW, _NOW + 1.0)

    def test_what_a_waiting_sender_had_seen_is_told_by_its_last_heartbeat(self) -> None:
        """Of each flag that it knows; without a word it waits no more."""
        store, _ = self.made()
        store.beat("a", {_FLAG: 5}, lease_seconds=0.0, seen={_FLAG: 8, _OTHER: 3})
        store.beat("b", {_FLAG: 5}, lease_seconds=0.0, seen={_FLAG: 9})

        store.beat("b", {_FLAG: 5}, lease_seconds=5.0)

        assert [each.seen_version for each in store.senders(_FLAG)] == [8, 0]
        assert [each.seen_version for each in store.senders(_OTHER)] == [3, 0]

    def test_an_accepted_store_forgets_what_had_been_seen_of_another(self) -> None:
        """Of every flag, with the write, and with no other; epochs and leases stay."""
        store, clock = self.made()
        self.written(store, Start(by=_ANNA))
        store.beat("a", {_FLAG: 5}, lease_seconds=4.0, seen={_FLAG: 8, _OTHER: 3})
        told = store.senders(_FLAG)
        clock.advance(1.0)
        self.written(store, Pause(by=_ANNA))
        kept = store.senders(_FLAG)

        self.written(store, AcceptStore(by=_ANNA, reason="restored"))

        assert kept == told
        assert store.senders(_FLAG) == [replace(told[0], seen_version=0)]
        assert [each.seen_version for each in store.senders(_OTHER)] == [0]


def _taken(store: RolloutStore, owner: str) -> Fence:
    fence = store.take_fence(_FLAG, owner, lease_seconds=30)
    assert fence is not None
    return fence


def _refused(write: Callable[[], None]) -> bool:
    try:
        write()
    except StoreConflict:
        return True
    return False


def _in_threads(call: Callable[[], None]) -> None:
    threads = [threading.Thread(target=call) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
