"""Bad rows, connections that die, a database that is away: the row stays, the caller is not kept waiting."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connections
from django.test import override_settings

from tests import databases
from tests.integration.django.project import project
from tests.integration.outbox.conftest import ON_POSTGRES, World
from webhooks_core.breaker import Admit, BreakerPolicy, Refused, Succeeded, Ticket
from webhooks_core.django import wiring, working
from webhooks_core.django.database_checks import check_database, check_outbox
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.django.stores.breakers import DatabaseBreakerStore
from webhooks_core.django.stores.line import DatabaseLine
from webhooks_core.endpoint import DEFAULT_ID
from webhooks_core.errors import ConfigError, StoreUnavailable

pytestmark = pytest.mark.network
NOW = 1_763_000_000.0


def damage(world: World, change: str) -> None:
    """Edit the table by hand."""
    with world.outbox.database.transaction() as cursor:
        cursor.execute(f"UPDATE webhooks_delivery SET {change}")


def assert_held(world: World, webhook_id: str, reason: str) -> None:
    """Hold the row to being there, held, with its reason."""
    row = world.outbox.find(webhook_id)
    assert row is not None
    assert row.state == "held"
    assert reason in row.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("body = '{\"event\":'", "cannot be read"),
        ("state = 'lost'", "state is not a known one"),
        ("endpoint_id = 'gone'", "endpoint is not configured"),
        ("event = 'Not A Name'", "event is not a valid name"),
    ],
    ids=["body", "state", "endpoint", "event"],
)
def test_a_damaged_row_is_held_with_its_reason_and_the_others_go_on(
    world: World, change: str, reason: str
) -> None:
    """The row stays visible; the worker ends well."""
    (broken,) = world.add(1)
    damage(world, change)
    (good,) = world.add(1)

    code, _, err = world.run("worker", "--once", "--poll", "0.1")

    assert code == 0, err
    if "endpoint" not in change:  # rows of unknown endpoints are looked for each minute
        assert_held(world, broken, reason)
    assert list(world.receiver.effects) == [good]


@pytest.mark.parametrize(
    ("key", "state"), [(None, "delivered"), ("match:1", "lost")], ids=["delivered", "lost-and-keyed"]
)
def test_a_scheduled_row_in_a_state_that_nobody_put_it_in_is_held_and_not_sent(
    world: World, key: str | None, state: str
) -> None:
    """It is not taken for pending when its moment comes, and the claim that looks at it does not fail."""
    (broken,) = world.add(1, ordering_key=key)
    damage(world, f"state = '{state}', turn = NULL, due_at = 1")
    (good,) = world.add(1, ordering_key=key)

    code, _, err = world.run("worker", "--once", "--poll", "0.1")

    assert code == 0, err
    assert_held(world, broken, "state is not a known one")
    assert list(world.receiver.effects) == [good]


def test_show_says_that_a_state_is_not_a_known_one(world: World) -> None:
    """A row that no worker finds any more is still listed, counted and explained."""
    (broken,) = world.add(1)
    damage(world, "state = 'lost', turn = NULL, due_at = NULL")

    listed = world.run("list")
    shown = world.run("show", broken)

    assert "In all: 1 lost" in listed[1]
    assert "next: nothing: its state is not a known one" in shown[1]


def test_a_lease_that_outlasts_its_process_is_shown_and_then_taken_over(world: World) -> None:
    """Who has it and until when; the clock of the lease is all that another worker waits for."""
    clock = [time.time()]
    outbox = DjangoOutbox(environment="test", using=world.alias, clock=lambda: clock[0])
    (webhook_id,) = world.add(1)
    (gone,) = outbox.claim(worker="w-gone", limit=1, lease_seconds=3_600.0, endpoints={DEFAULT_ID: 1})
    shown = world.run("show", webhook_id)[1]
    early = outbox.claim(worker="w2", limit=1, lease_seconds=15.0, endpoints={DEFAULT_ID: 1})
    clock[0] += 3_600
    (again,) = outbox.claim(worker="w2", limit=1, lease_seconds=15.0, endpoints={DEFAULT_ID: 1})

    assert "next: with w-gone until " in shown
    assert not early
    assert again.delivery.webhook_id == gone.delivery.webhook_id
    assert again.delivery.sent_before


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_a_number_that_is_none_holds_its_row_where_the_database_keeps_it(world: World) -> None:
    """SQLite alone keeps text where a number belongs; the row is held and the others go on."""
    (broken,) = world.add(1)
    damage(world, "attempt = 'many'")
    (good,) = world.add(1)

    code, _, err = world.run("worker", "--once", "--poll", "0.1")

    assert code == 0, err
    assert_held(world, broken, "numbers cannot be read")
    assert list(world.receiver.effects) == [good]


def test_a_call_that_does_not_come_back_can_be_interrupted(world: World) -> None:
    """The watchdog's way: another thread ends what a dead server would never answer; then all goes on."""
    outbox = world.outbox
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "postgresql": "SELECT pg_sleep(60)",
    }[connections[world.alias].vendor]
    connections[world.alias].ensure_connection()
    interrupt = outbox.database.interrupter()
    threading.Timer(0.3, interrupt).start()
    begun = time.monotonic()

    with pytest.raises(DatabaseError), outbox.database.transaction() as cursor:
        cursor.execute(slow)

    assert time.monotonic() - begun < 10
    assert outbox.next_due() is None


