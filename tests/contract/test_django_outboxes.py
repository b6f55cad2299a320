"""The outbox on SQLite and on PostgreSQL passes the suite of its port."""

from __future__ import annotations

import pytest

from tests.databases import close_in_threads
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.outbox.base import SettleSink
from webhooks_core.testing.contracts.outbox import HandClock, OutboxContract, OutboxUnderTest


class OnDatabase(OutboxContract):
    """How to open the store on the alias of this test."""

    alias: str

    def make_outbox(
        self, *, clock: HandClock, environment: str, sink: SettleSink | None = None
    ) -> OutboxUnderTest:
        outbox = DjangoOutbox(environment=environment, using=self.alias, sink=sink, clock=clock)
        outbox.claim = close_in_threads(self.alias, outbox.claim)  # type: ignore[method-assign]
        return outbox


class TestSqliteOutbox(OnDatabase):
    """A file in WAL."""

    @pytest.fixture(autouse=True)
    def _database(self, on_sqlite: str) -> None:
        self.alias = on_sqlite


@pytest.mark.postgres
class TestPostgresOutbox(OnDatabase):
    """A server."""

    @pytest.fixture(autouse=True)
    def _database(self, on_postgres: str) -> None:
        self.alias = on_postgres
