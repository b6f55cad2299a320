"""The suite of the port `ReplayStore`; see `contracts/__init__` for how to run it.

Invariant: moments are given, never read; nothing sleeps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from webhooks_core.stores.replay import ClaimOutcome, ReplayStore
from webhooks_core.testing.contracts.threads import in_threads

NOW = 1_763_000_000.0


class ReplayStoreContract(ABC):
    """What a `ReplayStore` must do."""

    ID = "550e8400-e29b-41d4-a716-446655440000"
    OTHER_ID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
    SIGNATURE = "ab" * 32
    OTHER_SIGNATURE = "cd" * 32
    LEASE_SECONDS = 15.0
    REMEMBER_SECONDS = 900.0

    @abstractmethod
    def make_store(self, *, lease_seconds: float, remember_seconds: float) -> ReplayStore:
        """Return a new, empty store."""

    def store(self) -> ReplayStore:
        """Return a new store with the lease and the memory of this suite."""
        return self.make_store(lease_seconds=self.LEASE_SECONDS, remember_seconds=self.REMEMBER_SECONDS)

    def test_of_many_threads_one_wins(self) -> None:
        """Eight threads claim one id: one is told NEW, seven BUSY."""
        store = self.store()

        claims = in_threads(lambda _: store.claim(self.ID, self.SIGNATURE, now=NOW))

        outcomes = sorted(claim.outcome for claim in claims)
        assert outcomes == [ClaimOutcome.BUSY] * 7 + [ClaimOutcome.NEW]

    def test_a_done_id_stays_done(self) -> None:
        """Until the memory runs out a done id is DONE, under a new signature too."""
        store = self.store()
        store.done(store.claim(self.ID, self.SIGNATURE, now=NOW), now=NOW)

        late = store.claim(self.ID, self.OTHER_SIGNATURE, now=NOW + self.REMEMBER_SECONDS - 1)

        assert late.outcome is ClaimOutcome.DONE

    def test_a_claim_that_is_given_back_can_be_claimed_again(self) -> None:
        """The handler failed: the sender's next attempt is handled."""
        store = self.store()
        given_back = store.give_back(store.claim(self.ID, self.SIGNATURE, now=NOW), now=NOW + 1)

        again = store.claim(self.ID, self.OTHER_SIGNATURE, now=NOW + 2)

        assert given_back
        assert again.outcome is ClaimOutcome.NEW

    def test_a_claim_whose_process_died_expires(self) -> None:
        """Before its lease ends an id is BUSY; then it is NEW, and the late worker's word is refused."""
        store = self.store()
        lost = store.claim(self.ID, self.SIGNATURE, now=NOW)

        before = store.claim(self.ID, self.OTHER_SIGNATURE, now=NOW + self.LEASE_SECONDS - 1)
        after = store.claim(self.ID, self.OTHER_SIGNATURE, now=NOW + self.LEASE_SECONDS)

        assert before.outcome is ClaimOutcome.BUSY
        assert after.outcome is ClaimOutcome.NEW
        assert not store.done(lost, now=NOW + self.LEASE_SECONDS + 1)
        assert store.done(after, now=NOW + self.LEASE_SECONDS + 1)

    def test_a_signature_that_was_seen_is_not_new_under_another_id(self) -> None:
        """A captured request under a fresh id is refused."""
        store = self.store()
        store.done(store.claim(self.ID, self.SIGNATURE, now=NOW), now=NOW)

        replayed = store.claim(self.OTHER_ID, self.SIGNATURE, now=NOW + 1)

        assert replayed.outcome is ClaimOutcome.DONE

    def test_without_a_signature_only_the_id_counts(self) -> None:
        """Where no timestamp is signed two equal bodies are two webhooks."""
        store = self.store()
        store.done(store.claim(self.ID, None, now=NOW), now=NOW)

        other = store.claim(self.OTHER_ID, None, now=NOW + 1)

        assert other.outcome is ClaimOutcome.NEW

    def test_only_the_holder_can_end_a_claim(self) -> None:
        """A claim that found BUSY or DONE cannot be ended."""
        store = self.store()
        holder = store.claim(self.ID, self.SIGNATURE, now=NOW)
        busy = store.claim(self.ID, self.OTHER_SIGNATURE, now=NOW)

        assert not store.done(busy, now=NOW)
        assert not store.give_back(busy, now=NOW)
        assert store.done(holder, now=NOW)
