"""The guard: `judge(criteria, evidence, now) -> Verdict`, every row of the contract's table (§10).

Pure. Invariants: no data never passes and never rolls back; what cannot be read is undecided, whatever was
known before; the same criteria, evidence and `now` give the same verdict. `look` is the door for whoever
ticks: rows in, the evidence to keep and the verdict out. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from rollout.clock_back import dated_back, minutes_back, noted
from rollout.criteria import Criteria
from rollout.evidence import Evidence, Row, minute_of, settled_until
from rollout.rates import pii, signature_rejected, success, worse_share
from rollout.receivers import breaker_openings, receiver_unreachable
from rollout.timings import dispatch_time, latency
from rollout.verdict import Reading, Standing, Verdict

__all__ = ["MEASURES", "RULE_VERSION", "SOURCES", "Look", "judge", "look"]

#: Grows with every change of what a verdict means; the journal keeps it beside each verdict.
RULE_VERSION = 2

#: What may be unreadable, each for itself.
SOURCES = ("deliveries", "breakers", "dispatch", "pii")

#: The contract's "last hour": without a delivery in it there is no data, however far back the criteria look.
SILENT_MINUTES = 60

Measure = Callable[[Criteria, Evidence, float], Iterable[Reading]]


def _retried(criteria: Criteria, evidence: Evidence, _now: float) -> Iterator[Reading]:
    part, line = evidence.recent.get("retried"), criteria.retried_hold_percent
    yield worse_share("retried", part, criteria, evidence, line=line)


def _client_errors(criteria: Criteria, evidence: Evidence, _now: float) -> Iterator[Reading]:
    part, line = evidence.recent.ended_4xx, criteria.client_errors_hold_percent
    yield worse_share("client_errors", part, criteria, evidence, line=line)


def _server_errors(criteria: Criteria, evidence: Evidence, _now: float) -> Iterator[Reading]:
    part, line = evidence.recent.get("met_5xx"), criteria.server_errors_hold_percent
    yield worse_share("server_errors", part, criteria, evidence, line=line)


def _envelopes(criteria: Criteria, evidence: Evidence, _now: float) -> Iterator[Reading]:
    built, needed = evidence.stage.get("envelopes"), criteria.quantile_needs
    yield Reading(
        measure="envelopes",
        value=built,
        sample=built,
        needed=needed,
        go_on=f">= {needed}",
        standing=Standing.GO_ON if built >= needed else Standing.UNDECIDED,
        why=f"{built} envelopes were built and checked; {needed} are needed",
    )


#: Name → where its numbers come from, and how it is read. In the order of the contract's table.
MEASURES: dict[str, tuple[str, Measure]] = {
    "success_rate": ("deliveries", success),
    "latency": ("deliveries", latency),
    "breaker_openings": ("breakers", breaker_openings),
    "pii": ("pii", pii),
    "signature_rejected": ("deliveries", signature_rejected),
    "receiver_unreachable": ("breakers", receiver_unreachable),
    "retried": ("deliveries", _retried),
    "client_errors": ("deliveries", _client_errors),
    "server_errors": ("deliveries", _server_errors),
    "dispatch_time": ("dispatch", dispatch_time),
}
# A shadow stage sends nothing: envelopes are built, checked and signed (contract §10).
_SHADOW: dict[str, tuple[str, Measure]] = {
    "envelopes": ("pii", _envelopes),
    "pii": ("pii", pii),
    "dispatch_time": ("dispatch", dispatch_time),
}


def judge(
    criteria: Criteria,
    evidence: Evidence,
    now: float,
    *,
    unreadable: Mapping[str, str] | None = None,
    is_shadow: bool = False,
) -> Verdict:
    """Judge *evidence* at *now*.

    Args:
        criteria: Thresholds of the plan.
        evidence: Folded up to the minute of *now*, that minute included; `look` does it.
        now: Epoch seconds, UTC, of the store's clock.
        unreadable: Source (one of `SOURCES`) → why it cannot be read, in our own words. All of its measures
            are then undecided.
        is_shadow: The stage sends nothing; it is judged by its envelopes, personal data and dispatch time.
    """
    gone = dict(unreadable or {})
    readings: list[Reading] = []
    for name, (source, measure) in (_SHADOW if is_shadow else MEASURES).items():
        if name in criteria.leave_out:
            continue
        if source in gone:
            readings.append(_unread(name, gone[source]))
        else:
            readings.extend(measure(criteria, evidence, now))
    return Verdict.of(
        readings, at=now, rule_version=RULE_VERSION, missing=_silence(evidence, now, is_shadow=is_shadow)
    )


def _silence(evidence: Evidence, now: float, *, is_shadow: bool) -> tuple[str, ...]:
    """Say that nothing was there to be judged for too long; nothing where something was."""
    oldest = minute_of(now) + 1 - SILENT_MINUTES
    for one in reversed(evidence.window):
        if one.minute < oldest:
            break
        if one.counts.get("envelopes") if is_shadow else one.counts.ended:
            return ()
    what = "envelope was built" if is_shadow else "delivery ended"
    return (f"no {what} at this stage in the last {SILENT_MINUTES} minutes",)


def _unread(measure: str, why: str) -> Reading:
    return Reading(
        measure=measure,
        value=None,
        sample=0,
        needed=0,
        standing=Standing.UNDECIDED,
        why=f"cannot be read: {why}",
    )


class Look(NamedTuple):
    """What a tick saw: the evidence to keep, the evidence of this moment, and the verdict."""

    keep: Evidence
    seen: Evidence
    verdict: Verdict


def look(
    criteria: Criteria,
    evidence: Evidence,
    rows: Iterable[Row] | None,
    *,
    now: float,
    unreadable: Mapping[str, str] | None = None,
    is_shadow: bool = False,
) -> Look:
    """Take new rows in and judge.

    Args:
        criteria: Thresholds of the plan.
        evidence: What the tick before kept.
        rows: Every row from the minute `evidence.until` on, or from that of *now* where it is the earlier
            one, those that were read before included; None where they could not be read: nothing is folded
            then, and all is undecided.
        now: Epoch seconds, UTC, of the store's clock.
        unreadable: As for `judge`.
        is_shadow: As for `judge`.
    """
    if rows is None:
        everything = dict.fromkeys(SOURCES, "the evidence could not be read") | dict(unreadable or {})
        verdict = judge(criteria, evidence, now, unreadable=everything, is_shadow=is_shadow)
        return Look(evidence, evidence, verdict)
    taken = list(rows)
    if minutes := minutes_back(evidence, now):
        why = f"the store's clock went back by at least {minutes} min"
        verdict = judge(criteria, evidence, now, unreadable=dict.fromkeys(SOURCES, why), is_shadow=is_shadow)
        back = dated_back(evidence, taken, now=now)
        return Look(back, back, verdict)
    begun = noted(evidence, taken, now=now)
    keep = begun.fold(taken, criteria=criteria, until=settled_until(now))
    seen = keep.fold(taken, criteria=criteria, until=minute_of(now) + 1)
    verdict = judge(criteria, seen, now, unreadable=unreadable, is_shadow=is_shadow)
    return Look(keep, seen, verdict)
