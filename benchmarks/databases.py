"""The databases that the outbox is measured on: SQLite files in WAL, and databases of its own on PostgreSQL.

Both as docs/how-to/run-the-worker.md asks for them; both are gone when the benchmark ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SERVER = os.environ.get("ROLLOUT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


def sqlite(path: Path | str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            "timeout": 30,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }


def postgres(name: str) -> dict[str, Any]:
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
def databases(names: Sequence[str], **settings: Any) -> Iterator[None]:
    """Set Django up with one empty, migrated database for each of *names*; the first is the default one.

    A name begins with `sqlite` or `postgresql`.
    """
    with ExitStack() as stack:
        aliases: dict[str, dict[str, Any]] = {}
        for name in names:
            aliases[name] = (
                sqlite(_file(stack)) if name.startswith("sqlite") else postgres(_database(stack, name))
            )
        import django
        from django.conf import settings as django_settings

        django_settings.configure(
            DATABASES={"default": aliases[names[0]], **aliases},
            INSTALLED_APPS=["webhooks_core.django"],
            USE_TZ=True,
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            **settings,
        )
        django.setup()
        from django.core.management import call_command
        from django.db import connections

        for name in names:
            call_command("migrate", database=name, verbosity=0)
        yield
        connections.close_all()


def _file(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory())) / "outbox.sqlite3"


def _database(stack: ExitStack, alias: str) -> str:
    import psycopg

    name = f"rollout_bench_{os.getpid()}_{alias}"

    def on_server(statement: str) -> None:
        with psycopg.connect(SERVER, autocommit=True) as server:
            server.execute(statement)

    on_server(f'CREATE DATABASE "{name}"')
    stack.callback(on_server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    return name
