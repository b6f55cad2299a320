"""Attempts put together into deliveries, and what a smoke test says about them, ready for JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from loopback.logbook import quantile
from loopback.wiretap import Attempt
from webhooks_core import KeyRing, VerificationError, Verifier, pii

KIND_NAMES = {
    "address": "emails",
    "handle": "usernames",
    "network": "ip_addresses",
    "phone": "phones",
    "key": "keys",
}
SHOWN_SIGNATURE = 6  # characters; enough to compare two by eye, as in the guide


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One delivery over all its attempts."""

    attempts: tuple[Attempt, ...]

    @property
    def webhook_id(self) -> str:
        """The id, the same on every attempt."""
        return self.attempts[0].webhook_id

    @property
    def event(self) -> str:
        """The event's name."""
        return self.attempts[0].event

    @property
    def succeeded(self) -> bool:
        """Whether the last attempt was answered with 2xx."""
        status = self.attempts[-1].status
        return status is not None and 200 <= status < 300

    @property
    def latency_ms(self) -> float:
        """The time spent in attempts, failed ones included; waits are not."""
        return sum(attempt.latency_ms for attempt in self.attempts)

    @property
    def delays_ms(self) -> list[float]:
        """How long each attempt was waited for, from the end of the one before; 0 for the first."""
        ends = [attempt.started_at * 1000 + attempt.latency_ms for attempt in self.attempts]
        starts = [attempt.started_at * 1000 for attempt in self.attempts[1:]]
        return [0.0, *(start - end for start, end in zip(starts, ends, strict=False))]

    def as_json(self) -> dict[str, object]:
        """Return the delivery with the time line of its attempts."""
        return {
            "webhook_id": self.webhook_id,
            "event": self.event,
            "delivered": self.succeeded,
            "latency_ms": round(self.latency_ms),
            "attempts": [
                {
                    "attempt": number,
                    "started_at": iso(attempt.started_at),
                    "delay_ms": round(delay),
                    "status_code": attempt.status,
                    "error": attempt.error,
                    "latency_ms": round(attempt.latency_ms),
                }
                for number, (attempt, delay) in enumerate(zip(self.attempts, self.delays_ms, strict=True), 1)
            ],
        }


def gather(attempts: Iterable[Attempt]) -> list[Recorded]:
    """Put attempts with the same id together, in the order of their first attempt."""
    by_id: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_id.setdefault(attempt.webhook_id, []).append(attempt)
    return [Recorded(attempts=tuple(found)) for found in by_id.values()]


def response_of(delivery: Recorded) -> dict[str, object]:
    """Return what the guide calls `webhook_response`: the answer's status, the headers and body sent."""
    last = delivery.attempts[-1]
    signature = last.headers.get("X-Webhook-Signature", "")
    return {
        "status_code": last.status,
        "latency_ms": round(delivery.latency_ms),
        "headers": {
            "X-Webhook-Signature": f"{signature[:SHOWN_SIGNATURE]}...",
            "X-Webhook-Timestamp": last.headers.get("X-Webhook-Timestamp"),
            "X-Webhook-Id": delivery.webhook_id,
            "X-Webhook-Event": delivery.event,
        },
        "signature_hex_digits": sum(digit in "0123456789abcdef" for digit in signature),
        "body": json.loads(last.body),
    }


def pii_check(deliveries: Sequence[Recorded], *, flagged_log_lines: int) -> dict[str, object]:
    """Look at every body that was sent with the library's own detectors, and count what they find by kind."""
    counts = {f"{name}_found": 0 for name in KIND_NAMES.values()}
    bodies = [attempt.body for delivery in deliveries for attempt in delivery.attempts]
    for body in bodies:
        for finding in pii.scan(json.loads(body)):
            counts[f"{KIND_NAMES[finding.kind]}_found"] += 1
    return {
        **counts,
        "bodies_checked": len(bodies),
        "log_lines_flagged": flagged_log_lines,
        "status": _status(len(bodies), ok=not any(counts.values()) and flagged_log_lines == 0),
    }


def hmac_check(deliveries: Sequence[Recorded], *, secret: str) -> dict[str, object]:
    """Verify every request as a receiver would at the moment it was sent."""
    verifier = Verifier(KeyRing.of(secret))
    attempts = [attempt for delivery in deliveries for attempt in delivery.attempts]
    valid = 0
    for attempt in attempts:
        try:
            verifier.verify(attempt.headers, attempt.body, now=attempt.started_at)
            valid += 1
        except VerificationError:
            pass
    status = _status(len(attempts), ok=valid == len(attempts))
    return {"requests_checked": len(attempts), "valid": valid, "status": status}


def _status(looked_at: int, *, ok: bool) -> str:
    if not looked_at:
        return "NOTHING SENT"
    return "PASS" if ok else "FAIL"


def latency(deliveries: Sequence[Recorded]) -> dict[str, float | None]:
    """Return the median and the 95th percentile of the deliveries' latencies, in milliseconds."""
    values = [delivery.latency_ms for delivery in deliveries]
    found = {"p50_ms": quantile(values, 0.50), "p95_ms": quantile(values, 0.95)}
    return {name: None if value is None else round(value, 1) for name, value in found.items()}


def iso(moment: float) -> str:
    """Return `2025-11-13T14:30:00.123Z`."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
