"""How long things took: what a delivery took to arrive, and what `dispatch` added to its caller.

Pure: criteria and evidence go in, readings come out. Invariants: a quantile without enough samples is
undecided; a threshold of the contract is decided by counting, not by the quantile that is shown, which is the
upper edge of its bucket. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rollout.criteria import Criteria
from rollout.evidence import Evidence, minute_of
from rollout.latency import DISPATCH, LATENCY, Buckets
from rollout.rates import longest_run
from rollout.verdict import Reading, Standing, in_figures

__all__ = ["dispatch_time", "latency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """What is timed: the measure's name, its buckets, and the words for its samples."""

    name: str
    buckets: Buckets
    of: str


_LATENCY = _Scale(name="latency", buckets=LATENCY, of="deliveries")
_DISPATCH = _Scale(name="dispatch_time", buckets=DISPATCH, of="calls of dispatch")


def latency(criteria: Criteria, evidence: Evidence, now: float) -> Iterator[Reading]:
    """Read p95 and p50 of the deliveries that arrived in the last hour, and p95 by the minute."""
    yield _quantile(_LATENCY, criteria, evidence, percent=95, hold_ms=criteria.latency_p95_hold_ms)
    yield _minutes(_LATENCY, criteria, evidence, now=now, line_ms=criteria.latency_p95_roll_back_ms)
    yield _quantile(_LATENCY, criteria, evidence, percent=50, hold_ms=criteria.latency_p50_hold_ms)


def dispatch_time(criteria: Criteria, evidence: Evidence, now: float) -> Iterator[Reading]:
    """Read p95 of the time that dispatch added in the last hour, and p95 by the minute."""
    yield _quantile(_DISPATCH, criteria, evidence, percent=95, hold_ms=criteria.dispatch_p95_hold_ms)
    yield _minutes(_DISPATCH, criteria, evidence, now=now, line_ms=criteria.dispatch_p95_roll_back_ms)


def _quantile(
    scale: _Scale, criteria: Criteria, evidence: Evidence, *, percent: int, hold_ms: float
) -> Reading:
    needed, sample = criteria.quantile_needs, scale.buckets.total(evidence.recent)
    seconds = scale.buckets.quantile(evidence.recent, percent)
    value = None if seconds is None else round(seconds * 1_000, 3)
    said = f"p{percent} of {sample} {scale.of}"
    has_end = scale.buckets.is_below(evidence.recent, scale.buckets.edges[-1], percent=percent)
    about = "" if value is None else f"is at {'most' if has_end else 'least'} {in_figures(value)} ms"
    if sample < needed:
        standing, why = Standing.UNDECIDED, f"{said}; {needed} are needed"
    elif scale.buckets.is_below(evidence.recent, _microseconds(hold_ms), percent=percent):
        standing, why = Standing.GO_ON, f"{said} {about}, below {hold_ms:g} ms"
    else:
        standing, why = Standing.HOLD, f"{said} {about}, not below {hold_ms:g} ms"
    return Reading(
        measure=f"{scale.name}_p{percent}",
        value=value,
        sample=sample,
        needed=needed,
        go_on=f"< {hold_ms:g} ms",
        hold=f">= {hold_ms:g} ms",
        standing=standing,
        why=why,
        bound="" if value is None else "<=" if has_end else ">=",
    )


def _minutes(scale: _Scale, criteria: Criteria, evidence: Evidence, *, now: float, line_ms: float) -> Reading:
    buckets, needs, line = scale.buckets, criteria.minute_needs, _microseconds(line_ms)
    sampled = [one for one in evidence.minutes if buckets.total(one.counts) >= needs]
    bad = [one for one in sampled if buckets.is_above(one.counts, line, percent=95)]
    run, limit = longest_run(bad, before=minute_of(now)), criteria.minutes_in_a_row
    return Reading(
        measure=f"{scale.name}_minutes",
        value=run,
        sample=len(sampled),
        needed=0,
        roll_back=f"{limit} minutes in a row > {line_ms:g} ms",
        standing=Standing.ROLL_BACK if run >= limit else Standing.GO_ON,
        why=f"p95 above {line_ms:g} ms in {run} minutes in a row, of {len(sampled)} with {needs} {scale.of}",
    )


def _microseconds(milliseconds: float) -> int:
    return round(milliseconds * 1_000)
