"""The rollouts in each database against the suite that every store passes."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from rollout.django.store import TABLE, DjangoRolloutStore
from rollout.stores.base import RolloutStore
from rollout.testing import ManualClock, RolloutStoreContract
from tests import databases
from webhooks_core.django.outbox.database import Database

pytestmark = pytest.mark.network


class DjangoRolloutStoreSuite(RolloutStoreContract):
    """Over the alias that a subclass opens."""

    alias = ""

    def make_store(self, clock: ManualClock) -> RolloutStore:
        """A store on emptied tables."""
        with connections[self.alias].cursor() as cursor:
            for table in ("rollout_rollout", "rollout_journalentry", "rollout_sender"):
                cursor.execute(f"DELETE FROM {table}")
        database = Database(self.alias, clock=clock, machine_clock=clock, monotonic=clock, table=TABLE)
        return DjangoRolloutStore(database, environment="test")


class TestSQLite(DjangoRolloutStoreSuite):
    """A file."""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _open(
        cls, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
    ) -> Iterator[None]:
        name = f"rollouts_{uuid.uuid4().hex[:8]}"
        settings = databases.sqlite(tmp_path_factory.mktemp("rollouts") / "db.sqlite3")
        with django_db_blocker.unblock(), databases.alias(name, settings):
            databases.migrated(name)
            cls.alias = name
            yield


@pytest.mark.postgres
class TestPostgreSQL(DjangoRolloutStoreSuite):
    """A database on the server."""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _open(cls, postgres_template: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
        name = f"rollouts_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        with (
            django_db_blocker.unblock(),
            databases.postgres_database(name, template=postgres_template),
            databases.alias(name, databases.postgres(name)),
        ):
            cls.alias = name
            yield
            connections[name].close()


@pytest.fixture(autouse=True)
def _close_what_threads_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite's threads end with connections of their own: each call there closes its own."""
    for method in ("swap", "load", "take_fence", "beat", "journal", "senders"):
        monkeypatch.setattr(DjangoRolloutStore, method, _closing(getattr(DjangoRolloutStore, method)))


def _closing(call: Callable[..., Any]) -> Callable[..., Any]:
    def closing(self: DjangoRolloutStore, *args: Any, **options: Any) -> Any:
        return databases.close_in_threads(self.database.alias, call)(self, *args, **options)

    return closing


def test_the_stores_clock_is_the_servers_own_where_none_is_given() -> None:
    """On SQLite this machine's."""
    store = DjangoRolloutStore(
        Database("default", clock=None, machine_clock=time.time, monotonic=time.monotonic, table=TABLE),
        environment="test",
    )

    assert abs(store.now() - time.time()) < 5
