"""Real databases for tests: a SQLite file in WAL with IMMEDIATE transactions, and a database on PostgreSQL.

Each is an alias of Django's that a test adds for itself, migrated and empty. Migrations run once
in a process; any other database is a copy.
"""

from __future__ import annotations

import functools
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

SERVER = os.environ.get("ROLLOUT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)
#: What a test or a fixture that takes a database of each kind is parametrized with.
KINDS = ["sqlite", POSTGRES]
TABLES = (
    "webhooks_delivery, webhooks_attempt, webhooks_workerbeat, webhooks_breaker, webhooks_ratebucket,"
    " webhooks_seenwebhook, webhooks_seensignature, rollout_configuration, rollout_rollout,"
    " rollout_journalentry, rollout_sender, rollout_evidenceminute"
)


def sqlite(path: Path) -> dict[str, Any]:
    """Settings of a SQLite file as the documentation asks for them."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            "timeout": 30,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            " PRAGMA wal_autocheckpoint=8000",
        },
    }


def postgres(name: str) -> dict[str, Any]:
    """Settings of a database on the tests' server."""
    parts = urlsplit(SERVER)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or 5432),
    }


@contextmanager
def alias(name: str, settings: dict[str, Any]) -> Iterator[str]:
    """Add *settings* as the database *name* for a while."""
    whole = connections.configure_settings({**connections.settings, name: settings})
    connections.settings[name] = whole[name]
    try:
        yield name
    finally:
        connections[name].close()
        del connections[name]
        del connections.settings[name]


@contextmanager
def postgres_database(name: str, *, template: str = "template1") -> Iterator[str]:
    """Create a database on the server as a copy of *template*, and drop it afterwards."""
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield name
    finally:
        with psycopg.connect(SERVER, autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def migrated(name: str) -> None:
    """Bring the alias *name* to the newest schema."""
    file = Path(connections[name].settings_dict["NAME"])
    if connections[name].vendor == "sqlite" and not file.exists():
        migrated_file(file)
    else:
        _migrate(name)


def migrated_file(path: Path) -> Path:
    """Make a migrated SQLite file at *path*."""
    path.write_bytes(_migrated_bytes())
    return path


@functools.cache
def _migrated_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "migrated.sqlite3"
        with alias("sqlite_template", sqlite(path)) as name:
            _migrate(name)
        return path.read_bytes()


def _migrate(name: str) -> None:
    call_command("migrate", "webhooks", database=name, verbosity=0)
    call_command("migrate", "rollout", database=name, verbosity=0)


def empty(name: str) -> None:
    """Empty every table of ours on PostgreSQL."""
    with connections[name].cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES} RESTART IDENTITY")


def close_in_threads(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap *call* so that a connection which it opens in a thread of a pool is closed again."""

    def closing(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        finally:
            if threading.current_thread() is not threading.main_thread():
                connections[name].close()

    return closing