@ON_POSTGRES
def test_a_worker_goes_on_after_its_connections_were_cut(world: World) -> None:
    """PostgreSQL ends every backend of the worker in the middle of its work; nothing is lost."""
    ids = world.add(200)
    worker = world.start("worker", "--lease", "2", "--poll", "0.1", "--threads", "4")
    for _ in range(3):
        seen = world.receiver.requests
        end = time.monotonic() + 30
        while world.receiver.requests <= seen and time.monotonic() < end and seen < len(ids):
            time.sleep(0.01)
        with connections[world.alias].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    end = time.monotonic() + 60
    while len(world.receiver.effects) < len(ids) and time.monotonic() < end:
        time.sleep(0.05)
    worker.terminate()
    _, err = worker.communicate(timeout=30)

    assert worker.returncode == 0, err
    assert set(world.receiver.effects) == set(ids)
    assert set(world.receiver.effects.values()) == {1}


def test_a_question_that_takes_too_long_is_not_waited_for(world: World) -> None:
    """100 ms at most, and then not again for a second."""
    line = DatabaseLine(world.alias, wait_seconds=0.1)
    release = threading.Event()
    try:
        with pytest.raises(StoreUnavailable):
            line.ask(lambda: release.wait(5))
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            line.ask(lambda: None)
        assert time.monotonic() - begun < 0.05
    finally:
        release.set()
        line.close()


def test_a_breaker_store_whose_database_is_away_answers_from_what_it_knows(world: World) -> None:
    """Closed admits, open refuses, and nobody becomes a probe; once it is back, the shared state rules."""
    seconds = [0.0]
    store = DatabaseBreakerStore(
        BreakerPolicy(max_fails=1), environment="test", using=world.alias, wait_seconds=30.0,
        clock=lambda now: now, monotonic=lambda: seconds[0],
    )  # fmt: skip
    other = DatabaseBreakerStore(
        BreakerPolicy(max_fails=1), environment="test", using=world.alias, wait_seconds=30.0,
        clock=lambda now: now,
    )  # fmt: skip
    ticket = store.apply("a", Admit(), now=NOW).answer
    assert isinstance(ticket, Ticket)
    rename(world, "webhooks_breaker", "away")
    seconds[0] += 1
    alone = store.apply("a", Admit(), now=NOW).answer
    seconds[0] += 2
    rename(world, "away", "webhooks_breaker")
    open_it(other)
    refused = store.apply("a", Admit(), now=NOW + 1).answer
    rename(world, "webhooks_breaker", "away")
    seconds[0] += 2
    later = store.apply("a", Admit(token="me"), now=NOW + 3600).answer
    rename(world, "away", "webhooks_breaker")
    store.close()
    other.close()

    assert isinstance(alone, Ticket)
    assert isinstance(refused, Refused)
    assert later == Refused(retry_at=NOW + 3601)


def open_it(store: DatabaseBreakerStore) -> None:
    """Let one delivery fail."""
    from webhooks_core.breaker import Failed

    ticket = store.apply("a", Admit(), now=NOW).answer
    assert isinstance(ticket, Ticket)
    store.apply("a", Succeeded(ticket=ticket, count=0), now=NOW)
    store.apply("a", Failed(ticket=ticket), now=NOW)


def rename(world: World, before: str, after: str) -> None:
    """Take a table away, or bring it back."""
    with world.outbox.database.transaction() as cursor:
        cursor.execute(f"ALTER TABLE {before} RENAME TO {after}")


def ids_of(messages: list[Any]) -> list[str]:
    """The ids of check messages."""
    return [message.id for message in messages]


def test_checks_tell_how_the_outbox_is_kept(world: World, tmp_path: Path) -> None:
    """What the settings say and what the database says; the default alias is expected."""
    with override_settings(**project(WEBHOOKS={"ENGINE": "worker", "DATABASE": world.alias})):
        assert ids_of(check_outbox()) == ["webhooks.W007"]
        assert ids_of(check_database(databases=[world.alias])) == []
        assert ids_of(check_database(databases=None)) == []
    deferred = {**databases.sqlite(tmp_path / "deferred"), "OPTIONS": {}}
    with (
        databases.alias("deferred", deferred) as alias,
        override_settings(**project(WEBHOOKS={"ENGINE": "worker", "DATABASE": alias})),
    ):
        assert ids_of(check_outbox()) == ["webhooks.W004", "webhooks.W007"]
    with override_settings(**project(WEBHOOKS={"ENGINE": "worker", "DATABASE": "nowhere"})):
        assert ids_of(check_outbox()) == ["webhooks.E034"]
    with override_settings(**project(WEBHOOKS={"ENGINE": "inline"})):
        assert check_outbox() == []


def test_checks_tell_of_a_database_that_may_lose_what_was_committed(world: World) -> None:
    """SQLite without WAL, PostgreSQL with synchronous_commit off."""
    vendor = connections[world.alias].vendor
    change = {"sqlite": "PRAGMA journal_mode=DELETE", "postgresql": "SET synchronous_commit = off"}[vendor]
    with connections[world.alias].cursor() as cursor:
        cursor.execute(change)
    with override_settings(**project(WEBHOOKS={"ENGINE": "worker", "DATABASE": world.alias})):
        found = ids_of(check_database(databases=[world.alias]))

    assert found == ["webhooks.W005" if vendor == "sqlite" else "webhooks.W006"]


def test_a_worker_is_put_together_from_the_settings(world: World) -> None:
    """And only where the engine keeps rows."""
    with override_settings(**project(WEBHOOKS={"ENGINE": "worker", "DATABASE": world.alias})):
        working.shell()
        options = connections[world.alias].settings_dict["OPTIONS"]
        assert ("tcp_user_timeout" in options) is (connections[world.alias].vendor == "postgresql")
    inline = project(WEBHOOKS={"ENGINE": "inline"})
    with override_settings(**inline), pytest.raises(ConfigError):
        working.shell()
    wiring.sending.forget()
    assert DEFAULT_ID == "default"
