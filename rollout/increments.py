"""What each event adds to the row of its minute and endpoint: a settle, an outcome, a breaker, a dispatch.

Pure: plain values in, `Counts` out. Invariants: a delivery is a sample once, where its fast tier ends; one
that an open breaker refused and one that was held never are, and a test send is not told here at all.
Outcomes come as the contract's words (§6), since this package does not know who sends. Explained in
docs/reference/guard.md.
"""

from __future__ import annotations

from rollout.counters import FAILURES, UNANSWERED, Counts
from rollout.errors import ConfigError
from rollout.latency import DISPATCH, LATENCY

__all__ = ["of_breaker", "of_dispatch", "of_envelope", "of_outcome", "of_pii", "of_settlement"]

_KINDS = frozenset({"delivered", "retrying", "dead_letter", "waiting", "held"})
_OUTCOMES = frozenset({"success", "circuit_open", "pii_blocked", *FAILURES})


def of_settlement(
    *,
    kind: str,
    outcome: str | None,
    attempts: int,
    latency_seconds: float = 0.0,
    ends_fast_tier: bool = False,
    in_slow_tier: bool = False,
    met_5xx: bool = False,
) -> Counts:
    """Return what one settle adds to the row of its minute and endpoint.

    Args:
        kind: `delivered`, `retrying`, `dead_letter`, `waiting` or `held`, as the settlement says it.
        outcome: Class of the attempt that was made (contract §6); `circuit_open` where a breaker refused;
            None where nothing was attempted.
        attempts: How many attempts the delivery has spent, this one included.
        latency_seconds: Time spent in attempts, failed ones included.
        ends_fast_tier: With `retrying`: the next attempt belongs to the slow tier. The two kinds that end a
            delivery end the fast tier anyway.
        in_slow_tier: The fast tier had ended before this attempt: no sample, at most a recovery.
        met_5xx: A 5xx came to this attempt or to an earlier one of the delivery.

    Raises:
        ConfigError: *kind* or *outcome* is not one of the contract's words.
    Source: contract §10, "Evidence is taken where the fast tier ends".
    """
    if kind not in _KINDS:
        raise ConfigError("evidence.kind", f"must be one of {', '.join(sorted(_KINDS))}")
    if outcome is not None and outcome not in _OUTCOMES:
        raise ConfigError("evidence.outcome", f"must be one of {', '.join(sorted(_OUTCOMES))}")
    if kind == "held" or outcome in (None, "pii_blocked"):
        return Counts()
    if outcome == "circuit_open":
        return Counts({"expired" if kind == "dead_letter" else "refused": 1})
    assert outcome is not None
    counts = {"attempts": 1}
    if outcome in UNANSWERED:
        counts["unanswered"] = 1
    if in_slow_tier:
        counts.update({"recovered": 1} if outcome == "success" else {})
    elif kind in ("delivered", "dead_letter") or (kind == "retrying" and ends_fast_tier):
        counts.update(_ended(outcome, attempts=attempts, latency_seconds=latency_seconds, met_5xx=met_5xx))
    return Counts(counts)


def of_outcome(
    outcome: str, *, attempts: int = 1, latency_seconds: float | None = None, met_5xx: bool = False
) -> Counts:
    """Return what one delivery of an application with a sender of its own adds (`record_outcome`).

    Args:
        outcome: `success` or a class in which a delivery fails (contract §6).
        attempts: How many it took, 1 or more. The earlier ones are taken to have failed without an end.
        latency_seconds: Time spent in attempts; None where it is not known: it is then no latency sample.

    Raises:
        ConfigError: *outcome* is none of these words, or *attempts* is below 1.
    """
    if outcome != "success" and outcome not in FAILURES:
        raise ConfigError("evidence.outcome", f"must be success or one of {', '.join(sorted(FAILURES))}")
    if attempts < 1:
        raise ConfigError("evidence.attempts", "must be 1 or more")
    counts = {"attempts": 1, **_ended(outcome, attempts=attempts, latency_seconds=latency_seconds,
                                      met_5xx=met_5xx)}  # fmt: skip
    if outcome in UNANSWERED:
        counts["unanswered"] = 1
    return Counts(counts)


def of_breaker(*, openings: int = 0, open_seconds: int = 0) -> Counts:
    """Return what is added for a breaker: its CLOSED → OPEN, and the seconds for which it was seen open."""
    return Counts({"openings": openings, "open_seconds": open_seconds})


def of_dispatch(seconds: float) -> Counts:
    """Return what one call of `dispatch` adds, which took *seconds* of its caller's time."""
    return Counts({DISPATCH.column(seconds): 1})


def of_envelope(count: int = 1) -> Counts:
    """Return what *count* envelopes that were built and checked add, those of a shadow stage included."""
    return Counts({"envelopes": count})


def of_pii(*, free_text: bool) -> Counts:
    """Return what one delivery blocked for personal data adds.

    Args:
        free_text: It stood in a field declared free text, or the field was merely unknown: holds only.
    """
    return Counts({"pii_free_text" if free_text else "pii": 1})


def _ended(outcome: str, *, attempts: int, latency_seconds: float | None, met_5xx: bool) -> dict[str, int]:
    counts = {FAILURES.get(outcome, "ok"): 1}
    if attempts > 1:
        counts["retried"] = 1
    if met_5xx or outcome == "server_error":
        counts["met_5xx"] = 1
    # A failure is judged by the success rate; its time-out must not be judged again as slowness.
    if outcome == "success" and latency_seconds is not None:
        counts[LATENCY.column(latency_seconds)] = 1
    return counts
