"""Stateful: the replay store against a model of claimed, done and forgotten ids (the contract §5)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from webhooks_core.stores.replay import Claim, ClaimOutcome, MemoryReplayStore

pytestmark = pytest.mark.slow

NOW = 1_763_000_000.0
LEASE, REMEMBER = 15, 1000
VALID = 330  # a signature cannot pass the verifier for longer: window and skew (§5)
IDS = st.sampled_from([f"00000000-0000-4000-8000-00000000000{n}" for n in range(4)])


@dataclass
class Held:
    """One claim: whose it is, whether it is done, and until when its id counts."""

    webhook_id: str
    signature: str
    owner: int
    until: float
    done: bool = False


class ReplayMachine(RuleBasedStateMachine):
    """Drive store and model with the same words; time only goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.store = MemoryReplayStore(lease_seconds=LEASE, remember_seconds=REMEMBER)
        self.held: list[Held] = []
        self.claims: list[tuple[Claim, int]] = []
        self.owners = 0
        self.seen: set[str] = set()
        self.latest: dict[str, str] = {}

    def allowed(self, webhook_id: str, signature: str) -> set[ClaimOutcome]:
        """What the contract lets a store answer now."""
        of_id = [each for each in self.held if each.webhook_id == webhook_id and self.now < each.until]
        if of_id:
            return {ClaimOutcome.DONE if of_id[0].done else ClaimOutcome.BUSY}
        others = [each for each in self.held if each.signature == signature and each.webhook_id != webhook_id]
        live = [each for each in others if self.now < each.until]
        if live:
            return {ClaimOutcome.DONE if each.done else ClaimOutcome.BUSY for each in live}
        # Seen in a claim that ran out, and not the latest one of this id: the contract promises neither to
        # remember it ("seen before") nor to forget it ("expires").
        seen = others or (signature in self.seen and self.latest.get(webhook_id) != signature)
        return {ClaimOutcome.NEW, ClaimOutcome.DONE} if seen else {ClaimOutcome.NEW}

    @rule(seconds=st.sampled_from([0.0, 0.5, 7.0, 14.5, 15.5, 100.0, 330.5, 899.5, 999.5, 1000.5]))
    def time_passes(self, seconds: float) -> None:
        """Up to the limits and over them, never exactly on one."""
        self.now += seconds + 0.001

    @rule(webhook_id=IDS, letter=st.sampled_from("abcde"))
    def somebody_claims(self, webhook_id: str, letter: str) -> None:
        """NEW where nothing stands in the way, DONE where something done does, BUSY otherwise."""
        signature = sha256(f"{self.now // VALID}{letter}".encode()).hexdigest()
        allowed = self.allowed(webhook_id, signature)
        claim = self.store.claim(webhook_id, signature, now=self.now)

        assert claim.outcome in allowed
        if claim.outcome is ClaimOutcome.NEW:
            self.owners += 1
            self.seen.add(signature)
            self.latest[webhook_id] = signature
            self.held.append(Held(webhook_id, signature, self.owners, until=self.now + LEASE))
            self.claims.append((claim, self.owners))

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 10**6), well=st.booleans())
    def a_handler_ends(self, pick: int, well: bool) -> None:
        """Done or given back by the claim's owner; a claim that another took over is no longer his."""
        claim, owner = self.claims.pop(pick % len(self.claims))
        mine = next((each for each in self.held if each.owner == owner), None)
        newer = mine and any(e.owner > owner and e.webhook_id == mine.webhook_id for e in self.held)
        ended = self.store.done(claim, now=self.now) if well else self.store.give_back(claim, now=self.now)

        if mine is None or newer:
            assert not ended
        elif not ended:
            assert self.now >= mine.until  # a store may insist on the lease
        elif well:
            mine.done, mine.until = True, self.now + REMEMBER
        else:
            self.held.remove(mine)
            if all(each.signature != mine.signature for each in self.held):
                self.seen.discard(mine.signature)

    @invariant()
    def what_is_done_is_never_new(self) -> None:
        """A done id within its time stays done, under any signature."""
        for each in self.held:
            if each.done and self.now < each.until:
                claim = self.store.claim(each.webhook_id, "f" * 64, now=self.now)
                assert claim.outcome is ClaimOutcome.DONE


class ReplayStoreTest(ReplayMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk through the machine; see ReplayMachine."""

    settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
