"""The databases on which the walks run, opened once for all walks of a test process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases


@pytest.fixture(scope="session")
def walked_sqlite(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """An alias of a migrated SQLite file."""
    path: Path = tmp_path_factory.mktemp("walk") / "walk.sqlite3"
    with django_db_blocker.unblock(), databases.alias("walk_sqlite", databases.sqlite(path)) as name:
        databases.migrated(name)
        yield name


@pytest.fixture(scope="session")
def walked_postgres(postgres_template: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """An alias of a migrated database on PostgreSQL, of this process's own."""
    with (
        databases.postgres_database(f"rollout_walk_{os.getpid()}", template=postgres_template) as database,
        django_db_blocker.unblock(),
        databases.alias("walk_postgres", databases.postgres(database)) as name,
    ):
        yield name
