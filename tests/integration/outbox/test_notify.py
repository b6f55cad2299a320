"""`WEBHOOKS["NOTIFY"]`: PostgreSQL tells listening workers of committed rows; a hint, and no more."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import pytest
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.integration.django.project import project
from tests.integration.outbox.conftest import ON_POSTGRES, World
from webhooks_core.django import listening, wiring, working
from webhooks_core.django.database_checks import check_outbox
from webhooks_core.django.listening import Ear
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.envelope import seal
from webhooks_core.settlement import Delivery
from webhooks_core.worker.events import OutboxFailed

pytestmark = [pytest.mark.network, pytest.mark.postgres]
PATIENCE = 20.0  # what is heard at once on a quiet machine
SILENCE = 0.3  # so long nothing must be heard


class Listener:
    """An ear in a thread of its own, and what it heard."""

    def __init__(self, alias: str) -> None:
        self.heard: SimpleQueue[None] = SimpleQueue()
        self.told: SimpleQueue[OutboxFailed] = SimpleQueue()
        self.ended = threading.Event()
        ear = Ear(alias, "test", worker="w1", tell=self.told.put)
        hint = lambda: self.heard.put(None)  # noqa: E731
        self.thread = threading.Thread(target=ear, args=(hint, self.ended))
        self.thread.start()

    def hears(self, *, within: float = PATIENCE) -> bool:
        """Whether a hint comes in time."""
        try:
            self.heard.get(timeout=within)
        except Empty:
            return False
        return True

    def end(self) -> None:
        """End it, as a worker does."""
        self.ended.set()
        self.thread.join(PATIENCE)


@pytest.fixture
def listener(postgres: World) -> Iterator[Listener]:
    """A listener on the outbox's database that has heard the hint with which it begins."""
    found = Listener(postgres.alias)
    assert found.hears()
    yield found
    found.end()
    assert not found.thread.is_alive()


@pytest.fixture
def postgres(world: World) -> World:
    """The world on PostgreSQL; on SQLite there is nobody to tell."""
    if not world.outbox.database.is_postgres:
        pytest.fail("asked for on SQLite")
    return world


def outbox(world: World, *, environment: str = "test") -> DjangoOutbox:
    """An outbox that tells."""
    return DjangoOutbox(environment=environment, using=world.alias, notify=True)


def delivery() -> Delivery:
    """A new one."""
    webhook_id = str(uuid.uuid4())
    body = seal("payment_verified", {"tournament_id": 101}, webhook_id=webhook_id).body
    return Delivery(webhook_id=webhook_id, event="payment_verified", body=body, created_at=time.time())


@ON_POSTGRES
def test_rows_are_told_of_when_they_are_committed_and_only_then(postgres: World, listener: Listener) -> None:
    """Not before, nor of what was undone, nor of another environment's, nor where that is not wanted."""
    with pytest.raises(RuntimeError), transaction.atomic(using=postgres.alias):
        outbox(postgres).add(delivery())
        raise RuntimeError("undone")
    outbox(postgres, environment="staging").add(delivery())
    postgres.outbox.add(delivery())
    with transaction.atomic(using=postgres.alias), CaptureQueriesContext(_of(postgres)) as queries:
        outbox(postgres).add(delivery())
        before = listener.hears(within=SILENCE)

    assert (before, listener.hears()) == (False, True)
    kinds = [query["sql"].split()[0] for query in queries.captured_queries]
    assert kinds == ["SAVEPOINT", "WITH", "RELEASE"]  # by the INSERT itself


def _of(world: World) -> BaseDatabaseWrapper:
    """The connection of this thread."""
    connection: BaseDatabaseWrapper = connections[world.alias]
    return connection


@ON_POSTGRES
def test_a_line_that_is_cut_is_told_once_and_opened_again(
    postgres: World, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile the worker polls; what was committed in between is hinted at by the new line."""
    monkeypatch.setattr(listening, "AGAIN_SECONDS", 0.05)
    with connections[postgres.alias].cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
        )

    heard_again = listener.hears()
    outbox(postgres).add(delivery())

    assert (heard_again, listener.hears()) == (True, True)
    failed = listener.told.get(timeout=PATIENCE)
    assert (failed.operation, failed.worker) == ("listen", "w1")
    assert listener.told.empty()


@ON_POSTGRES
@pytest.mark.slow
def test_a_worker_that_listens_sends_long_before_its_poll(
    postgres: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll of ten minutes, and the event is there."""
    monkeypatch.setenv("TEST_NOTIFY", "yes")
    postgres.start("worker", "--poll", "600")
    (first,) = postgres.add(1)
    until = time.monotonic() + PATIENCE
    while not postgres.receiver.effects[first] and time.monotonic() < until:
        time.sleep(0.02)

    later = delivery()
    outbox(postgres).add(later)
    while not postgres.receiver.requests > 1 and time.monotonic() < until:
        time.sleep(0.02)

    assert postgres.receiver.requests == 2


@ON_POSTGRES
def test_by_the_settings_workers_listen_where_events_are_told(postgres: World) -> None:
    """One key for both sides."""
    table = {"ENGINE": "worker", "DATABASE": postgres.alias}
    with override_settings(**project(WEBHOOKS={**table, "NOTIFY": True})):
        tells, listens = wiring.sending().outbox, working.shell()._listen
    with override_settings(**project(WEBHOOKS=table)):
        silent, deaf = wiring.sending().outbox, working.shell()._listen
    wiring.sending.forget()

    assert tells is not None
    assert silent is not None
    assert (tells.notifies, isinstance(listens, Ear)) == (True, True)
    assert (silent.notifies, deaf) == (False, None)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_on_sqlite_nobody_is_told_and_a_check_says_so(world: World) -> None:
    """Workers poll."""
    table = {"ENGINE": "worker", "DATABASE": world.alias, "NOTIFY": True}
    with override_settings(**project(WEBHOOKS=table)):
        listens = working.shell()._listen
        found = [message.id for message in check_outbox()]
    wiring.sending.forget()
    outbox(world).add(delivery())

    assert listens is None
    assert found == ["webhooks.W015", "webhooks.W007"]
    assert world.states() == {"pending"}
