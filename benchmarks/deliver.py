"""Signed deliveries of 300 bytes a second to a fast receiver on loopback: our worker beside its peers.

- *worker*: one process of `manage.py webhooks worker`, from the moment it is told to begin until the last row
  is settled: claim, permit, breaker, every guard of the transport, classify, settle row and attempt.
- *urllib3*: the same signing and `PoolManager.request`, as many threads, two lines of log; no outbox.
- *Celery*: one worker process, a pool of as many threads, one task per delivery that signs and posts with
  urllib3 and is acknowledged late; on Redis, and on RabbitMQ where that answers.
- *django-outbound-webhooks*: its relay, on PostgreSQL.

Nobody's enqueueing is timed: rows, tasks and events are there before the clock starts. The peers' time is
from the first request that arrives to the last one, so that nothing else is counted against them. All log at
INFO to a file. After each round the receiver's requests are verified: every one genuine, as many as there
were deliveries, an id each.

The bound for Celery is held on Redis; what it makes of RabbitMQ is shown. Takes about four minutes.
Run: `python benchmarks/deliver.py [--only=sqlite|postgresql] [--threads=N] [--rows=N] [--rounds=N] [--json]`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import peers
from crew import Crew, crew, log_to
from databases import databases
from load import ENVIRONMENT, KEYS, deliveries, kinds, option, settings
from rounds import Target, interleave, report
from witness import Witness, witness

THREADS, ROWS, ROUNDS = option("--threads", 4), option("--rows", 3_000), option("--rounds", 5)
CELERY_ROWS, RELAY_ROWS = max(10, ROWS // 3), max(10, ROWS // 15)  # each case takes a second or two
KINDS = kinds()
BATCH = 128
BARE = "urllib3"
CELERY = "Celery, redis"
RELAY = "django-outbound-webhooks"


def worker(alias: str, seen: Witness, workers: Crew) -> Callable[[], float]:
    """Return a case: deliveries a second through the outbox on *alias*."""

    def run() -> float:
        from django.db import transaction

        from webhooks_core.django.outbox import DjangoOutbox, Entry

        with transaction.atomic(using=alias):
            outbox = DjangoOutbox(environment=ENVIRONMENT, using=alias)
            outbox.add_many([Entry(delivery=delivery) for delivery in deliveries(ROWS)])
        spent = workers.run()
        seen.verify(ROWS, KEYS)
        check(alias)
        return ROWS / spent

    return run


def check(alias: str) -> None:
    """Fail where a delivery is not settled as delivered, or an attempt is not written."""
    from webhooks_core.django.models import Attempt, Delivery

    rows = Delivery.objects.using(alias)
    assert not rows.exclude(state="delivered").exists()
    assert rows.count() == Attempt.objects.using(alias).count()


def cases(
    stack: ExitStack, seen: Witness, aliases: dict[str, dict[str, Any]], directory: Path
) -> dict[str, Callable[[], float]]:
    """Start everybody."""
    found = {
        BARE: peers.bare(seen, rows=ROWS, threads=THREADS, logs=True),
        "urllib3, no log lines": peers.bare(seen, rows=ROWS, threads=THREADS, logs=False),
    }
    policy = {"threads": THREADS, "batch": BATCH}
    for kind in KINDS:
        for count in (1, 2):
            world = settings(seen.port, database=kind)
            workers = crew(aliases, world, directory=directory, workers=count, policy=policy)
            name = f"worker, {kind}" if count == 1 else f"{count} workers, {kind}"
            found[name] = worker(kind, seen, stack.enter_context(workers))
    for broker in peers.BROKERS:
        if not peers.is_there(broker):
            print(f"left out: Celery on {broker}, which does not answer")
            continue
        running = peers.celery(broker, seen, rows=CELERY_ROWS, threads=THREADS, directory=directory)
        found[f"Celery, {broker}"] = stack.enter_context(running)
    if "postgresql" in KINDS:
        relay = peers.outbound_webhooks(
            seen, rows=RELAY_ROWS, directory=directory, database=aliases["postgresql_relay"]
        )
        found[RELAY] = stack.enter_context(relay)
    return found


def targets(names: list[str]) -> tuple[Target, ...]:
    """Return the bounds that the project has set itself."""
    bounds = []
    for case in (f"worker, {kind}" for kind in KINDS):
        bounds.append(Target(case=case, peer=BARE, least=0.6))
        bounds += [Target(case=case, peer=CELERY, least=3.0)] if CELERY in names else []
        bounds += [Target(case=case, peer=RELAY, least=15.0)] if RELAY in names else []
    return tuple(bounds)


def main() -> bool:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        relay = ("postgresql_relay",) if "postgresql" in KINDS else ()
        seen = stack.enter_context(witness())
        aliases = stack.enter_context(databases(KINDS, empty=relay))
        stack.callback(log_to(directory / "bare.log", "webhooks"))
        found = cases(stack, seen, aliases, directory)
        figures = interleave(found, rounds=ROUNDS)
        title = f"{ROWS} deliveries of 300 bytes, {THREADS} threads"
        return report(title, figures, unit="per second", baseline=BARE, targets=targets(list(found)))


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
