"""The databases that the outbox is measured on: SQLite files in WAL, and databases of its own on PostgreSQL.

Both as docs/how-to/run-the-worker.md asks for them, and as the tests have them; both are gone when the
benchmark ends.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a benchmark may be run by its path alone

from tests.databases import postgres, postgres_database, sqlite

__all__ = ["databases", "postgres", "sqlite"]


@contextmanager
def databases(
    names: Sequence[str], *, empty: Sequence[str] = (), **settings: Any
) -> Iterator[dict[str, dict[str, Any]]]:
    """Set Django up with one empty, migrated database for each of *names*; the first is the default one.

    Args:
        names: Each begins with `sqlite` or `postgresql`, and is an alias.
        empty: More of them, left without a table: a peer has tables of its own.
        settings: Django's, by name, beside what a project with nothing but an outbox has.

    Yields:
        What stands in `DATABASES`, for another process.
    """
    with ExitStack() as stack:
        aliases = {name: _made(stack, name) for name in (*names, *empty)}
        aliases = {"default": aliases[names[0]], **aliases}
        configure(aliases, **settings)
        from django.core.management import call_command
        from django.db import connections

        for name in names:
            call_command("migrate", database=name, verbosity=0)
        try:
            yield aliases
        finally:
            connections.close_all()


def configure(aliases: dict[str, dict[str, Any]], **settings: Any) -> None:
    """Set Django up in this process on databases that are there."""
    import django
    from django.conf import settings as django_settings

    whole = {
        "INSTALLED_APPS": ["webhooks_core.django"],
        "USE_TZ": True,
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        **settings,
    }
    django_settings.configure(DATABASES=aliases, **whole)
    django.setup()


def _made(stack: ExitStack, name: str) -> dict[str, Any]:
    if name.startswith("sqlite"):
        return sqlite(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "outbox.sqlite3")
    return postgres(stack.enter_context(postgres_database(f"rollout_bench_{os.getpid()}_{name}")))
