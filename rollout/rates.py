"""What share of the deliveries went well: success, retries, 4xx, 5xx, rejected signatures, personal data.

Pure: criteria and evidence go in, readings come out. Invariants: a share without enough samples is undecided;
thresholds are compared in whole counts, never in rounded shares. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil, sqrt

from rollout.criteria import Criteria
from rollout.evidence import Evidence, Minute, minute_of
from rollout.verdict import Reading, Standing

__all__ = ["longest_run", "percent", "pii", "signature_rejected", "success", "wilson_lower", "worse_share"]


def wilson_lower(good: int, sample: int, *, z: float) -> float:
    """Return the lower end of the one-sided Wilson score interval of *good* of *sample*, as a share.

    Source: E. B. Wilson, "Probable inference", Journal of the American Statistical Association 22 (1927).
    """
    if not sample:
        return 0.0
    share, square = good / sample, z * z
    middle = share + square / (2 * sample)
    spread = z * sqrt(share * (1 - share) / sample + square / (4 * sample * sample))
    return max(0.0, (middle - spread) / (1 + square / sample))


def percent(part: int, of: int) -> float | None:
    """Return *part* of *of* in percent, None of nothing."""
    return 100 * part / of if of else None


def _share(part: int, sample: int) -> str:
    """Say "341 of 391 deliveries (87.2 %)"; rounded down, so that what is below a line never reads as it."""
    return f"{part} of {sample} deliveries" + (f" ({1_000 * part // sample / 10:g} %)" if sample else "")


def longest_run(minutes: Iterable[Minute], *, before: int) -> int:
    """Return how many of these minutes follow on each other at most; those from *before* on are left out."""
    longest = run = last = 0
    for one in minutes:
        if one.minute < before:
            run = run + 1 if one.minute == last + 1 else 1
            longest, last = max(longest, run), one.minute
    return longest


def success(criteria: Criteria, evidence: Evidence, now: float) -> Iterator[Reading]:
    """Read the success rate: over the stage, by the minute, and by the sequential test."""
    yield _success_of_stage(criteria, evidence)
    yield _success_of_minutes(criteria, evidence, now)
    yield _success_in_sequence(criteria, evidence)


def _success_of_stage(criteria: Criteria, evidence: Evidence) -> Reading:
    good, sample = evidence.stage.get("ok"), evidence.stage.ended
    bound, z = criteria.success_lower_bound_percent, criteria.success_z
    needed = ceil(z * z * bound / (100 - bound))
    lower = 100 * wilson_lower(good, sample, z=z)
    said = f"{_share(good, sample)} arrived"
    if 100 * good < criteria.success_go_on_percent * sample and sample >= needed:
        standing, why = Standing.HOLD, f"{said}, below {criteria.success_go_on_percent:g} %"
    elif sample < needed:
        standing, why = Standing.UNDECIDED, f"{said}; {needed} deliveries are needed at least"
    elif lower < bound:
        standing = Standing.UNDECIDED
        why = f"{said}; too few: the lower bound is {lower:.1f} %, below {bound:g} %"
    else:
        standing, why = Standing.GO_ON, f"{said}; the lower bound is {lower:.1f} %"
    return Reading(
        measure="success_rate",
        value=percent(good, sample),
        sample=sample,
        needed=needed,
        go_on=f">= {criteria.success_go_on_percent:g} %, lower bound >= {bound:g} %",
        hold=f"< {criteria.success_go_on_percent:g} %",
        standing=standing,
        why=why,
    )


def _success_of_minutes(criteria: Criteria, evidence: Evidence, now: float) -> Reading:
    line, needs = criteria.success_roll_back_percent, criteria.minute_needs
    sampled = [one for one in evidence.minutes if one.failed + one.counts.get("ok") >= needs]
    bad = [one for one in sampled if 100 * one.counts.get("ok") < line * (one.failed + one.counts.get("ok"))]
    run, limit = longest_run(bad, before=minute_of(now)), criteria.minutes_in_a_row
    return Reading(
        measure="success_rate_minutes",
        value=run,
        sample=len(sampled),
        needed=0,
        roll_back=f"{limit} minutes in a row < {line:g} %",
        standing=Standing.ROLL_BACK if run >= limit else Standing.GO_ON,
        why=f"{run} minutes in a row below {line:g} %, of {len(sampled)} with {needs} deliveries or more",
    )


def _success_in_sequence(criteria: Criteria, evidence: Evidence) -> Reading:
    limit = criteria.cusum_limit
    found = evidence.cusum >= limit
    rates = f"{criteria.cusum_bad_percent:g} % against {criteria.cusum_good_percent:g} %"
    return Reading(
        measure="success_rate_sequence",
        value=round(evidence.cusum, 3),
        sample=evidence.stage.ended,
        needed=0,
        roll_back=f">= {limit:g}",
        standing=Standing.ROLL_BACK if found else Standing.GO_ON,
        why=f"the sequential test of {rates} stands at {evidence.cusum:.2f}; it rolls back from {limit:g} on",
    )


def worse_share(measure: str, part: int, criteria: Criteria, evidence: Evidence, *, line: float) -> Reading:
    """Read a share of the last hour's deliveries that holds from *line* percent on."""
    sample, needed = evidence.recent.ended, criteria.share_needs
    said = _share(part, sample)
    if sample < needed:
        standing, why = Standing.UNDECIDED, f"{said}; {needed} are needed"
    elif 100 * part >= line * sample:
        standing, why = Standing.HOLD, f"{said}, not below {line:g} %"
    else:
        standing, why = Standing.GO_ON, f"{said}, below {line:g} %"
    return Reading(
        measure=measure,
        value=percent(part, sample),
        sample=sample,
        needed=needed,
        go_on=f"< {line:g} %",
        hold=f">= {line:g} %",
        standing=standing,
        why=why,
    )


