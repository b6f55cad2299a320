"""The log, read back the way an operator reads it: with the runbook's own expressions.

What is counted from here is what a person would count with `grep … | wc -l`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DELIVERED = "Webhook delivered successfully"
FAILED = "Webhook delivery failed after"
ATTEMPTING = "Attempting webhook delivery"
SKIPPED = "Webhook skipped by rollout"
HELD = "Webhook held"
WAITING = "Webhook waiting"
BLOCKED = "Webhook blocked"
OPENED = "Circuit breaker OPENED"
HALF_OPEN = "Circuit breaker HALF_OPEN"
CLOSED = "Circuit breaker CLOSED"
OUR_FAILURES = ("Webhook dispatch failed", "Webhook worker outbox failed", "observer failed")
BREAKER = re.compile(r"Circuit breaker ([A-Z_]+)")

# The runbook: grep -i webhook LOG | grep -iE '@|email|username|192\.168|10\.|172\.'
QUICK_PII = re.compile(r"@|email|username|192\.168|10\.|172\.", re.IGNORECASE)
# The runbook, section D, its three expressions.
STRICT_PII = (
    re.compile(r"\b[A-Z0-9._%+-]+@[A-Z0-9.-]+\.[A-Z]{2,}\b", re.IGNORECASE),
    re.compile(r"@[a-zA-Z0-9_]+"),
    re.compile(r"\b([0-9]{1,3}\.){3}[0-9]{1,3}\b"),
)
# The staging guide: grep -E "email|username|ip_address" LOG | grep webhook
STAGING_PII = re.compile(r"email|username|ip_address")


@dataclass(slots=True)
class Logbook:
    """One log file; remembers how far it was read."""

    path: Path
    offset: int = 0

    def new_lines(self) -> list[str]:
        """Return the lines written since the last call."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            text = file.read()
            self.offset = file.tell()
        return text.decode("utf-8").splitlines()

    def all_lines(self) -> list[str]:
        """Return every line, without moving the mark."""
        return self.path.read_text(encoding="utf-8").splitlines()


def count(lines: list[str], text: str) -> int:
    """Return how many *lines* hold *text*: `grep TEXT | wc -l`."""
    return sum(text in line for line in lines)


def breaker_state(lines: list[str]) -> str:
    """Return the breaker's state by its last line: `grep "Circuit breaker" | tail -1`; CLOSED without one."""
    states = [found[1] for line in lines if (found := BREAKER.search(line)) is not None]
    return {"OPENED": "OPEN"}.get(states[-1], states[-1]) if states else "CLOSED"


def latencies_ms(lines: list[str]) -> list[int]:
    """Return the latency of each delivered webhook, in whole milliseconds."""
    return [
        int(found[1]) for line in lines if DELIVERED in line and (found := re.search(r"latency=(\d+)", line))
    ]


def personal_data(lines: list[str]) -> list[str]:
    """Return the webhook lines that any of the runbook's own checks would flag; there should be none."""
    about_webhooks = [line for line in lines if "webhook" in line.lower()]
    checks = (QUICK_PII, STAGING_PII, *STRICT_PII)
    return [line for line in about_webhooks if any(check.search(line) for check in checks)]


def quantile(values: list[float] | list[int], share: float) -> float | None:
    """Return the value that *share* of *values* do not exceed (nearest rank); None where there are none."""
    if not values:
        return None
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * int(share * 100) // 100))
    return float(ordered[rank - 1])
