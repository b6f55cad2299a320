"""The suite of the port `BreakerStore`; see `contracts/__init__` for how to run it.

Invariant: moments are given, never read; nothing sleeps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from webhooks_core.breaker import (
    Admit,
    BreakerPolicy,
    Cancelled,
    Failed,
    Force,
    ForcedMode,
    Refused,
    Release,
    State,
    Succeeded,
    Ticket,
)
from webhooks_core.stores.breakers import BreakerStore
from webhooks_core.testing.contracts.threads import THREADS, in_threads

NOW = 1_763_000_000.0


class BreakerStoreContract(ABC):
    """What a `BreakerStore` must do."""

    @abstractmethod
    def make_store(self, policy: BreakerPolicy) -> BreakerStore:
        """Return a new, empty store."""

    def admitted(self, store: BreakerStore, *, now: float, endpoint: str = "a") -> Ticket:
        """Return the ticket that the breaker gives at *now*; fail where it refuses."""
        answer = store.apply(endpoint, Admit(), now=now).answer
        assert isinstance(answer, Ticket)
        return answer

    def refused(self, store: BreakerStore, *, now: float, endpoint: str = "a") -> float:
        """Return when to ask again; fail where the breaker does not refuse at *now*."""
        answer = store.apply(endpoint, Admit(), now=now).answer
        assert isinstance(answer, Refused)
        return answer.retry_at

    def fail(self, store: BreakerStore, times: int, *, now: float, endpoint: str = "a") -> None:
        """Let *times* deliveries fail at *now*."""
        for _ in range(times):
            ticket = self.admitted(store, now=now, endpoint=endpoint)
            store.apply(endpoint, Failed(ticket=ticket), now=now)

    def opened(self, **policy: float) -> BreakerStore:
        """Return a store whose breaker `a` opened at NOW."""
        store = self.make_store(BreakerPolicy(**policy))  # type: ignore[arg-type]
        self.fail(store, store.policy.max_fails, now=NOW)
        return store

    def test_an_unknown_endpoint_is_closed(self) -> None:
        """A breaker that was never seen admits."""
        store = self.make_store(BreakerPolicy())

        ticket = self.admitted(store, now=NOW)

        assert not ticket.is_probe
        assert store.state("a", now=NOW).state is State.CLOSED

    def test_opens_at_the_fifth_failure_for_sixty_seconds(self) -> None:
        """Four failures change nothing; the fifth opens for OPEN_SECONDS."""
        store = self.make_store(BreakerPolicy())
        self.fail(store, 4, now=NOW)
        before = store.state("a", now=NOW).state

        self.fail(store, 1, now=NOW)

        assert before is State.CLOSED
        assert self.refused(store, now=NOW + 59.9) == NOW + 60.0

    def test_the_window_is_exact(self) -> None:
        """A failure exactly WINDOW seconds old counts; one a millisecond older does not."""
        inside, outside = self.make_store(BreakerPolicy()), self.make_store(BreakerPolicy())
        for store in (inside, outside):
            self.fail(store, 4, now=NOW)

        self.fail(inside, 1, now=NOW + 120.0)
        self.fail(outside, 1, now=NOW + 120.001)

        assert inside.state("a", now=NOW + 121).state is State.OPEN
        assert outside.state("a", now=NOW + 121).state is State.CLOSED

    def test_opens_only_when_half_of_the_deliveries_failed(self) -> None:
        """Six successes outweigh five failures; a sixth failure is half."""
        store = self.make_store(BreakerPolicy())
        for _ in range(6):
            store.apply("a", Succeeded(ticket=self.admitted(store, now=NOW)), now=NOW)

        self.fail(store, 5, now=NOW + 1)
        at_five = store.state("a", now=NOW + 1).state
        self.fail(store, 1, now=NOW + 1)

        assert at_five is State.CLOSED
        assert store.state("a", now=NOW + 1).state is State.OPEN

    def test_endpoints_do_not_share_a_breaker(self) -> None:
        """What opens one endpoint leaves another closed."""
        store = self.opened()

        ticket = self.admitted(store, now=NOW, endpoint="b")

        assert not ticket.is_probe

    def test_one_thread_gets_the_probe(self) -> None:
        """Of eight threads that ask once the open time is over, one is the probe and seven are refused."""
        store = self.opened()

        answers = in_threads(lambda number: store.apply("a", Admit(token=str(number)), now=NOW + 60.0).answer)

        assert sorted(isinstance(answer, Ticket) for answer in answers) == [False] * 7 + [True]

    def test_a_good_probe_closes_and_forgets(self) -> None:
        """After a good probe four more failures do not open."""
        store = self.opened()
        probe = self.admitted(store, now=NOW + 60)

        store.apply("a", Succeeded(ticket=probe), now=NOW + 61)
        self.fail(store, 4, now=NOW + 61)

        assert probe.is_probe
        assert store.state("a", now=NOW + 61).state is State.CLOSED

    def test_bad_probes_double_the_open_time_up_to_ten_minutes(self) -> None:
        """60, 120, 240, 480, 600, 600 seconds."""
        store = self.opened()
        now, lengths = NOW, []
        for _ in range(6):
            retry_at = self.refused(store, now=now)
            lengths.append(retry_at - now)
            now = retry_at
            store.apply("a", Failed(ticket=self.admitted(store, now=now)), now=now)

        assert lengths == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0]

    def test_a_failed_probe_is_not_another_opening(self) -> None:
        """Openings are counted CLOSED to OPEN only."""
        store = self.opened()

        store.apply("a", Failed(ticket=self.admitted(store, now=NOW + 60)), now=NOW + 60)

        assert store.state("a", now=NOW + 61).openings_within_day(now=NOW + 61) == 1

    def test_a_lost_probe_is_replaced_when_its_lease_runs_out(self) -> None:
        """One second before the end of the lease nobody gets the probe; at the end the next one does."""
        store = self.opened(probe_lease_seconds=15.0)
        lost = self.admitted(store, now=NOW + 60)

        retry_at = self.refused(store, now=NOW + 74)
        second = self.admitted(store, now=NOW + 75)
        store.apply("a", Succeeded(ticket=lost), now=NOW + 76)

        assert retry_at == NOW + 75
        assert second.is_probe
        assert store.state("a", now=NOW + 76).state is State.HALF_OPEN

    def test_a_cancelled_probe_goes_to_the_next(self) -> None:
        """A probe that is given back says nothing, and the next to ask gets it at once."""
        store = self.opened()
        store.apply("a", Cancelled(ticket=self.admitted(store, now=NOW + 60)), now=NOW + 60)

        second = self.admitted(store, now=NOW + 60)

        assert second.is_probe

    def test_results_of_an_older_generation_are_ignored(self) -> None:
        """A success that was admitted before the opening neither closes nor counts."""
        store = self.make_store(BreakerPolicy())
        old = self.admitted(store, now=NOW)
        self.fail(store, 5, now=NOW)

        store.apply("a", Succeeded(ticket=old), now=NOW + 1)
        store.apply("a", Failed(ticket=old), now=NOW + 1)

        assert self.refused(store, now=NOW + 2) == NOW + 60.0

    def test_9999_never_opens(self) -> None:
        """MAX_FAILS of 9999 switches the breaker off."""
        store = self.make_store(BreakerPolicy(max_fails=9_999))

        self.fail(store, 10_000, now=NOW)

        assert store.state("a", now=NOW).state is State.CLOSED

    def test_a_person_can_open_and_the_word_expires_into_a_probe(self) -> None:
        """Forced open refuses until its expiry; then the next to ask is a probe. It is no opening."""
        store = self.make_store(BreakerPolicy())
        word = Force(mode=ForcedMode.FORCED_OPEN, actor="ops", reason="maintenance", until=NOW + 600)

        store.apply("a", word, now=NOW)

        assert self.refused(store, now=NOW + 599) == NOW + 600
        assert self.admitted(store, now=NOW + 600).is_probe
        assert store.state("a", now=NOW + 600).openings_within_day(now=NOW + 600) == 0

    def test_a_person_can_close_and_release(self) -> None:
        """Forced closed admits whatever fails; once released failures open again."""
        store = self.opened()
        word = Force(mode=ForcedMode.FORCED_CLOSED, actor="ops", reason="known good", until=NOW + 600)
        store.apply("a", word, now=NOW)
        self.fail(store, 20, now=NOW + 1)
        forced = store.state("a", now=NOW + 1).state

        store.apply("a", Release(actor="ops", reason="done"), now=NOW + 2)
        self.fail(store, 1, now=NOW + 2)

        assert forced is State.CLOSED
        assert store.state("a", now=NOW + 2).state is State.OPEN

    def test_no_success_is_lost_between_threads(self) -> None:
        """Eight threads tell of 500 successes each: 4,000 are counted."""
        store = self.make_store(BreakerPolicy())

        def succeed(_: int) -> None:
            for _ in range(500):
                store.apply("a", Succeeded(ticket=self.admitted(store, now=NOW)), now=NOW)

        in_threads(succeed)

        assert sum(cell.successes for cell in store.state("a", now=NOW).cells) == THREADS * 500
