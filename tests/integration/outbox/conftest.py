"""A database of each kind, a receiver with the replay guard, and worker processes on them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases
from tests.integration.outbox.guarded import Guarded, guarded
from webhooks_core.django.outbox import DjangoOutbox, Entry
from webhooks_core.envelope import seal
from webhooks_core.settlement import Delivery

ROOT = Path(__file__).parents[3]
Process = subprocess.Popen[str]


@dataclass
class World:
    """One database with its receiver; rows are added here and sent by processes."""

    alias: str
    database: dict[str, Any]
    receiver: Guarded
    processes: list[Process] = field(default_factory=list)

    @property
    def outbox(self) -> DjangoOutbox:
        """The outbox that the processes work on."""
        return DjangoOutbox(environment="test", using=self.alias)

    def add(self, count: int, *, ordering_key: str | None = None) -> list[str]:
        """Record *count* events and return their ids."""
        ids = [str(uuid.uuid4()) for _ in range(count)]
        entries = []
        for place, webhook_id in enumerate(ids):
            envelope = seal("payment_verified", {"tournament_id": place % 7}, webhook_id=webhook_id)
            delivery = Delivery(
                webhook_id=webhook_id,
                event=envelope.event,
                body=envelope.body,
                created_at=time.time(),
                unit=str(place % 7),
            )
            entries.append(Entry(delivery=delivery, ordering_key=ordering_key))
        self.outbox.add_many(entries)
        return ids

    def start(self, *arguments: str) -> Process:
        """Start `manage.py webhooks …`."""
        return self.spawn("django", "webhooks", *arguments)

    def spawn(self, *module: str, settings: str = "tests.integration.outbox.settings") -> Process:
        """Start `python -m …` on this database."""
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": settings,
            "PYTHONPATH": str(ROOT),
            "TEST_DATABASE": json.dumps(self.database),
            "TEST_RECEIVER_PORT": str(self.receiver.port),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, timeout: float = 60) -> tuple[int, str, str]:
        """Run `manage.py webhooks …` to its end and return exit code, output and errors."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=timeout)
        return process.returncode, out, err

    def states(self) -> set[str]:
        """Every state that a row is in."""
        with self.outbox.database.reading() as cursor:
            cursor.execute("SELECT DISTINCT state FROM webhooks_delivery")
            return {row[0] for row in cursor.fetchall()}

    def end(self) -> None:
        """End what is still running."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


ON_POSTGRES = pytest.mark.parametrize("world", [databases.POSTGRES], indirect=True)


@pytest.fixture(params=databases.KINDS)
def world(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[World]:
    """A database of each kind."""
    name = f"rollout_world_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    if request.param == "sqlite":
        with django_db_blocker.unblock():
            file = databases.migrated_file(tmp_path / "outbox.sqlite3")
        yield from _opened(databases.sqlite(file), django_db_blocker)
        return
    with databases.postgres_database(name, template=request.getfixturevalue("postgres_template")):
        yield from _opened(databases.postgres(name), django_db_blocker)


def _opened(settings: dict[str, Any], blocker: DjangoDbBlocker) -> Iterator[World]:
    with blocker.unblock(), databases.alias("world", settings) as alias, guarded() as receiver:
        found = World(alias, settings, receiver)
        try:
            yield found
        finally:
            found.end()
