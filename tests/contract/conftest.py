"""The databases that the suites of the ports run on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Path:
    """A migrated SQLite file."""
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    with django_db_blocker.unblock(), databases.alias("template", databases.sqlite(path)):
        databases.migrated("template")
    return path


@pytest.fixture(scope="session")
def postgres_name(django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A migrated database on PostgreSQL, of this process's own."""
    name = f"rollout_contract_{os.getpid()}"
    with databases.postgres_database(name), django_db_blocker.unblock():
        with databases.alias("template", databases.postgres(name)):
            databases.migrated("template")
        yield name


@pytest.fixture
def on_sqlite(sqlite_template: Path, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """An alias of an empty SQLite file."""
    path = databases.copied(sqlite_template, tmp_path / "outbox.sqlite3")
    with django_db_blocker.unblock(), databases.alias("sqlite", databases.sqlite(path)) as name:
        yield name


@pytest.fixture
def on_postgres(postgres_name: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """An alias of an empty database on PostgreSQL."""
    settings = databases.postgres(postgres_name)
    with django_db_blocker.unblock(), databases.alias("postgres", settings) as name:
        databases.empty(name)
        yield name
