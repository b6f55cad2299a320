"""The states of a delivery in an outbox, as a table, and `after`: what a settlement makes of its row.

Pure: no clock, no store. Invariants: what is not in `TRANSITIONS` cannot happen; every outbox goes by `after`
and by nothing of its own, so that memory and databases give the same rows. The diagram and the meaning of
each state are in docs/explanation/outbox.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from webhooks_core.settlement import DeadLettered, Delivered, Delivery, Held, Retrying, Settlement


class State(StrEnum):
    """Name where a delivery stands; the values reach the database."""

    PENDING = "pending"
    CLAIMED = "claimed"
    DELIVERED = "delivered"
    HELD = "held"
    DEAD = "dead"
    DROPPED = "dropped"


class Cause(StrEnum):
    """Name what moves a delivery from one state to another."""

    CLAIM = "a worker claims it"
    ARRIVE = "the receiver took it"
    RETRY = "an attempt failed, another is planned"
    WAIT = "it may not be sent now"
    LEASE_RAN_OUT = "its worker did not come back in time"
    GIVE_UP = "no attempt will follow by itself"
    HOLD = "the flag says no, or it cannot be sent"
    KEEP = "a person keeps it back"
    RELEASE = "a person lets it go"
    RESEND = "a person sends it again"
    DROP = "a person drops it"


# Every arrow there is. No state is left but along one of them, and no row is ever deleted on the way.
TRANSITIONS: dict[tuple[State, Cause], State] = {
    (State.PENDING, Cause.CLAIM): State.CLAIMED,
    (State.PENDING, Cause.KEEP): State.HELD,
    (State.PENDING, Cause.DROP): State.DROPPED,
    (State.CLAIMED, Cause.ARRIVE): State.DELIVERED,
    (State.CLAIMED, Cause.RETRY): State.PENDING,
    (State.CLAIMED, Cause.WAIT): State.PENDING,
    (State.CLAIMED, Cause.LEASE_RAN_OUT): State.PENDING,
    (State.CLAIMED, Cause.GIVE_UP): State.DEAD,
    (State.CLAIMED, Cause.HOLD): State.HELD,
    (State.HELD, Cause.RELEASE): State.PENDING,
    (State.HELD, Cause.DROP): State.DROPPED,
    (State.DEAD, Cause.RESEND): State.PENDING,
}

ENDED = frozenset({State.DELIVERED, State.DEAD, State.DROPPED})
"""What lets the next delivery of the same ordering key go. HELD is not in it: held blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What a row becomes: the arrow it goes along, where that leads, and when it is due again.

    `due_at` is epoch seconds of the store's clock, and None unless `state` is PENDING.
    """

    cause: Cause
    state: State
    due_at: float | None = None
    reason: str = ""


def after(settlement: Settlement, *, skew_seconds: float = 0.0) -> After:
    """Return what *settlement* makes of its claimed row; its `delivery` is what the row holds from then on.

    Args:
        settlement: What came of one attempt.
        skew_seconds: The store's clock minus the clock that the settlement was made by. Due times are the
            store's (contract §10).
    """
    if isinstance(settlement, Delivered):
        return _after(Cause.ARRIVE)
    if isinstance(settlement, Retrying):
        decision = settlement.decision
        return _after(Cause.RETRY, due_at=decision.when + skew_seconds, reason=decision.reason)
    if isinstance(settlement, Held):
        return _after(Cause.HOLD, reason=settlement.reason)
    if isinstance(settlement, DeadLettered):
        return _after(Cause.GIVE_UP, reason=settlement.decision.reason)
    return _after(Cause.WAIT, due_at=settlement.retry_at + skew_seconds, reason=settlement.reason)


def _after(cause: Cause, *, due_at: float | None = None, reason: str = "") -> After:
    return After(cause=cause, state=TRANSITIONS[State.CLAIMED, cause], due_at=due_at, reason=reason)


def may_move(state: State, cause: Cause) -> bool:
    """Return whether there is an arrow for *cause* out of *state*."""
    return (state, cause) in TRANSITIONS


def resent(delivery: Delivery, *, at: float) -> Delivery:
    """Return *delivery* as a person sends it again at *at*: the same id and bytes, all attempts before it."""
    return replace(
        delivery, attempt=1, spent_seconds=0.0, planned_wait_seconds=0.0, slow_retries=0, waits_since=at
    )


def released(delivery: Delivery, *, at: float) -> Delivery:
    """Return *delivery* as a person lets it go at *at*: it goes on where it was, and waits anew."""
    return replace(delivery, waits_since=at)
