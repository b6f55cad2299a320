"""What the receiver has seen, counted where it counts: after verification, in the receiver's own process.

Only for rehearsals: kept in memory, with the bytes of the last requests so that a smoke test can look at what
truly arrived. Invariant: `verified` holds what the handler was called with, so a duplicate never adds to it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from webhooks_core import Verified

KEPT_REQUESTS = 256  # enough for a smoke run's evidence; a receiver that is left running does not grow
SHOWN_HEADERS = (
    "Content-Type",
    "User-Agent",
    "X-Webhook-Event",
    "X-Webhook-Id",
    "X-Webhook-Timestamp",
    "X-Webhook-Signature",
)


@dataclass(slots=True)
class Ledger:
    """Counts of one receiver process; safe for its threads."""

    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    verified: list[dict[str, object]] = field(default_factory=list)
    kept: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def arrived(self) -> int:
        """Count a request and return its number, from 1."""
        with self.lock:
            self.requests += 1
            return self.requests

    def answered(self, headers: dict[str, str], body: bytes, *, status: int, said: str) -> None:
        """Keep a request and what it was answered; *said* is the status or error of the answer's JSON."""
        with self.lock:
            self.answers[f"{status} {said}".strip()] += 1
            self.kept.append(
                {
                    "headers": headers,
                    "body": body.decode("utf-8", "replace"),
                    "status": status,
                    "at": time.time(),
                }
            )

    def handle(self, webhook: Verified) -> None:
        """Record one verified webhook: the handler of the receiver."""
        data = webhook.payload.get("data")
        tournament_id = data.get("tournament_id") if isinstance(data, dict) else None
        with self.lock:
            self.verified.append(
                {
                    "webhook_id": webhook.webhook_id,
                    "event": webhook.event,
                    "tournament_id": tournament_id,
                    "at": time.time(),
                }
            )

    def report(self, *, since: int, last: int) -> dict[str, object]:
        """Return the counts, the webhooks verified after the first *since*, and the last *last* requests."""
        with self.lock:
            return {
                "requests": self.requests,
                "answers": dict(self.answers),
                "verified_total": len(self.verified),
                "verified": self.verified[since:],
                "kept": list(self.kept)[-last:] if last else [],
            }
