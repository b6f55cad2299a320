"""Whom the worker is measured against, each as its own documentation has it.

Each is a case for `rounds.interleave`: deliveries a second, from the first request that the receiver got to
the last one, so that nobody pays for starting, nor for what came before. Each writes its lines at INFO to a
file. What was received is verified after the clock has stopped.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import urllib3
from crew import log_to
from load import KEYS, NOTE, deliveries
from witness import Witness

from webhooks_core.keys import KeyRing, SecretFormat
from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign

BROKERS = {
    "redis": os.environ.get("ROLLOUT_BENCH_REDIS", "redis://127.0.0.1:6379/14"),
    "rabbitmq": os.environ.get("ROLLOUT_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//"),
}
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # gitleaks:allow
_PATIENCE_SECONDS = 120.0

Case = Callable[[], float]


def bare(seen: Witness, *, rows: int, threads: int, logs: bool) -> Case:
    """urllib3 posts what it has signed, with the two lines of log that all others write, or without."""
    pool = urllib3.PoolManager(maxsize=threads, retries=False)
    logger = logging.getLogger("webhooks")

    def send(waiting: Iterator[Any]) -> None:
        for delivery in waiting:
            headers = sign(
                delivery.body,
                event=delivery.event,
                webhook_id=delivery.webhook_id,
                keys=KEYS,
                scheme=Scheme.TIMESTAMPED,
                now=time.time(),
                user_agent="DeltaCrown-Webhook/1.0",
            )
            if logs:
                logger.info("Attempting: event=%s, webhook_id=%s", delivery.event, delivery.webhook_id)
            response = pool.request("POST", seen.url, body=delivery.body, headers=headers, timeout=10)
            assert response.status == 200
            if logs:
                logger.info("Delivered: event=%s, webhook_id=%s", delivery.event, delivery.webhook_id)

    def run() -> float:
        waiting = iter(list(deliveries(rows)))  # a list's iterator may be shared between threads
        workers = [threading.Thread(target=send, args=(waiting,)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        rate = seen.wait(rows).rate(rows)
        for worker in workers:
            worker.join()
        seen.verify(rows, KEYS)
        return rate

    return run


def is_there(broker: str) -> bool:
    """Return whether the broker answers."""
    import socket

    parts = urlsplit(BROKERS[broker])
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def celery(broker: str, seen: Witness, *, rows: int, threads: int, directory: Path) -> Iterator[Case]:
    """A Celery worker process with a pool of threads; tasks are queued before it is told of their queue."""
    prefix = f"rollout-bench-{os.getpid()}-{broker}-"
    world = {"BENCH_BROKER": BROKERS[broker], "BENCH_PREFIX": prefix, "BENCH_URL": seen.url}
    world["BENCH_THREADS"] = str(threads)
    tasks = _tasks(world)
    name = f"{prefix}worker@localhost"
    command = (
        *(sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--pool", "threads"),
        *("--concurrency", str(threads), "--hostname", name, "--loglevel", "INFO"),
        *("--logfile", str(directory / f"celery-{broker}.log")),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )
    environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    with open(directory / f"celery-{broker}.out", "wb") as out:
        worker = subprocess.Popen(
            command,
            env={**environment, **world},
            cwd=Path(__file__).parent,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    numbers = itertools.count()
    try:
        _wait_for(tasks.app, name, worker)

        def run() -> float:
            queue = f"{prefix}{next(numbers)}"
            for delivery in deliveries(rows):
                tasks.deliver.apply_async((delivery.webhook_id, delivery.body.decode()), queue=queue)
            tasks.app.control.add_consumer(queue, destination=[name])
            rate = seen.wait(rows).rate(rows)
            tasks.app.control.cancel_consumer(queue, destination=[name], reply=True)
            seen.verify(rows, KEYS)
            return rate

        yield run
    finally:
        worker.terminate()
        worker.wait(timeout=30)
        _clear_up(tasks.app, prefix, next(numbers))


def _tasks(world: Mapping[str, str]) -> ModuleType:
    """Import the module of tasks for one broker; it reads the environment."""
    import importlib

    os.environ.update(world)
    sys.modules.pop("celery_tasks", None)
    return importlib.import_module("celery_tasks")


def _wait_for(app: Any, name: str, worker: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not app.control.ping(destination=[name], timeout=0.5):
        if worker.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the Celery worker did not come up, status {worker.poll()}")


def _clear_up(app: Any, prefix: str, queues: int) -> None:
    """Delete what the run has left on the broker: queues, exchanges, keys."""
    if BROKERS["redis"] == app.conf.broker_url:
        import redis

        with redis.Redis.from_url(BROKERS["redis"]) as client:
            for key in client.scan_iter(match=f"{prefix}*"):
                client.delete(key)
        return
    names = [f"{prefix}idle", *(f"{prefix}{number}" for number in range(queues))]
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        for name in names:
            channel.queue_delete(name)
        for name in (*names, f"{prefix}ev", f"{prefix}.pidbox", f"reply.{prefix}.pidbox"):
            channel.exchange_delete(name)


@contextmanager
def outbound_webhooks(
    seen: Witness, *, rows: int, directory: Path, database: Mapping[str, Any]
) -> Iterator[Case]:
    """django-outbound-webhooks 0.4 on PostgreSQL: events fired in a transaction, then its relay's own pass.

    `deliver_events --once` claims and delivers all that is owed, one after the other: that is how it works;
    its documentation has more speed in more relays. One endpoint, its default format and settings.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    log = directory / "outbound-webhooks.log"
    process = context.Process(target=_relay, args=(theirs, dict(database), seen.url, log), daemon=True)
    process.start()
    theirs.close()
    keys = KeyRing.of(WHSEC, format=SecretFormat.WHSEC)

    def ask(rows: int | None) -> None:
        ours.send(rows)
        if not ours.poll(_PATIENCE_SECONDS):
            raise TimeoutError("django-outbound-webhooks does not answer")
        ours.recv()

    def run() -> float:
        ask(rows)
        ask(None)
        rate = seen.wait(rows).rate(rows)
        seen.verify(rows, keys, scheme=Scheme.STANDARD)
        return rate

    try:
        if not ours.poll(_PATIENCE_SECONDS):
            raise TimeoutError("django-outbound-webhooks did not come up")
        ours.recv()
        yield run
    finally:
        process.terminate()
        process.join()


