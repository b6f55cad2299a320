"""A delivery, one attempt's record, and the five ways in which an attempt can leave a delivery.

Values only; `delivery.py`, which makes them, shows these names too. Invariant: every settlement carries the
delivery as it goes on, so that an engine needs nothing else. Explained in
docs/explanation/delivery-guarantees.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from webhooks_core.endpoint import DEFAULT_ID, EndpointId
from webhooks_core.outcome import Outcome
from webhooks_core.retry import DeadLetter, RetryAt, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event to one endpoint, over all its attempts; `attempt` is the number of the next one, from 1.

    `spent_seconds` is the time its attempts took so far, `planned_wait_seconds` the waits between them.
    `admitted_by` is the gate's own word for why it was let in, None where there was no gate. `sent_before`:
    a request of it may have reached the receiver, whatever `attempt` says (a crash, a resend, a probe).
    `waits_since` is when a person last put it back, epoch seconds; None where nobody did. `slow_retries` is
    how many waits of the slow tier it has had.
    """

    webhook_id: str
    event: str
    body: bytes = field(repr=False)
    created_at: float
    endpoint_id: EndpointId = DEFAULT_ID
    unit: str | None = None
    attempt: int = 1
    spent_seconds: float = 0.0
    planned_wait_seconds: float = 0.0
    admitted_by: str | None = None
    sent_before: bool = False
    waits_since: float | None = None
    slow_retries: int = 0

    @property
    def tier(self) -> Tier:
        """The tier of its next attempt."""
        return Tier.SLOW if self.slow_retries else Tier.FAST

    @property
    def ages_from(self) -> float:
        """The moment from which its maximum age counts, epoch seconds: a person's word begins it anew."""
        return self.created_at if self.waits_since is None else self.waits_since


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """What one HTTP request came to. `status` is None where no answer came; `error` is in our own words."""

    attempt: int
    outcome: Outcome
    started_at: float
    elapsed_seconds: float
    status: int | None = None
    error: str = ""
    is_probe: bool = False


class SettlementKind(StrEnum):
    """Name how an attempt left its delivery."""

    DELIVERED = "delivered"
    RETRYING = "retrying"
    DEAD_LETTER = "dead_letter"
    HELD = "held"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """It arrived. `latency_seconds` is all attempts, `elapsed_seconds` adds the planned waits."""

    kind: ClassVar[SettlementKind] = SettlementKind.DELIVERED
    delivery: Delivery
    record: AttemptRecord
    latency_seconds: float
    elapsed_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """Attempt it again at `decision.when`; `delivery` is what to attempt then."""

    kind: ClassVar[SettlementKind] = SettlementKind.RETRYING
    delivery: Delivery
    record: AttemptRecord
    decision: RetryAt


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettered:
    """Given up. `record` is None where it grew too old without an attempt."""

    kind: ClassVar[SettlementKind] = SettlementKind.DEAD_LETTER
    delivery: Delivery
    outcome: Outcome
    decision: DeadLetter
    record: AttemptRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The flag says no: kept until a person releases or drops it."""

    kind: ClassVar[SettlementKind] = SettlementKind.HELD
    delivery: Delivery
    reason: str
    record: None = None


REFUSED_BY_BREAKER = "circuit open"
"""The reason of a `Waiting` that an open breaker caused; such a delivery is no sample (contract §10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Not now, and no attempt is spent: ask again at `retry_at`. `record` is that of a failed probe."""

    kind: ClassVar[SettlementKind] = SettlementKind.WAITING
    delivery: Delivery
    reason: str
    retry_at: float
    record: AttemptRecord | None = None


Settlement = Delivered | Retrying | DeadLettered | Held | Waiting


class Tally(StrEnum):
    """Name what a settlement adds to the evidence, which is taken where the fast tier ends (contract §10)."""

    SUCCESS = "success"
    """It arrived in the fast tier."""

    FAILURE = "failure"
    """Its fast tier ended without that: it is given up, or goes on to the slow tier."""

    RECOVERY = "recovery"
    """It arrived in the slow tier; it was counted as a failure before."""

    NOTHING = "nothing"
    """It goes on, is kept back, is lost in the slow tier after it was counted, or was refused by a breaker to
    its end, which is no sample."""


def tally(settlement: Settlement) -> Tally:
    """Return what *settlement* adds to the evidence: of all settlements of one delivery at most one is a
    success or a failure, unless a person sends it again.
    """
    taken = settlement.delivery.slow_retries
    if isinstance(settlement, Delivered):
        return Tally.RECOVERY if taken else Tally.SUCCESS
    if isinstance(settlement, Retrying):  # its delivery is the one to attempt next
        return Tally.FAILURE if settlement.decision.tier is Tier.SLOW and taken == 1 else Tally.NOTHING
    if isinstance(settlement, DeadLettered) and not taken and settlement.record is not None:
        return Tally.FAILURE
    return Tally.NOTHING
