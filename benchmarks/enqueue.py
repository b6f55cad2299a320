"""What recording one event adds to a transaction: ours beside a bare ORM insert of the same row.

Each in a savepoint, inside one open transaction that is rolled back at the end of a round; 20,000 rows of
other deliveries are in the table. Run: `python benchmarks/enqueue.py [--json]`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import count

from databases import databases
from rounds import Target, interleave, report

from webhooks_core.envelope import seal
from webhooks_core.settlement import Delivery

EVENTS, STANDING, UNITS = 200, 20_000, 500
NUMBER = count()


def delivery() -> Delivery:
    place = next(NUMBER)
    webhook_id = f"550e8400-e29b-41d4-a716-{place:012d}"
    envelope = seal(
        "payment_verified", {"tournament_id": place % UNITS, "note": "x" * 180}, webhook_id=webhook_id
    )
    return Delivery(
        webhook_id=webhook_id,
        event=envelope.event,
        body=envelope.body,
        created_at=time.time(),
        unit=str(place % UNITS),
        admitted_by="SPLIT",
    )


def timed(alias: str, write: Callable[[list[Delivery]], None]) -> Callable[[], float]:
    """Return a case: microseconds per event."""
    from django.db import transaction

    def run() -> float:
        events = [delivery() for _ in range(EVENTS)]
        with transaction.atomic(using=alias):
            begun = time.perf_counter()
            write(events)
            spent = time.perf_counter() - begun
            transaction.set_rollback(True, using=alias)
        return spent / EVENTS * 1e6

    return run


def cases(alias: str) -> dict[str, Callable[[], float]]:
    from django.db import transaction

    from webhooks_core.django import models
    from webhooks_core.django.outbox import DjangoOutbox, Entry
    from webhooks_core.django.outbox.entry import lane_of

    outbox = DjangoOutbox(environment="bench", using=alias)
    with transaction.atomic(using=alias):
        outbox.add_many([Entry(delivery=delivery()) for _ in range(STANDING)])

    def bare(events: list[Delivery]) -> None:
        for event in events:
            with transaction.atomic(using=alias):
                models.Delivery.objects.using(alias).create(
                    webhook_id=event.webhook_id,
                    environment="bench",
                    endpoint_id=event.endpoint_id,
                    event=event.event,
                    body=event.body,
                    unit=event.unit or "",
                    admitted_by=event.admitted_by or "",
                    state="pending",
                    lane=lane_of(event, environment="bench"),
                    turn=STANDING // UNITS,
                    created_at=event.created_at,
                    changed_at=event.created_at,
                )

    def one_by_one(events: list[Delivery]) -> None:
        for event in events:
            outbox.add(event)

    def many(events: list[Delivery]) -> None:
        outbox.add_many([Entry(delivery=event) for event in events])

    return {
        "bare ORM insert": timed(alias, bare),
        "add": timed(alias, one_by_one),
        "add_many": timed(alias, many),
    }


def main() -> bool:
    targets = (Target(case="add", peer="bare ORM insert", most=1.3),)
    every = True
    for kind in ("sqlite", "postgresql"):
        figures = interleave(cases(kind))
        every &= report(f"enqueue, {kind}", figures, unit="µs", baseline="bare ORM insert", targets=targets)
    return every


if __name__ == "__main__":
    with databases(["sqlite", "postgresql"]):
        sys.exit(0 if main() else 1)
