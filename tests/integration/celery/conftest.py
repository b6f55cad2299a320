"""A database, a receiver, and a broker of each kind."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases
from tests.celery_process import RABBITMQ, CeleryWorld, celery_world
from tests.redis_server import RedisServer, own_server
from tests.scripted_receiver import Scripted, scripted

Place = tuple[CeleryWorld, Scripted]


def broker_of(kind: str) -> AbstractContextManager[RedisServer | None]:
    """A Redis server of the test's own; RabbitMQ is one for all."""
    return own_server() if kind == "redis" else nullcontext()


@pytest.fixture(
    params=[
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
        pytest.param("redis", marks=pytest.mark.redis),
    ]
)
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgres_template: str,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Place]:
    """A world without a worker yet, its database the alias `celery` here."""
    name = f"rollout_celery_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    settings = databases.postgres(name)
    with (
        databases.postgres_database(name, template=postgres_template),
        scripted() as receiver,
        broker_of(request.param) as server,
        django_db_blocker.unblock(),
        databases.alias("celery", settings),
    ):
        url = RABBITMQ if server is None else server.url
        with celery_world(url, settings, receiver.port, tmp_path) as world:
            yield world, receiver
