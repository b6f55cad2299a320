"""What recording one event adds to a transaction: ours beside a bare ORM insert of the same row.

Each in a savepoint, inside one open transaction that is rolled back at the end of a round; 20,000 rows of
other deliveries are in the table. The ORM's is `objects.create` with every column that ours writes, the turn
worked out beforehand; what Django does to build its statement is most of it on SQLite, so the same row by a
ready-made INSERT stands beside them. How many statements there are is held by a test
(`tests/integration/django/test_worker_engine.py`). Run: `python benchmarks/enqueue.py [--json]`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from databases import databases
from load import ENVIRONMENT, deliveries
from rounds import Target, interleave, report

from webhooks_core.settlement import Delivery

EVENTS, STANDING, UNITS = 200, 20_000, 500


def timed(alias: str, write: Callable[[list[Delivery]], None]) -> Callable[[], float]:
    """Return a case: microseconds per event."""
    from django.db import transaction

    def run() -> float:
        events = list(deliveries(EVENTS, units=UNITS))
        with transaction.atomic(using=alias):
            begun = time.perf_counter()
            write(events)
            spent = time.perf_counter() - begun
            transaction.set_rollback(True, using=alias)
        return spent / EVENTS * 1e6

    return run


def cases(alias: str) -> dict[str, Callable[[], float]]:
    from django.db import connections, transaction

    from webhooks_core.django import models
    from webhooks_core.django.outbox import DjangoOutbox, Entry
    from webhooks_core.django.outbox.entry import lane_of

    blank = models.Delivery()
    fields = [field for field in models.Delivery._meta.concrete_fields if not field.primary_key]
    defaults = {field.column: getattr(blank, field.attname) for field in fields}
    marks = ", ".join(["%s"] * len(defaults))
    statement = f"INSERT INTO webhooks_delivery ({', '.join(defaults)}) VALUES ({marks})"
    outbox = DjangoOutbox(environment=ENVIRONMENT, using=alias)
    with transaction.atomic(using=alias):
        outbox.add_many([Entry(delivery=delivery) for delivery in deliveries(STANDING, units=UNITS)])

    def values(event: Delivery) -> dict[str, object]:
        return {
            "webhook_id": event.webhook_id,
            "environment": ENVIRONMENT,
            "endpoint_id": event.endpoint_id,
            "event": event.event,
            "body": event.body,
            "scheme": "timestamped",
            "unit": event.unit or "",
            "admitted_by": event.admitted_by or "",
            "state": "pending",
            "lane": lane_of(event, environment=ENVIRONMENT),
            "turn": STANDING // UNITS,
            "created_at": event.created_at,
            "changed_at": event.created_at,
        }

    def bare(events: list[Delivery]) -> None:
        for event in events:
            with transaction.atomic(using=alias):
                models.Delivery.objects.using(alias).create(**values(event))

    def ready_made(events: list[Delivery]) -> None:
        for event in events:
            row = defaults | values(event)
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                cursor.execute(statement, list(row.values()))

    def one_by_one(events: list[Delivery]) -> None:
        for event in events:
            outbox.add(event)

    def many(events: list[Delivery]) -> None:
        outbox.add_many([Entry(delivery=event) for event in events])

    return {
        "bare ORM insert": timed(alias, bare),
        "ready-made INSERT": timed(alias, ready_made),
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
