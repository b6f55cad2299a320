"""Signed deliveries of 300 bytes a second to a fast receiver on loopback: our worker beside bare urllib3.

One process, the same number of threads for all, log lines at INFO to a file. Ours claims from an outbox,
asks permit and breaker, signs, sends through every guard, classifies, and settles row and attempt; the peers
sign and post. Enqueuing is not timed. Run: `python benchmarks/deliver.py [--threads N] [--rows N] [--json]`.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import urllib3
from databases import databases
from receiver import receiver
from rounds import Target, interleave, report

from webhooks_core.breaker import BreakerPolicy
from webhooks_core.delivery import Sender
from webhooks_core.endpoint import DEFAULT_ID, AllowedNetwork, Endpoint
from webhooks_core.engines.worker import WorkerShell
from webhooks_core.envelope import seal
from webhooks_core.keys import KeyRing
from webhooks_core.observers.log import LogObserver
from webhooks_core.settlement import Delivery
from webhooks_core.signer import sign
from webhooks_core.transport.requests import RequestsTransport
from webhooks_core.worker import Worker, WorkerPolicy


def option(name: str, default: int) -> int:
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


THREADS, ROWS, UNITS = option("--threads", 4), option("--rows", 3_000), option("--units", 50)
KINDS = tuple(kind for kind in ("sqlite", "postgresql") if kind in sys.argv) or ("sqlite", "postgresql")
KEYS = KeyRing.of("5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7")
NUMBER = count()
TARGETS = tuple(Target(case=f"worker, {kind}", peer="urllib3", least=0.6) for kind in KINDS)


def deliveries(rows: int) -> list[Delivery]:
    """Make events of 300 bytes each, of 50 tournaments."""
    made = []
    for place in range(rows):
        webhook_id = f"550e8400-e29b-41d4-a716-{next(NUMBER):012d}"
        data = {"tournament_id": place % UNITS, "note": "x" * 180}
        envelope = seal("payment_verified", data, webhook_id=webhook_id)
        made.append(
            Delivery(
                webhook_id=webhook_id,
                event=envelope.event,
                body=envelope.body,
                created_at=time.time(),
                unit=str(place % UNITS),
            )
        )
    return made


def worker(alias: str, endpoint: Endpoint) -> Callable[[], float]:
    """Return a case: deliveries a second through the outbox on *alias*."""
    from django.db import transaction

    from webhooks_core.django.outbox import DjangoOutbox, Entry
    from webhooks_core.django.stores.breakers import DatabaseBreakerStore

    outbox = DjangoOutbox(environment="bench", using=alias)
    breakers = DatabaseBreakerStore(BreakerPolicy(), environment="bench", using=alias)
    observer = LogObserver()
    sender = Sender(RequestsTransport(), breakers, observer=observer)

    def run() -> float:
        with transaction.atomic(using=alias):
            outbox.add_many([Entry(delivery=delivery) for delivery in deliveries(ROWS)])
        policy = WorkerPolicy(threads=THREADS, ahead=4 * THREADS + 64, batch=128)
        shell = WorkerShell(
            Worker(
                outbox,
                sender,
                {DEFAULT_ID: endpoint},
                breakers=breakers,
                name="bench",
                policy=policy,
                observer=observer,
            )
        )
        begun = time.perf_counter()
        shell.run(until_idle=True)
        spent = time.perf_counter() - begun
        check(alias)
        return ROWS / spent

    return run


def check(alias: str) -> None:
    """Fail where a delivery has not arrived."""
    from webhooks_core.django.models import Delivery as Table

    assert not Table.objects.using(alias).exclude(state="delivered").exists()


def bare(url: str, *, logs: bool) -> Callable[[], float]:
    """Return a case: urllib3 posts what it has signed, with or without the two lines of log."""
    pool = urllib3.PoolManager(maxsize=THREADS, retries=False)
    logger = logging.getLogger("webhooks")

    def run() -> float:
        waiting = iter(deliveries(ROWS))
        lock = threading.Lock()

        def work() -> None:
            while True:
                with lock:
                    delivery = next(waiting, None)
                if delivery is None:
                    return
                headers = sign(
                    delivery.body,
                    event=delivery.event,
                    webhook_id=delivery.webhook_id,
                    keys=KEYS,
                    scheme=ENDPOINT_SCHEME,
                    now=time.time(),
                    user_agent="DeltaCrown-Webhook/1.0",
                )
                if logs:
                    logger.info("Attempting: event=%s, webhook_id=%s", delivery.event, delivery.webhook_id)
                response = pool.request("POST", url, body=delivery.body, headers=headers, timeout=10)
                assert response.status == 200
                if logs:
                    logger.info("Delivered: event=%s, webhook_id=%s", delivery.event, delivery.webhook_id)

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ROWS / (time.perf_counter() - begun)

    return run


ENDPOINT_SCHEME = Endpoint(url="https://receiver.example/", keys=KEYS).scheme


@contextmanager
def logged() -> Iterator[Path]:
    """Write the logger `webhooks` at INFO to a file."""
    with tempfile.TemporaryDirectory() as directory:
        handler = logging.FileHandler(Path(directory) / "webhooks.log")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger("webhooks")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)
        try:
            yield Path(directory)
        finally:
            logger.removeHandler(handler)
            handler.close()


def main() -> bool:
    with receiver() as port, databases(KINDS), logged():
        url = f"http://127.0.0.1:{port}/webhooks/inbound"
        endpoint = Endpoint(
            url=url, keys=KEYS, allow_networks=(AllowedNetwork.parse(f"127.0.0.1/32:{port}"),)
        )
        cases = {"urllib3": bare(url, logs=False), "urllib3, two log lines": bare(url, logs=True)}
        cases |= {f"worker, {kind}": worker(kind, endpoint) for kind in KINDS}
        figures = interleave(cases, rounds=option("--rounds", 5))
        title = f"{ROWS} deliveries, {THREADS} threads, one process"
        return report(title, figures, unit="per second", baseline="urllib3", targets=TARGETS)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
