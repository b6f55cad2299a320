"""System checks of the outbox's database, where the engine keeps rows.

What the settings say is checked always; what only the database knows, with `manage.py check --database`.
Invariant: nothing here writes. docs/reference/checks.md lists each id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.core.checks import CheckMessage, Error, Warning
from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseError

from webhooks_core.django import conf, schema

VENDORS = ("sqlite", "postgresql")


def check_outbox(**_kwargs: object) -> list[CheckMessage]:
    """Report what the settings say about the outbox's database."""
    found = conf.current()
    return list(_settings(found.database, notify=found.notify)) if found.engine != "inline" else []


def _settings(alias: str, *, notify: bool) -> Iterator[CheckMessage]:
    if alias not in connections.settings:
        yield Error(
            'WEBHOOKS["DATABASE"] is not the alias of a database in DATABASES.',
            hint="Events cannot be recorded until it is.",
            id="webhooks.E034",
        )
        return
    connection = connections[alias]
    if connection.vendor not in VENDORS:
        yield Error(
            f"The outbox is on {connection.vendor}; it needs SQLite or PostgreSQL.",
            hint='Name another one of DATABASES in WEBHOOKS["DATABASE"].',
            id="webhooks.E034",
        )
        return
    mode = str(connection.settings_dict.get("OPTIONS", {}).get("transaction_mode", "")).upper()
    if connection.vendor == "sqlite" and mode not in ("IMMEDIATE", "EXCLUSIVE"):
        yield Warning(
            "The outbox is on SQLite, and transactions are not IMMEDIATE: one that reads before it writes "
            'may fail with "database is locked".',
            hint='Set "transaction_mode": "IMMEDIATE" in OPTIONS of that database.',
            id="webhooks.W004",
        )
    if notify and connection.vendor != "postgresql":
        yield Warning(
            'WEBHOOKS["NOTIFY"] has no effect: the outbox is not on PostgreSQL.',
            hint="Workers find new rows by their poll, within a second.",
            id="webhooks.W015",
        )
    if alias != DEFAULT_DB_ALIAS:
        yield Warning(
            "The outbox is not on the default database: an event can be recorded only in a transaction on "
            "the outbox's.",
            hint="Call dispatch with using= that alias.",
            id="webhooks.W007",
        )


def check_database(*, databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Ask the outbox's database how it keeps what was committed."""
    found = conf.current()
    if found.engine == "inline" or found.database not in (databases or ()):
        return []
    try:
        return list(_asked(found.database))
    except DatabaseError:  # Django's own checks say that it is away
        return []


def _asked(alias: str) -> Iterator[CheckMessage]:
    connection = connections[alias]
    try:
        schema.look(alias)
    except DatabaseError:
        yield Warning(
            "The outbox's tables are not there, or older than this code.",
            hint="Run manage.py migrate webhooks. Until then no event is recorded: the log says so.",
            id="webhooks.W008",
        )
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA journal_mode")
            if cursor.fetchone()[0] == "delete":
                yield Warning(
                    "The outbox is on SQLite without WAL: readers and writers wait for each other.",
                    hint='Set "init_command": "PRAGMA journal_mode=WAL" in OPTIONS of that database.',
                    id="webhooks.W005",
                )
        elif connection.vendor == "postgresql":
            cursor.execute("SHOW synchronous_commit")
            if cursor.fetchone()[0] == "off":
                yield Warning(
                    "The outbox is on PostgreSQL with synchronous_commit off: a crash of the server may lose "
                    "events that were committed.",
                    hint="Switch it on, for this database's role at least.",
                    id="webhooks.W006",
                )
