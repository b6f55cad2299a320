"""What the benchmarks of the outbox send: events of 300 bytes, of many tournaments, under one known secret.

And the settings of a project that has nothing but our app: the same ones for every process of a benchmark.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any
from uuid import uuid4

from webhooks_core.endpoint import DEFAULT_ID, EndpointId
from webhooks_core.envelope import seal
from webhooks_core.keys import KeyRing
from webhooks_core.settlement import Delivery

SECRET = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow
KEYS = KeyRing.of(SECRET)
EVENT = "payment_verified"
ENVIRONMENT = "bench"
NOTE = "x" * 180  # makes it 300 bytes
_PLACE = count()


def option(name: str, default: int) -> int:
    """Return the number of `--name=N` on the command line; `dev.py bench` hands such words on."""
    found = [word.partition("=")[2] for word in sys.argv if word.startswith(f"{name}=")]
    return int(found[-1]) if found else default


def kinds() -> tuple[str, ...]:
    """Return the databases to measure on: both, or that of `--only=…`."""
    every = ("sqlite", "postgresql")
    return tuple(kind for kind in every if f"--only={kind}" in sys.argv) or every


def deliveries(
    rows: int, *, units: int = 50, endpoints: Sequence[EndpointId] = (DEFAULT_ID,)
) -> Iterator[Delivery]:
    """Yield events of so many tournaments in turn, each for the next of *endpoints*."""
    for _ in range(rows):
        place = next(_PLACE)
        webhook_id = str(uuid4())
        envelope = seal(EVENT, {"tournament_id": place % units, "note": NOTE}, webhook_id=webhook_id)
        yield Delivery(
            webhook_id=webhook_id,
            event=envelope.event,
            body=envelope.body,
            created_at=time.time(),
            endpoint_id=endpoints[place % len(endpoints)],
            unit=str(place % units),
            admitted_by="SPLIT",
        )


def settings(port: int, *, database: str = "default", **webhooks: Any) -> dict[str, Any]:
    """Return Django's settings of a process that sends to the receiver on loopback."""
    return {
        "INSTALLED_APPS": ["webhooks_core.django"],
        "WEBHOOK_ENDPOINT": f"http://127.0.0.1:{port}/webhooks/inbound",
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOKS": {
            "ENVIRONMENT": ENVIRONMENT,
            "ENGINE": "worker",
            "DATABASE": database,
            "ALLOW_HTTP": True,
            "ALLOW_NETWORKS": [f"127.0.0.1/32:{port}"],
            "EVENTS": {EVENT: {"tournament_id": "integer", "note": "text"}},
            **webhooks,
        },
    }