def _relay(pipe: Connection, database: dict[str, Any], url: str, log: Path) -> None:
    from dataclasses import dataclass
    from io import StringIO

    from databases import configure

    apps = ["django.contrib.contenttypes", "django.contrib.auth"]
    configure(
        {"default": database},
        INSTALLED_APPS=[*apps, "django_domain_events", "django_outbound_webhooks"],
        DJANGO_OUTBOUND_WEBHOOKS={"ALLOW_PRIVATE_ADDRESSES": True},
    )
    log_to(log, "django_outbound_webhooks", "django_domain_events", "httpx2")
    from django.core.management import call_command
    from django.db import transaction
    from django_domain_events import event, fire
    from django_outbound_webhooks import register_endpoint

    @event(name="bench.PaymentVerified")
    @dataclass(frozen=True)
    class PaymentVerified:
        tournament_id: int
        note: str

    call_command("migrate", verbosity=0)
    register_endpoint(name="bench", url=url, secret=WHSEC, event_names=["bench.PaymentVerified"])
    pipe.send(None)
    while True:
        rows = pipe.recv()
        if rows is None:
            call_command("deliver_events", once=True, stdout=StringIO())
        else:
            with transaction.atomic():
                for number in range(rows):
                    fire(PaymentVerified(tournament_id=number, note=NOTE))
        pipe.send(None)
