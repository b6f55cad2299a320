"""The stores in Redis pass the suites that their ports ship; the moments are the suites' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import connection, forget
from webhooks_core.breaker import BreakerPolicy
from webhooks_core.stores.breakers import BreakerStore
from webhooks_core.stores.redis_breakers import RedisBreakerStore
from webhooks_core.stores.redis_connection import RedisConnection, StoreClock
from webhooks_core.stores.redis_replay import RedisReplayStore
from webhooks_core.stores.replay import ReplayStore
from webhooks_core.testing.contracts import BreakerStoreContract, ReplayStoreContract

pytestmark = [pytest.mark.network, pytest.mark.redis]


class _OnRedis:
    """Make stores that share nothing with any other test."""

    @pytest.fixture(autouse=True)
    def _connections(self) -> Iterator[None]:
        self.used: list[RedisConnection] = []
        yield
        for each in self.used:
            forget(each)

    def fresh(self) -> RedisConnection:
        """A connection under a name that nobody else has."""
        self.used.append(connection())
        return self.used[-1]


class TestRedisBreakerStore(_OnRedis, BreakerStoreContract):
    """As it is used: a state may be a quarter of a second old."""

    def make_store(self, policy: BreakerPolicy) -> BreakerStore:
        return RedisBreakerStore(self.fresh(), policy, clock=StoreClock.CALLER)


class TestRedisBreakerStoreThatAlwaysAsks(_OnRedis, BreakerStoreContract):
    """Without a snapshot: each question goes to Redis."""

    def make_store(self, policy: BreakerPolicy) -> BreakerStore:
        return RedisBreakerStore(self.fresh(), policy, clock=StoreClock.CALLER, snapshot_seconds=0)


class TestRedisReplayStore(_OnRedis, ReplayStoreContract):
    """The memory of receivers."""

    def make_store(self, *, lease_seconds: float, remember_seconds: float) -> ReplayStore:
        return RedisReplayStore(
            self.fresh(),
            lease_seconds=lease_seconds,
            remember_seconds=remember_seconds,
            clock=StoreClock.CALLER,
        )
