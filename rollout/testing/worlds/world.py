"""The guard in a simulated world: when did it roll back, and why.

`simulate(world, seed)` runs the real guard over simulated evidence, every half hour while nothing happens and
every 15 s from a fault on. The invariants: the same world, seed and criteria give the same outcome; the guard
sees counts of (minute, endpoint) and nothing else. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from rollout.counters import Counts
from rollout.criteria import Criteria
from rollout.evidence import Evidence, Row
from rollout.guard import judge
from rollout.testing.worlds.traffic import Ended, Traffic, World
from rollout.verdict import Call, Verdict, VerdictKind

__all__ = ["TICK_SECONDS", "Outcome", "simulate"]

TICK_SECONDS = 15
# Nothing is missed between two looks at a quiet world: the sequential test stays where it has found
# something, and five bad minutes stay in the window.
_QUIET_MINUTES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the guard did in one world.

    Args:
        seed: Of the world.
        rolled_back_at: Seconds since the world began; None: it did not.
        measure: Why it did, the first of its reasons; empty: it did not.
        fault_at: When the fault began; None: there was none.
        passes: How many of the verdicts in a quiet world allowed to go on.
        looks: Of how many.
        failed: Deliveries that failed since the fault began.
    """

    seed: int
    rolled_back_at: float | None
    measure: str
    fault_at: float | None
    passes: int
    looks: int
    failed: int

    @property
    def delay_minutes(self) -> float | None:
        """How long after the fault it rolled back; below 0: before; None without one of them."""
        if self.rolled_back_at is None or self.fault_at is None:
            return None
        return (self.rolled_back_at - self.fault_at) / 60


def simulate(world: World, seed: int, *, criteria: Criteria | None = None) -> Outcome:
    """Run *world* with *seed* until the guard rolls back or the world's hours are over."""
    thresholds, traffic = criteria or Criteria(), Traffic(world, seed)
    evidence, waiting, verdicts = Evidence(since=0.0), list[Row](), list[Verdict]()
    verdict, failed = None, 0
    for minute in range(round(world.hours * 60)):
        ended, end = traffic.minute(minute), (minute + 1) * 60.0
        waiting += _rows(minute, ended)
        begun = end > traffic.fault_at
        if begun:
            failed += _failed(ended, since=traffic.fault_at)
            verdict = _ticks(thresholds, evidence, minute, ended)
        elif minute % _QUIET_MINUTES != _QUIET_MINUTES - 1 and end + 60.0 <= traffic.fault_at:
            continue
        evidence, waiting = evidence.fold(waiting, criteria=thresholds, until=minute + 1), []
        if not begun:
            verdict = judge(thresholds, evidence, end)
            verdicts.append(verdict)
        if verdict is not None and verdict.call is Call.ROLL_BACK:
            break
    last = verdict if verdict is not None and verdict.call is Call.ROLL_BACK else None
    return Outcome(
        seed=seed,
        rolled_back_at=last.at if last else None,
        measure=last.reasons[0].measure if last else "",
        fault_at=None if traffic.fault_at == inf else traffic.fault_at,
        passes=sum(one.kind is VerdictKind.PASS for one in verdicts),
        looks=len(verdicts),
        failed=failed,
    )


def _ticks(criteria: Criteria, evidence: Evidence, minute: int, ended: Sequence[Ended]) -> Verdict:
    """Judge every 15 s of *minute*; return the first verdict that rolls back, or the last one."""
    tick = 0
    while True:
        tick += TICK_SECONDS
        now = minute * 60.0 + tick
        so_far = _rows(minute, [one for one in ended if one.at < now])
        verdict = judge(criteria, evidence.fold(so_far, criteria=criteria, until=minute + 1), now)
        if verdict.call is Call.ROLL_BACK or tick >= 60:
            return verdict


def _rows(minute: int, ended: Sequence[Ended]) -> list[Row]:
    by_endpoint: dict[str, dict[str, int]] = {}
    for _, endpoint, counts in ended:
        row = by_endpoint.setdefault(endpoint, {})
        for column, count in counts.items():
            row[column] = row.get(column, 0) + count
    return [Row(minute, endpoint, Counts(row)) for endpoint, row in by_endpoint.items()]


def _failed(ended: Sequence[Ended], *, since: float) -> int:
    return sum(
        count
        for one in ended
        if one.at >= since
        for column, count in one.counts.items()
        if column.startswith("failed_")
    )