def signature_rejected(criteria: Criteria, evidence: Evidence, _now: float) -> Iterator[Reading]:
    """Read how many deliveries of the last hour the receiver took for forged."""
    rejected, sample = evidence.recent.get("failed_signature_rejected"), evidence.recent.ended
    line = criteria.signature_roll_back_percent
    lower = 100 * wilson_lower(rejected, sample, z=criteria.success_z)
    said = f"{_share(rejected, sample)} were rejected for their signature"
    if rejected and sample >= criteria.signature_needs and lower > line:
        standing, why = Standing.ROLL_BACK, f"{said}; the lower bound is {lower:.1f} %, above {line:g} %"
    elif rejected:
        standing, why = Standing.HOLD, said
    elif sample < criteria.share_needs:
        standing, why = Standing.UNDECIDED, f"{said}; {criteria.share_needs} deliveries are needed"
    else:
        standing, why = Standing.GO_ON, said
    yield Reading(
        measure="signature_rejected",
        value=percent(rejected, sample),
        sample=sample,
        needed=criteria.share_needs,
        go_on="0",
        hold="> 0",
        roll_back=f"lower bound > {line:g} %, {criteria.signature_needs} deliveries",
        standing=standing,
        why=why,
    )


def pii(_criteria: Criteria, evidence: Evidence, _now: float) -> Iterator[Reading]:
    """Read whether personal data was found in the stage."""
    found, in_text = evidence.stage.get("pii"), evidence.stage.get("pii_free_text")
    standing = Standing.ROLL_BACK if found else Standing.HOLD if in_text else Standing.GO_ON
    yield Reading(
        measure="pii",
        value=found + in_text,
        sample=evidence.stage.get("envelopes"),
        needed=0,
        go_on="0",
        hold="in free text",
        roll_back="any other",
        standing=standing,
        why=f"personal data was found {found} times, and {in_text} times in free text or a field not known",
    )
