"""Stateful: the replay store in Redis takes the walk of the memory store, and answers as that one does."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.redis_server import connection, forget
from tests.stateful.test_replay_store import LEASE, REMEMBER, ReplayMachine
from webhooks_core.stores.redis_connection import StoreClock
from webhooks_core.stores.redis_replay import RedisReplayStore
from webhooks_core.stores.replay import Claim, MemoryReplayStore, ReplayStore

pytestmark = [pytest.mark.network, pytest.mark.redis, pytest.mark.slow]


class Both:
    """Two stores that are told the same, and must say the same."""

    def __init__(self, one: ReplayStore, other: ReplayStore) -> None:
        self.one, self.other = one, other
        self.twins: dict[int, Claim] = {}

    def claim(self, webhook_id: str, signature: str | None, *, now: float) -> Claim:
        """The claim of the one; the other's is kept beside it."""
        claim = self.one.claim(webhook_id, signature, now=now)
        twin = self.other.claim(webhook_id, signature, now=now)
        assert (claim.outcome, claim.retry_after_seconds) == (twin.outcome, twin.retry_after_seconds)
        self.twins[id(claim)] = twin
        self.kept = [*getattr(self, "kept", []), claim]  # so that no id is used twice
        return claim

    def done(self, claim: Claim, *, now: float) -> bool:
        """The same answer of both."""
        ended = self.one.done(claim, now=now)
        assert ended == self.other.done(self.twins[id(claim)], now=now)
        return ended

    def give_back(self, claim: Claim, *, now: float) -> bool:
        """The same answer of both."""
        ended = self.one.give_back(claim, now=now)
        assert ended == self.other.give_back(self.twins[id(claim)], now=now)
        return ended


class RedisReplayMachine(ReplayMachine):
    """The same walk over Redis and memory side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.used = connection()
        redis = RedisReplayStore(
            self.used, lease_seconds=LEASE, remember_seconds=REMEMBER, clock=StoreClock.CALLER
        )
        memory = MemoryReplayStore(lease_seconds=LEASE, remember_seconds=REMEMBER)
        self.store = Both(redis, memory)  # type: ignore[assignment]

    def teardown(self) -> None:
        """Leave nothing behind."""
        forget(self.used)


class RedisReplayStoreTest(RedisReplayMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk through the machine; see RedisReplayMachine."""

    settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
