"""Stateful: breakers and replay stores on SQLite and PostgreSQL take the walk of the memory stores.

The models and their rules are those of test_breaker.py and test_replay_store.py; beside the model, memory
and database are told the same and must say the same.
"""

from __future__ import annotations

from itertools import count

import pytest
from django.db import connections
from hypothesis import settings

from tests.stateful.test_breaker import POLICY, BreakerMachine
from tests.stateful.test_redis_replay import Both
from tests.stateful.test_replay_store import LEASE, REMEMBER, ReplayMachine
from webhooks_core.breaker import Command, Step
from webhooks_core.django.stores.breakers import DatabaseBreakerStore
from webhooks_core.django.stores.replay import DatabaseReplayStore
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.stores.replay import MemoryReplayStore

pytestmark = pytest.mark.slow

ENVIRONMENTS = count()
WALKS = settings(max_examples=40, stateful_step_count=40, deadline=None)


class DatabaseBreakerMachine(BreakerMachine):
    """Three processes that take turns, each telling at once what it counted, and memory beside them."""

    alias = ""
    processes = 3

    def __init__(self) -> None:
        super().__init__()
        environment = f"walk{next(ENVIRONMENTS)}"
        self.stores = [
            DatabaseBreakerStore(
                POLICY,
                environment=environment,
                using=self.alias,
                snapshot_seconds=0.0,
                wait_seconds=30.0,
                clock=lambda now: now,
            )
            for _ in range(self.processes)
        ]
        self.memory = MemoryBreakerStore(POLICY)
        self.turn = 0

    def tell(self, command: Command) -> Step:
        """One command through the store whose turn it is; memory gives the same answer and the same state."""
        self.turn += 1
        store = self.stores[self.turn % self.processes]
        step = store.apply("main", command, now=self.now)
        state = store.state("main", now=self.now)
        twin = self.memory.apply("main", command, now=self.now)
        assert (step.answer, step.changes) == (twin.answer, twin.changes)
        assert state == self.memory.state("main", now=self.now)
        self.state = state
        return Step(state=state, answer=step.answer, changes=step.changes)

    def teardown(self) -> None:
        """An endpoint that was never used is closed."""
        assert self.stores[0].state("other", now=self.now).state == "closed"
        for store in self.stores:
            store.close()


class DatabaseReplayMachine(ReplayMachine):
    """The same walk over a database and memory side by side."""

    alias = ""

    def __init__(self) -> None:
        super().__init__()
        with connections[self.alias].cursor() as cursor:
            cursor.execute("DELETE FROM webhooks_seenwebhook")
            cursor.execute("DELETE FROM webhooks_seensignature")
        database = DatabaseReplayStore(using=self.alias, lease_seconds=LEASE, remember_seconds=REMEMBER)
        memory = MemoryReplayStore(lease_seconds=LEASE, remember_seconds=REMEMBER)
        self.store = Both(database, memory)  # type: ignore[assignment]


class SqliteBreakerMachine(DatabaseBreakerMachine):
    """On a file."""

    alias = "walk_sqlite"


class PostgresBreakerMachine(DatabaseBreakerMachine):
    """On a server."""

    alias = "walk_postgres"


class SqliteReplayMachine(DatabaseReplayMachine):
    """On a file."""

    alias = "walk_sqlite"


class PostgresReplayMachine(DatabaseReplayMachine):
    """On a server."""

    alias = "walk_postgres"


@pytest.mark.usefixtures("walked_sqlite")
class SqliteBreakerTest(SqliteBreakerMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk; see DatabaseBreakerMachine."""

    settings = WALKS


@pytest.mark.postgres
@pytest.mark.usefixtures("walked_postgres")
class PostgresBreakerTest(PostgresBreakerMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk; see DatabaseBreakerMachine."""

    settings = WALKS


@pytest.mark.usefixtures("walked_sqlite")
class SqliteReplayTest(SqliteReplayMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk; see DatabaseReplayMachine."""

    settings = WALKS


@pytest.mark.postgres
@pytest.mark.usefixtures("walked_postgres")
class PostgresReplayTest(PostgresReplayMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk; see DatabaseReplayMachine."""

    settings = WALKS
