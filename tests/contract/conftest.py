"""The databases that the suites of the ports run on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases


@pytest.fixture(scope="session")
def postgres_name(postgres_template: str) -> Iterator[str]:
    """A migrated database on PostgreSQL, of this process's own."""
    with databases.postgres_database(f"rollout_contract_{os.getpid()}", template=postgres_template) as name:
        yield name


@pytest.fixture
def on_sqlite(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """An alias of an empty SQLite file."""
    settings = databases.sqlite(tmp_path / "outbox.sqlite3")
    with django_db_blocker.unblock(), databases.alias("sqlite", settings) as name:
        databases.migrated(name)
        yield name


@pytest.fixture
def on_postgres(postgres_name: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """An alias of an empty database on PostgreSQL."""
    settings = databases.postgres(postgres_name)
    with django_db_blocker.unblock(), databases.alias("postgres", settings) as name:
        databases.empty(name)
        yield name
