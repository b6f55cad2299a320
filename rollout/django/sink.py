"""Where settles become evidence: called inside the settle transaction, so that both commit or neither does.

This is the joint's answer to `webhooks_core.outbox.base.SettleSink`; `WEBHOOKS["SETTLE_SINK"]` names it by
default. Invariants: one statement for a batch; without a plan nothing is written; a delivery is a sample
once, where its fast tier ends. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from rollout.counters import Counts
from rollout.django import driving
from rollout.django.evidence import merged
from rollout.evidence import minute_of
from rollout.increments import of_settlement
from webhooks_core.django.outbox.database import Database
from webhooks_core.outbox.base import Settled
from webhooks_core.outcome import Outcome
from webhooks_core.retry import Tier
from webhooks_core.settlement import (
    REFUSED_BY_BREAKER,
    DeadLettered,
    Delivered,
    Settlement,
    Tally,
    Waiting,
    tally,
)

__all__ = ["counts_of", "settle_sink"]


_MET_5XX = (
    "SELECT DISTINCT webhooks_delivery.webhook_id FROM webhooks_delivery"
    " JOIN webhooks_attempt ON webhooks_attempt.delivery_id = webhooks_delivery.id"
    " WHERE webhooks_attempt.outcome = %s AND webhooks_delivery.webhook_id IN ({})"
)


def settle_sink(settled: Sequence[Settled]) -> None:
    """Count *settled* in the evidence of the flag, in the transaction that settles them."""
    table = driving.evidence()
    if table is None:
        return
    settlements = [each.settlement for each in settled]
    met = _met_5xx(settlements, table.database)
    counts = merged(
        {each.delivery.endpoint_id: counts_of(each, met_5xx=each.delivery.webhook_id in met)}
        for each in settlements
    )
    with table.database.reading() as cursor:  # the settle's transaction is open: no savepoint of our own
        minute = minute_of(table.database.now(cursor))
        table.add_minutes({(minute, name): each for name, each in counts.items()}, cursor)


def _met_5xx(settlements: Sequence[Settlement], database: Database) -> frozenset[str]:
    """Return the ids of those that had an attempt before this one, and met a 5xx in one of them."""
    names = [
        each.delivery.webhook_id
        for each in settlements
        if each.record is not None
        and each.record.attempt > 1
        and each.record.outcome is not Outcome.SERVER_ERROR
    ]
    if not names:
        return frozenset()
    with database.reading() as cursor:
        marks = ", ".join(["%s"] * len(names))
        cursor.execute(_MET_5XX.format(marks), [Outcome.SERVER_ERROR.value, *names])
        return frozenset(name for (name,) in cursor.fetchall())


def counts_of(settlement: Settlement, *, met_5xx: bool) -> Counts:
    """Return what *settlement* adds to the minute and endpoint in which it is written.

    Args:
        met_5xx: Whether an earlier attempt of the delivery met a 5xx.
    """
    delivery, record = settlement.delivery, settlement.record
    ends_fast_tier = tally(settlement) is Tally.FAILURE
    return of_settlement(
        kind=settlement.kind.value,
        outcome=_outcome(settlement),
        attempts=0 if record is None else record.attempt,
        latency_seconds=settlement.latency_seconds if isinstance(settlement, Delivered) else 0.0,
        ends_fast_tier=ends_fast_tier,
        in_slow_tier=delivery.tier is Tier.SLOW and not ends_fast_tier,
        met_5xx=met_5xx,
    )


def _outcome(settlement: Settlement) -> str | None:
    if settlement.record is not None:
        return settlement.record.outcome.value
    if isinstance(settlement, DeadLettered):
        return settlement.outcome.value
    if isinstance(settlement, Waiting) and settlement.reason == REFUSED_BY_BREAKER:
        return Outcome.CIRCUIT_OPEN.value
    return None
