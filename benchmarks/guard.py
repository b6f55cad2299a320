"""A tick of the guard, in CPU time: 100 endpoints, after 48 h of evidence, 5 deliveries a minute each.

A tick is what the runner does every few seconds: read back what was remembered, take the rows of the last
minutes (as a database would give them, all columns), judge, and write down what is remembered. It must not
depend on how long the stage is: the table has the same tick after one hour. Target: at most 20 ms.
"""

from __future__ import annotations

import random
import statistics
import sys
import time

from rollout import evidence_text
from rollout.counters import COLUMNS, Counts
from rollout.criteria import Criteria
from rollout.evidence import Evidence, Row, minute_of
from rollout.guard import look
from rollout.increments import of_dispatch, of_settlement

ENDPOINTS = 100
HOURS = 48
A_MINUTE = 5
TICKS = 40
MOST_MILLISECONDS = 20.0
BEGIN = 1_763_000_040.0
CRITERIA = Criteria()


def database_rows(chance: random.Random) -> list[dict[str, int]]:
    """Return a stock of rows: every column, most of them 0."""
    stock = []
    for _ in range(200):
        counts = Counts.sum([_delivery(chance) for _ in range(A_MINUTE)] + [of_dispatch(0.001)] * A_MINUTE)
        stock.append({column: counts.get(column) for column in COLUMNS})
    return stock


def _delivery(chance: random.Random) -> Counts:
    if chance.random() < 0.03:
        return of_settlement(kind="dead_letter", outcome="server_error", attempts=3)
    seconds = chance.lognormvariate(-2.0, 0.7)
    return of_settlement(kind="delivered", outcome="success", attempts=1, latency_seconds=seconds)


def after(hours: int, stock: list[dict[str, int]]) -> Evidence:
    """Return the evidence of a stage that is so old."""
    evidence, first = Evidence(since=BEGIN), minute_of(BEGIN)
    for minute in range(first, first + hours * 60):
        rows = [Row(minute, f"endpoint-{number}", Counts.of_row(stock[(minute * 7 + number) % len(stock)]))
                for number in range(ENDPOINTS)]  # fmt: skip
        evidence = evidence.fold(rows, criteria=CRITERIA, until=minute + 1)
    return evidence


def tick_of(evidence: Evidence, stock: list[dict[str, int]]) -> float:
    """Return the CPU milliseconds of one tick: three minutes of rows, the last of them not over."""
    text, now = evidence_text.dumps(evidence), evidence.until * 60.0 + 150.0
    minutes = range(evidence.until, evidence.until + 3)
    begun = time.process_time()
    rows = [Row(minute, f"endpoint-{number}", Counts.of_row(stock[number]))
            for minute in minutes for number in range(ENDPOINTS)]  # fmt: skip
    remembered = evidence_text.loads(text)
    assert remembered is not None
    found = look(CRITERIA, remembered, rows, now=now)
    evidence_text.dumps(found.keep)
    return (time.process_time() - begun) * 1_000


def main() -> int:
    """Measure and print; 1 where the target is missed."""
    stock = database_rows(random.Random(7))
    print(f"{ENDPOINTS} endpoints, {A_MINUTE} deliveries a minute each; CPU ms a tick, {TICKS} ticks\n")
    print(f"{'stage':>8} {'median':>8} {'worst':>8} {'remembered':>12}")
    worst = 0.0
    for hours in (1, HOURS):
        evidence = after(hours, stock)
        figures = sorted(tick_of(evidence, stock) for _ in range(TICKS))
        worst = figures[-1]
        kept = len(evidence_text.dumps(evidence)) / 1_024
        print(f"{hours:>6} h {statistics.median(figures):>8.1f} {worst:>8.1f} {kept:>8.0f} KiB")
    missed = worst > MOST_MILLISECONDS
    print(f"\n{'MISSED' if missed else 'met'}: worst tick <= {MOST_MILLISECONDS:g} ms")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
