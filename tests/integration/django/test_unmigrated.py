"""Both apps installed and nobody has migrated: the application goes on, and it is said what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import WARNING
from django.core.management import call_command
from django.db import OperationalError, connections, transaction
from pytest_django.plugin import DjangoDbBlocker

from rollout.django import dispatch
from tests import databases
from tests.integration.django.project import SECRET, Override
from webhooks_core.django import schema, wiring
from webhooks_core.django.database_checks import check_database
from webhooks_core.envelope import seal
from webhooks_core.keys import KeyRing
from webhooks_core.signer import sign
from webhooks_core.testing.captured import real_delivery
from webhooks_core.verifier import Verified

COMMAND = "manage.py migrate webhooks"


@pytest.fixture(params=databases.KINDS)
def alias(
    request: pytest.FixtureRequest, using: Override, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A project that sends, its outbox on a database without a table of ours."""
    with django_db_blocker.unblock(), real_delivery():
        if request.param == "sqlite":
            with databases.alias("bare", databases.sqlite(tmp_path / "bare.sqlite3")) as name:
                yield from _projects(name, using)
        else:
            made = f"rollout_bare_{os.getpid()}"
            with databases.postgres_database(made), databases.alias("bare", databases.postgres(made)) as name:
                yield from _projects(name, using)


def _projects(name: str, using: Override) -> Iterator[str]:
    with using(WEBHOOKS={"DATABASE": name}):
        yield name
    wiring.sending.forget()


def command(*arguments: str) -> tuple[int, str]:
    """Run a command of ours; return its exit code and what it said."""
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("webhooks", *arguments, stdout=said, stderr=said)
    code: Any = ended.value.code
    return code, said.getvalue()


def test_dispatch_does_not_raise_and_the_log_says_what_to_do(
    alias: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And what the caller did in its transaction commits."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute("CREATE TABLE payment (id integer)")
        sent = dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101, using=alias)
        cursor.execute("INSERT INTO payment VALUES (1)")

    assert (bool(sent), sent.decision.reason) == (False, "ERROR")
    assert connections[alias].introspection.table_names() == ["payment"]
    (line,) = [record.getMessage() for record in caplog.records if record.name == "webhooks"]
    assert line.startswith("Webhook dispatch failed: event=payment_verified, error=")
    assert line.endswith(COMMAND)


@pytest.mark.parametrize("arguments", [("worker",), ("list",)], ids=["worker", "list"])
def test_a_command_says_what_to_do_and_ends(alias: str, arguments: tuple[str, ...]) -> None:
    """Exit code 4: a worker without tables would only fill the log."""
    code, said = command(*arguments)

    assert code == 4
    assert COMMAND in said


def test_the_check_of_the_database_says_it_until_it_is_migrated(alias: str) -> None:
    """A warning: `migrate` runs these checks itself, and an error would keep it from making the tables."""
    before = [message for message in check_database(databases=[alias]) if message.id == "webhooks.W008"]
    databases.migrated(alias)
    after = [message for message in check_database(databases=[alias]) if message.id == "webhooks.W008"]

    assert [message.level for message in before] == [WARNING]
    assert COMMAND in str(before[0].hint)
    assert after == []


def test_a_table_that_is_older_than_the_code_is_said_too(alias: str) -> None:
    """New code before its migrations: the order of an upgrade was missed."""
    databases.migrated(alias)
    with connections[alias].cursor() as cursor:
        cursor.execute("ALTER TABLE webhooks_delivery DROP COLUMN unit")

    code, said = command("worker", "--once")

    assert (code, COMMAND in said) == (4, True)


def test_other_errors_of_a_database_are_not_taken_for_it() -> None:
    """A locked database, somebody else's table."""
    for text in ("database is locked", "no such table: shop_order", ""):
        assert not schema.is_behind(OperationalError(text))
    assert not schema.is_behind(ValueError("no such table: webhooks_delivery"))


def test_a_receiver_asks_for_the_webhook_again_and_says_what_to_do(
    alias: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever upgrades a receiver has its ids in the database from then on: 503, never a handled one lost."""
    webhook_id = "550e8400-e29b-41d4-a716-446655440000"
    body = seal("payment_verified", {"tournament_id": 101}, webhook_id=webhook_id).body
    keys, now = KeyRing.of(SECRET), wiring.clock()
    handled: list[Verified] = []
    wiring.observer.forget()  # its line comes once in a while only

    receiver = wiring.receiver(handled.append)
    answer = receiver.receive(
        sign(body, event="payment_verified", webhook_id=webhook_id, keys=keys, now=now), body
    )

    assert (answer.status, handled) == (503, [])
    assert COMMAND in caplog.text
