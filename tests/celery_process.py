"""Celery workers of a test's own: real processes on a real broker, under an environment of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery
from kombu import Connection

from tests.waiting import PATIENCE_SECONDS, until
from webhooks_core.engines.celery import CeleryHint, queue_name

ROOT = Path(__file__).parents[1]
RABBITMQ = os.environ.get("ROLLOUT_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")


@dataclass
class CeleryWorld:
    """A broker, an environment of one's own, and the workers that were started on it."""

    broker: str
    database: dict[str, Any]
    receiver_port: int
    folder: Path
    application: str = "tests.integration.celery.app"
    environment: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:12]}")
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def queue(self) -> str:
        """The queue of this environment."""
        return queue_name(self.environment)

    @property
    def log(self) -> Path:
        """What our logger wrote, in all processes."""
        return self.folder / "webhooks.log"

    @property
    def output(self) -> str:
        """What Celery itself wrote."""
        return (self.folder / "celery.log").read_text(errors="replace")

    def app(self) -> Celery:
        """An app as the web process has it: it knows the broker, and no task."""
        return Celery("web", broker=self.broker, set_as_current=False)

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start `celery worker` with a beat, in a process group of its own, and wait until it is ready."""
        ready = self.ready()
        with (self.folder / "celery.log").open("ab") as output:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", self.application, "worker", "-B",
                 "-s", str(self.folder / "beat"), "-Q", self.queue, "-l", "INFO", "-n", uuid.uuid4().hex,
                 "--without-gossip", "--without-mingle", "--without-heartbeat", *options],
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "DJANGO_SETTINGS_MODULE": "tests.integration.celery.settings",
                    "TEST_DATABASE": json.dumps(self.database),
                    "TEST_ENVIRONMENT": self.environment,
                    "TEST_RECEIVER_PORT": str(self.receiver_port),
                    "TEST_BROKER": self.broker,
                    "TEST_LOG": str(self.log),
                },
                stdout=output,
                stderr=output,
                start_new_session=True,
            )  # fmt: skip
        self.workers.append(worker)
        until(lambda: self.ready() > ready, or_else=lambda: self.output)
        return worker

    def ready(self) -> int:
        """How many times a worker has said that it is ready."""
        path = self.folder / "celery.log"
        return path.read_text(errors="replace").count(" ready.") if path.exists() else 0

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """`kill -9` the worker with all its children."""
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    def send(self, task: str, *args: object, **more: Any) -> None:
        """Put a message into the queue, as anybody could who can reach the broker."""
        with self.app() as app:
            # Tried again: a broker under load may reset a connection that was opened a moment ago.
            policy = {"max_retries": 5, "interval_start": 0.1}
            app.send_task(task, args=args, queue=self.queue, retry_policy=policy, ignore_result=True, **more)

    def send_raw(self, body: bytes, *, content_type: str = "application/json") -> None:
        """Put anything into the queue."""
        with Connection(self.broker) as connection, connection.channel() as channel:
            producer = connection.Producer(channel)
            producer.publish(
                body, routing_key=self.queue, content_type=content_type, content_encoding="utf-8",
                headers={"task": "webhooks.deliver", "id": uuid.uuid4().hex, "lang": "py"},
            )  # fmt: skip

    def hint(self, webhook_id: str) -> None:
        """Tell the workers of a row, as `dispatch` does."""
        hint = CeleryHint(self.app(), queue=self.queue, wait_seconds=PATIENCE_SECONDS)
        hint([webhook_id])
        hint.close()

    def close(self) -> None:
        """End what is still running, and remove the queue."""
        for worker in self.workers:
            self.kill(worker)
        with Connection(self.broker) as connection, connection.channel() as channel:
            channel.queue_delete(self.queue)
            if self.broker.startswith("amqp"):
                channel.exchange_delete(self.queue)


@contextmanager
def celery_world(broker: str, database: dict[str, Any], port: int, folder: Path) -> Iterator[CeleryWorld]:
    """A world without a worker yet."""
    world = CeleryWorld(broker, database, port, folder)
    try:
        yield world
    finally:
        world.close()
