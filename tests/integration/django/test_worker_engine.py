"""`dispatch` as it is without a word about the engine: one row in the caller's transaction, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django.plugin import DjangoDbBlocker

from rollout.django import Event, adispatch, adispatch_many, dispatch, dispatch_many
from tests import databases
from tests.integration.django.project import Override
from webhooks_core.delivery import Held
from webhooks_core.django import wiring
from webhooks_core.django.models import Delivery
from webhooks_core.testing import FakeTransport
from webhooks_core.testing.captured import outbox as captured
from webhooks_core.testing.captured import real_delivery

DATA = {"tournament_id": 101}


@pytest.fixture
def records(using: Override) -> Iterator[None]:
    """A project whose events are recorded, for real."""
    with using(100), real_delivery():
        yield
    wiring.sending.forget()


def send(number: int = 101, **more: Any) -> Any:
    """Record one event."""
    return dispatch("payment_verified", {"tournament_id": number}, tournament_id=number, **more)


@pytest.mark.django_db(transaction=True)
def test_an_event_is_one_row_with_what_an_attempt_must_know(records: None) -> None:
    """Bytes, unit, position, scheme, environment, and why the gate let it in."""
    sent = send()

    row = Delivery.objects.get()
    assert (row.webhook_id, row.event, row.endpoint_id) == (
        sent.webhook_ids[0],
        "payment_verified",
        "default",
    )
    assert (row.state, row.environment, row.unit, row.scheme) == ("pending", "test", "101", "timestamped")
    assert row.admitted_by == sent.decision.reason
    assert row.position == f"{sent.decision.position:016x}"
    assert b'"tournament_id":101' in bytes(row.body)


@pytest.mark.django_db(transaction=True)
def test_it_is_one_insert_in_a_savepoint(records: None) -> None:
    """Issue 3: nothing else is on the request's path."""
    send()
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        send()

    kinds = [query["sql"].split()[0] for query in queries.captured_queries]
    assert kinds == ["SAVEPOINT", "INSERT", "RELEASE"]


@pytest.mark.django_db(transaction=True)
def test_many_events_are_one_insert(records: None) -> None:
    """And each has its answer."""
    events = [
        Event(event="payment_verified", data={"tournament_id": n}, context={"tournament_id": n})
        for n in range(5)
    ]
    events.append(Event(event="payment_verified", data={"colour": "x"}, context={"tournament_id": 9}))
    dispatch_many(events)
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        answers = dispatch_many(events)

    assert [bool(answer) for answer in answers] == [True] * 5 + [False]
    assert [query["sql"].split()[0] for query in queries.captured_queries].count("INSERT") == 1
    assert Delivery.objects.count() == 10


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_leaves_no_row(records: None) -> None:
    """The event did not happen."""
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        send()
        raise ZeroDivisionError

    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_insert_that_fails_leaves_the_callers_transaction_alone(
    records: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The row is refused inside its savepoint; what the caller did commits."""
    monkeypatch.setattr(wiring, "new_delivery_id", lambda: "00000000-0000-4000-8000-000000000001")
    with transaction.atomic():
        assert send(1)
        refused = send(2)

    assert not refused
    assert refused.decision.reason == "ERROR"
    assert Delivery.objects.count() == 1
    assert "Webhook dispatch failed: event=payment_verified, error=ConfigError" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_another_database_than_the_outboxs_is_refused(
    records: None, tmp_path: Path, caplog: pytest.LogCaptureFixture, django_db_blocker: DjangoDbBlocker
) -> None:
    """The row and the change it tells of could not commit together."""
    with databases.alias("other", databases.sqlite(tmp_path / "other.sqlite3")):
        refused = send(using="other")

    assert not refused
    assert not Delivery.objects.exists()
    assert "setting=using, problem=is other and the outbox is on default" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_an_ordering_key_is_kept_with_the_row(records: None) -> None:
    """It is looked at before it becomes ready."""
    send(ordering_key="match:42")
    too_long = send(ordering_key="x" * 201)

    row = Delivery.objects.get()
    assert (row.ordering_key, row.turn) == ("match:42", None)
    assert not too_long


def test_async_twins_record_the_same_rows(
    using: Override, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """`adispatch` and `adispatch_many` await the INSERT; on a file, because another thread writes it.

    That thread outlives the test, and its connections do: no other test has this alias.
    """
    with (
        django_db_blocker.unblock(),
        databases.alias("twins", databases.sqlite(tmp_path / "twins.sqlite3")) as name,
        using(100, WEBHOOKS={"DATABASE": name}),
        real_delivery(),
    ):
        databases.migrated(name)

        async def main() -> list[bool]:
            one = await adispatch("payment_verified", DATA, tournament_id=101, using=name)
            event = Event(event="payment_verified", data=DATA, context={"tournament_id": 101})
            many = await adispatch_many([event, event], using=name)
            plain = dispatch("payment_verified", DATA, tournament_id=101, using=name)
            await sync_to_async(lambda: connections[name].close())()
            return [bool(one), *map(bool, many), bool(plain)]

        answers = asyncio.run(main())
        count = Delivery.objects.using(name).count()
    wiring.sending.forget()

    assert answers == [True] * 4
    assert count == 4


@pytest.mark.django_db(transaction=True)
def test_in_tests_events_are_captured_with_this_engine_too(using: Override) -> None:
    """The same outbox of tests, whatever the engine."""
    with using(100):
        send()

    assert captured.events() == ["payment_verified"]
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_closed_gate_costs_no_query(using: Override) -> None:
    """Off is off."""
    with using(0), real_delivery(), CaptureQueriesContext(connection) as queries:
        sent = send()

    assert not sent
    assert len(queries) == 0


@pytest.mark.django_db(transaction=True)
def test_what_the_gate_stops_at_send_time_is_held(using: Override, wire: FakeTransport) -> None:
    """Contract §3: the row knows what the gate is asked again with; nothing is sent."""
    with using(100):
        send()
    with using(0):
        sending = wiring.sending()
        assert sending.outbox is not None
        (claimed,) = sending.outbox.claim(
            worker="w", limit=1, lease_seconds=15, endpoints={sending.endpoints["default"].id: 1}
        )
        settlement = sending.sender.attempt(claimed.delivery, sending.endpoints["default"])
    wiring.sending.forget()

    assert isinstance(settlement, Held)
    assert claimed.delivery.admitted_by is not None
    assert wire.sent == []


@pytest.mark.parametrize(("engine", "waits"), [("worker", (60.0, 600.0)), ("inline", ())])
def test_the_slow_tier_is_for_engines_that_keep_rows(
    using: Override, wire: FakeTransport, engine: str, waits: tuple[float, ...]
) -> None:
    """Contract §6: durable; the inline engine ends with its last fast attempt."""
    with using(WEBHOOKS={"ENGINE": engine, "SLOW_RETRIES": [60, 600]}):
        sending = wiring.sending()
        tests = wiring.sender_of_tests(sending.transport)

    assert sending.sender.retry.slow_seconds == waits
    assert (tests.retry.max_attempts, tests.retry.slow_seconds) == (1, ())
