"""What a worker does next: `plan(view, policy)`, and how many rows of an endpoint it may claim: `room`.

Pure: what the worker holds comes in as a `View`, what to do goes out as a `Plan`; times are the worker's
monotonic clock. Invariants: a claim is never made while draining or while the outbox is failing; `wake_at`
is never later than the next thing that time alone makes due. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from webhooks_core.breaker import Admit, BreakerPolicy, BreakerState, Refused, Ticket, decide
from webhooks_core.worker.policy import WorkerPolicy


class Phase(StrEnum):
    """Name what a worker is about."""

    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a worker holds and when it last did what.

    Args:
        held: Rows that are queued or handed out.
        unsettled: Settlements that are not written yet; `unsettled_since` is when the oldest came.
        renew_at: When the first lease is to be renewed, None without any.
        claim_at, sweep_at, beat_at: Not before these moments.
        retry_at: The outbox failed; nothing is asked of it before this moment.
        drain_until: A worker that drains gives up waiting at this moment.
    """

    phase: Phase
    held: int
    unsettled: int = 0
    unsettled_since: float = 0.0
    renew_at: float | None = None
    claim_at: float = 0.0
    sweep_at: float = math.inf
    beat_at: float = math.inf
    retry_at: float = 0.0
    drain_until: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now, in this order; `claim` is how many rows to ask for. `wake_at` is when to plan again."""

    settle: bool = False
    renew: bool = False
    claim: int = 0
    sweep: bool = False
    beat: bool = False
    wake_at: float = math.inf


def plan(view: View, policy: WorkerPolicy, *, now: float) -> Plan:
    """Return what a worker that holds what *view* says does at *now*."""
    if view.phase is Phase.STOPPED:
        return Plan()
    running = view.phase is Phase.RUNNING
    settle_at, renew_at = _settle_at(view, policy), math.inf if view.renew_at is None else view.renew_at
    free = _free(view, policy) if running else 0
    claim_at = view.claim_at if free else math.inf
    sweep_at = view.sweep_at if free else math.inf
    moments = (settle_at, renew_at, claim_at, sweep_at, view.beat_at)
    if now < view.retry_at:
        return Plan(wake_at=min(view.drain_until, max(view.retry_at, min(moments))))
    return Plan(
        settle=now >= settle_at,
        renew=now >= renew_at,
        claim=free if now >= claim_at else 0,
        sweep=now >= sweep_at,
        beat=now >= view.beat_at,
        wake_at=min(view.drain_until, *moments),
    )


def _settle_at(view: View, policy: WorkerPolicy) -> float:
    if not view.unsettled:
        return math.inf
    if view.unsettled >= policy.batch or not view.held or view.phase is not Phase.RUNNING:
        return -math.inf
    return view.unsettled_since + policy.settle_within_seconds


def _free(view: View, policy: WorkerPolicy) -> int:
    """Return how many rows to ask for; none while enough are at hand, so that claims stay batches."""
    if view.held > policy.slots:
        return 0
    return min(policy.batch, policy.slots + policy.batch - view.held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a breaker would say: `most` at a time, or none before `retry_at` (epoch seconds)."""

    most: int | None
    retry_at: float | None = None


def admission(breaker_policy: BreakerPolicy, state: BreakerState, *, now: float) -> Admission:
    """Return how many attempts a breaker would admit at *now*, without asking for one."""
    answer = decide(breaker_policy, state, Admit(), now=now).answer
    if isinstance(answer, Refused):
        return Admission(most=0, retry_at=answer.retry_at)
    assert isinstance(answer, Ticket)
    return Admission(most=1 if answer.is_probe else None)


def room(policy: WorkerPolicy, *, held: int, is_slow: bool, is_alone: bool, most: int | None) -> int:
    """Return how many rows of one endpoint may be claimed now.

    Args:
        held: Rows of it that this worker has queued or handed out.
        is_slow: One of its attempts took, or takes, longer than `slow_seconds`.
        is_alone: It is the only endpoint.
        most: What its breaker admits: None is any number, 1 a probe, 0 nothing.
    """
    if most is not None:
        return max(0, most - held)
    cap = policy.cap(is_slow=is_slow, is_alone=is_alone)
    # A quick endpoint may have a batch queued; of a slow one no more is taken than can be sent at once.
    return max(0, cap + (0 if is_slow else policy.batch) - held)
