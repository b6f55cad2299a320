"""A database of each kind, migrated once a module and emptied for each test."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from rollout.actor import Actor
from rollout.commands import Start
from rollout.django import driving
from tests import databases
from tests.integration.django.project import project
from tests.integration.outbox.conftest import World, world
from webhooks_core.django.outbox.database import Database
from webhooks_core.testing.captured import real_delivery

__all__ = ["world"]


@pytest.fixture(scope="module", params=databases.KINDS)
def migrated(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """The alias of a migrated database."""
    name = f"rollout_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    with django_db_blocker.unblock():
        if request.param == "sqlite":
            settings = databases.sqlite(tmp_path_factory.mktemp("rollout") / "db.sqlite3")
            with databases.alias(name, settings):
                databases.migrated(name)
                yield name
        else:
            template = request.getfixturevalue("postgres_template")
            with (
                databases.postgres_database(name, template=template),
                databases.alias(name, databases.postgres(name)),
            ):
                yield name
                connections[name].close()


@pytest.fixture
def alias(migrated: str) -> str:
    """The same, emptied."""
    with connections[migrated].cursor() as cursor:
        if connections[migrated].vendor == "postgresql":
            cursor.execute(f"TRUNCATE {databases.TABLES} RESTART IDENTITY")
        else:
            for table in databases.TABLES.split(", "):
                cursor.execute(f"DELETE FROM {table.strip()}")
    return migrated


@pytest.fixture
def database(alias: str) -> Database:
    """The same, as stores see it."""
    return Database(alias, clock=None, machine_clock=time.time, monotonic=time.monotonic)


def settings_of(world: World, kill_file: Path) -> dict[str, Any]:
    """A project whose plan goes to 100 %, sending to the guarded receiver of *world*."""
    port = world.receiver.port
    return project(
        WEBHOOK_ENDPOINT=f"http://127.0.0.1:{port}/webhooks/inbound",
        WEBHOOKS={
            "ENGINE": "worker",
            "DATABASE": world.alias,
            "ALLOW_HTTP": True,
            "ALLOW_NETWORKS": [f"127.0.0.1/32:{port}"],
        },
        ROLLOUT={
            "PLAN": {"stages": [{"percentage": "100", "bake": "1m"}]},
            "DATABASE": world.alias,
            "KILL_FILE": str(kill_file),
        },
    )


@pytest.fixture
def rollout_project(world: World, tmp_path: Path) -> Iterator[None]:
    """Those settings, and deliveries that leave for real."""
    with override_settings(**settings_of(world, tmp_path / "kill")), real_delivery():
        yield


@pytest.fixture
def under_way(alias: str, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A rollout under way, and its settings."""
    values = project(
        WEBHOOKS={"ENGINE": "worker", "DATABASE": alias},
        ROLLOUT={
            "PLAN": {"stages": [{"percentage": "100", "bake": "1h"}]},
            "DATABASE": alias,
            "KILL_FILE": str(tmp_path / "kill"),
        },
    )
    with override_settings(**values):
        driving.runner().obey(Start(by=Actor(name="user:17", authenticated=True)))
        yield values
