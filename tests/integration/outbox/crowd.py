"""One process of a crowd: `python -m tests.integration.outbox.crowd record|receive COUNT SEED`."""

from __future__ import annotations

import random
import sys
import time
import uuid
from collections.abc import Callable

import django
from django.db import connection, transaction


def record(count: int, seed: int) -> None:
    """Count up one row, read first, and record an event, in each of *count* transactions."""
    from webhooks_core.django.outbox import DjangoOutbox
    from webhooks_core.settlement import Delivery

    outbox = DjangoOutbox(environment="test")
    chance = random.Random(seed)
    for _ in range(count):
        with transaction.atomic(), connection.cursor() as cursor:
            lock = " FOR UPDATE" if connection.vendor == "postgresql" else ""
            cursor.execute(f"SELECT number FROM counter{lock}")
            number = cursor.fetchone()[0]
            outbox.add(
                Delivery(
                    webhook_id=str(uuid.uuid4()),
                    event="payment_verified",
                    body=b"{}",
                    created_at=time.time(),
                    unit=str(chance.randrange(50)),
                )
            )
            cursor.execute("UPDATE counter SET number = %s", [number + 1])


def receive(count: int, seed: int) -> None:
    """Claim each of *count* ids, in an order of its own, and act where the claim is new."""
    from webhooks_core.django.stores.replay import DatabaseReplayStore

    store = DatabaseReplayStore()
    ids = [str(uuid.UUID(int=number)) for number in range(count)]
    random.Random(seed).shuffle(ids)
    for webhook_id in ids:
        claim = store.claim(webhook_id, None, now=time.time())
        if claim.is_mine:
            with store.handling(claim, clock=time.time), connection.cursor() as cursor:
                cursor.execute("INSERT INTO effects VALUES (%s)", [webhook_id])


PARTS: dict[str, Callable[[int, int], None]] = {"record": record, "receive": receive}

if __name__ == "__main__":
    django.setup()
    PARTS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
