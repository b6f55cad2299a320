"""`dispatch` with the engine `celery`: a row, and after the commit a message that may get lost."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery
from celery.app import app_or_default
from django.core.management import call_command
from django.db import connection, transaction
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from rollout.django import Event, adispatch, dispatch, dispatch_many
from tests import databases
from tests.integration.django.project import project
from webhooks_core.django import hinting, wiring
from webhooks_core.django.models import Delivery
from webhooks_core.testing.captured import real_delivery

QUEUE = "test.webhooks"
DATA = {"tournament_id": 101}


@contextmanager
def project_on(broker: str, **changes: Any) -> Iterator[Celery]:
    """A project that records events, whose Celery app has *broker*."""
    before = app_or_default()
    app = Celery("project", broker=broker, **changes)
    try:
        with override_settings(**project(100, WEBHOOKS={"ENGINE": "celery"})), real_delivery():
            yield app
    finally:
        app.close()
        before.set_current()
        hinting._forget()
        wiring.sending.forget()


@pytest.fixture
def app() -> Iterator[Celery]:
    """A project whose broker is this process's memory."""
    with project_on("memory://") as app:
        yield app


def messages(app: Celery) -> list[Any]:
    """Take everything out of the queue."""
    found = []
    with app.connection_for_read() as line, line.SimpleQueue(QUEUE) as queue:
        while queue.qsize():
            message = queue.get_nowait()
            message.ack()
            found.append(message)
    return found


def ids(app: Celery) -> list[Any]:
    """The arguments of the messages in the queue."""
    return [json.loads(message.body)[0] for message in messages(app)]


def send(number: int = 101, **more: Any) -> Any:
    """Record one event."""
    return dispatch("payment_verified", {"tournament_id": number}, tournament_id=number, **more)


@pytest.mark.django_db(transaction=True)
def test_a_message_goes_out_once_the_transaction_has_committed(app: Celery) -> None:
    """Not before, and it holds the id alone: JSON, no eta, no retries, no countdown."""
    with transaction.atomic():
        sent = send()
        before = messages(app)

    (message,) = messages(app)
    assert before == []
    assert json.loads(message.body)[:2] == [[sent.webhook_ids[0]], {}]
    assert message.content_type == "application/json"
    assert message.headers["task"] == "webhooks.deliver"
    assert (message.headers["eta"], message.headers["retries"]) == (None, 0)
    assert message.headers["ignore_result"] is True


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_it_goes_out_at_once(app: Celery) -> None:
    """The row has committed by itself."""
    sent = send()

    assert ids(app) == [[sent.webhook_ids[0]]]


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_sends_no_message(app: Celery) -> None:
    """Nor does one that somebody else's savepoint takes back."""
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        send()
        raise ZeroDivisionError

    assert messages(app) == []
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_events_are_one_message_a_batch(app: Celery) -> None:
    """70 rows: one for each 64 that a worker claims at a time."""
    events = [
        Event(event="payment_verified", data={"tournament_id": n}, context={"tournament_id": n})
        for n in range(70)
    ]

    with transaction.atomic():
        answers = dispatch_many(events)

    assert ids(app) == [[answers[0].webhook_ids[0]], [answers[64].webhook_ids[0]]]


@pytest.mark.django_db(transaction=True)
def test_where_the_caller_manages_transactions_a_sweep_finds_the_row(app: Celery) -> None:
    """Django tells of no commit then: the row is kept, and no error comes of it."""
    connection.set_autocommit(False)
    try:
        sent = send()
        connection.commit()
    finally:
        connection.set_autocommit(True)

    assert sent
    assert messages(app) == []
    assert Delivery.objects.count() == 1


def test_in_an_event_loop_a_message_goes_out_too(
    app: Celery, tmp_path: Any, django_db_blocker: DjangoDbBlocker
) -> None:
    """From `dispatch` and from `adispatch`, and the loop does not wait for the broker."""
    with (
        django_db_blocker.unblock(),
        databases.alias("file", databases.sqlite(tmp_path / "file.sqlite3")) as name,
        override_settings(**project(100, WEBHOOKS={"ENGINE": "celery", "DATABASE": name})),
    ):
        databases.migrated(name)

        async def main() -> set[str]:
            one = dispatch("payment_verified", DATA, tournament_id=101, using=name)
            two = await adispatch("payment_verified", DATA, tournament_id=101, using=name)
            return {*one.webhook_ids, *two.webhook_ids}

        sent = asyncio.run(main())
        hint = hinting._hint()
        assert hint is not None
        hint._thread.submit(int).result(30)  # what was before it in the line is done

    assert {found[0] for found in ids(app)} == sent
    assert len(sent) == 2


@pytest.mark.django_db(transaction=True)
def test_the_sweep_command_tells_celerys_workers(app: Celery, capsys: pytest.CaptureFixture[str]) -> None:
    """For those who have cron and no beat; where nothing is ready nobody is told."""
    call_command("webhooks", "sweep")
    before = messages(app)
    send()
    messages(app)

    call_command("webhooks", "sweep")

    (message,) = messages(app)
    assert before == []
    assert message.headers["task"] == "webhooks.sweep"
    assert message.headers["expires"]
    assert "Celery's workers were told." in capsys.readouterr().out


def refusing() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.network
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["amqp", "redis"])
@pytest.mark.parametrize("kind", ["refusing", "silent"])
def test_a_broker_that_is_away_costs_a_bounded_time_once_and_no_event(
    scheme: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody listens, or somebody accepts and never says a word: the caller goes on, and the row is there."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        port = silent.getsockname()[1] if kind == "silent" else refusing()
        with project_on(
            f"{scheme}://127.0.0.1:{port}//" if scheme == "amqp" else f"redis://127.0.0.1:{port}/0"
        ):
            begun = time.monotonic()
            with transaction.atomic():
                first = send(1)
            waited = time.monotonic() - begun
            begun = time.monotonic()
            second = send(2)
            waited_again = time.monotonic() - begun

    assert first
    assert second
    assert waited < 3.0  # one second, and what a busy machine takes
    assert waited_again < 0.9
    assert {row.state for row in Delivery.objects.all()} == {"pending"}
    told = [line for line in caplog.messages if line.startswith("Webhook hint not sent: engine=celery")]
    assert len(told) == 1
