"""Stateful: the replay store against a model of claimed, done and forgotten ids (the contract §5)."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from webhooks_core.stores.replay import Claim, MemoryReplayStore, Outcome

NOW = 1_763_000_000.0
LEASE, REMEMBER = 15, 1000
IDS = st.sampled_from([f"00000000-0000-4000-8000-00000000000{n}" for n in range(4)])
SIGNATURES = st.sampled_from([digit * 64 for digit in "abcde"])


@dataclass
class Held:
    """One remembered id: its signature, whether it is done, and until when it counts."""

    webhook_id: str
    signature: str
    owner: int
    done: bool
    until: float


class ReplayMachine(RuleBasedStateMachine):
    """Drive store and model with the same words; time only goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.store = MemoryReplayStore(lease_seconds=LEASE, remember_seconds=REMEMBER)
        self.held: list[Held] = []
        self.claims: list[tuple[Claim, int]] = []
        self.owners = 0

    def blocking(self, webhook_id: str, signature: str) -> list[Held]:
        """What stands in the way of a claim now."""
        self.held = [each for each in self.held if self.now < each.until]
        return [each for each in self.held if webhook_id == each.webhook_id or signature == each.signature]

    @rule(seconds=st.sampled_from([0.0, 0.5, 7.0, 14.5, 15.5, 100.0, 899.5, 999.5, 1000.5]))
    def time_passes(self, seconds: float) -> None:
        """Up to the limits and over them, never exactly on one."""
        self.now += seconds + 0.001

    @rule(webhook_id=IDS, signature=SIGNATURES)
    def somebody_claims(self, webhook_id: str, signature: str) -> None:
        """NEW where nothing stands in the way, DONE where something done does, BUSY otherwise."""
        blocking = self.blocking(webhook_id, signature)
        claim = self.store.claim(webhook_id, signature, now=self.now)

        if not blocking:
            assert claim.outcome is Outcome.NEW
            self.owners += 1
            self.held.append(Held(webhook_id, signature, self.owners, done=False, until=self.now + LEASE))
            self.claims.append((claim, self.owners))
        elif len({each.done for each in blocking}) == 1:
            assert claim.outcome is (Outcome.DONE if blocking[0].done else Outcome.BUSY)
        else:
            assert claim.outcome in {Outcome.DONE, Outcome.BUSY}

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 10**6), well=st.booleans())
    def a_handler_ends(self, pick: int, well: bool) -> None:
        """Done or given back, by the claim's owner, perhaps long after its lease ran out."""
        claim, owner = self.claims.pop(pick % len(self.claims))
        mine = [each for each in self.held if each.owner == owner and self.now < each.until and not each.done]
        if well:
            self.store.done(claim, now=self.now)
            for each in mine:
                each.done, each.until = True, self.now + REMEMBER
        else:
            self.store.give_back(claim, now=self.now)
            self.held = [each for each in self.held if each not in mine]

    @invariant()
    def nothing_new_is_forgotten(self) -> None:
        """A done id within its time is never new again."""
        for each in self.held:
            if each.done and self.now < each.until:
                assert self.store.claim(each.webhook_id, each.signature, now=self.now).outcome is Outcome.DONE


class ReplayStoreTest(ReplayMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk through the machine; see ReplayMachine."""

    settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
