"""The breaker, rate and replay stores on SQLite and on PostgreSQL pass the suites of their ports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import close_in_threads
from webhooks_core.breaker import BreakerPolicy
from webhooks_core.django.stores.breakers import DatabaseBreakerStore
from webhooks_core.django.stores.replay import DatabaseReplayStore
from webhooks_core.stores.breakers import BreakerStore
from webhooks_core.stores.replay import ReplayStore
from webhooks_core.testing.contracts import BreakerStoreContract, ReplayStoreContract

PATIENT = 30.0  # on a busy machine a store must not be taken for one that is away


class Breakers(BreakerStoreContract):
    """How to open the store on the alias of this test; each store has an environment of its own."""

    alias: str
    opened_stores: list[DatabaseBreakerStore]

    def make_store(self, policy: BreakerPolicy) -> BreakerStore:
        store = DatabaseBreakerStore(
            policy,
            environment=f"e{len(self.opened_stores)}",
            using=self.alias,
            wait_seconds=PATIENT,
            clock=lambda now: now,
        )
        self.opened_stores.append(store)
        return store

    def begin(self, alias: str) -> Iterator[None]:
        self.alias, self.opened_stores = alias, []
        yield
        for store in self.opened_stores:
            store.close()


class TestSqliteBreakerStore(Breakers):
    """A file in WAL."""

    @pytest.fixture(autouse=True)
    def _database(self, on_sqlite: str) -> Iterator[None]:
        yield from self.begin(on_sqlite)


@pytest.mark.postgres
class TestPostgresBreakerStore(Breakers):
    """A server."""

    @pytest.fixture(autouse=True)
    def _database(self, on_postgres: str) -> Iterator[None]:
        yield from self.begin(on_postgres)


class Replays(ReplayStoreContract):
    """How to open the store on the alias of this test."""

    alias: str

    def make_store(self, *, lease_seconds: float, remember_seconds: float) -> ReplayStore:
        store = DatabaseReplayStore(
            using=self.alias, lease_seconds=lease_seconds, remember_seconds=remember_seconds
        )
        store.claim = close_in_threads(self.alias, store.claim)  # type: ignore[method-assign]
        return store


class TestSqliteReplayStore(Replays):
    """A file in WAL."""

    @pytest.fixture(autouse=True)
    def _database(self, on_sqlite: str) -> None:
        self.alias = on_sqlite


@pytest.mark.postgres
class TestPostgresReplayStore(Replays):
    """A server."""

    @pytest.fixture(autouse=True)
    def _database(self, on_postgres: str) -> None:
        self.alias = on_postgres
