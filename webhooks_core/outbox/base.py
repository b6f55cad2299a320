"""The port `Outbox`: where deliveries are kept from their event to their end, and how workers share them.

Values and protocols only; the states are in `states.py`, the order of claims in `turns.py`. Invariants: a
claim is a lease with a token of its own, and only that token can renew or settle it; what was added is in
exactly one state ever after; rows of another environment are never touched. One suite,
`webhooks_core.testing.contracts.OutboxContract`, holds all outboxes alike. How a database does it with
three small indexes is written down in docs/explanation/outbox.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from webhooks_core.endpoint import EndpointId
from webhooks_core.outbox.states import ENDED, TRANSITIONS, After, Cause, State, after, may_move
from webhooks_core.settlement import AttemptRecord, Delivery, Settlement

__all__ = [
    "ENDED",
    "TRANSITIONS",
    "After",
    "Cause",
    "Claimed",
    "Operations",
    "Outbox",
    "Row",
    "SettleSink",
    "Settled",
    "State",
    "after",
    "may_move",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One delivery, leased to one worker.

    Args:
        delivery: What to attempt.
        token: Tells this claim from every other claim of any row, ever; never made of a worker's name or a
            counter that starts again.
        lease_until: Epoch seconds of the store's clock; from then on anybody may take the row.
        claims: How often the row was claimed, this time included. Above 1 it may have been sent before.
        problem: Why the row cannot be sent (unreadable, unknown state), or empty. A worker holds such a row.
    """

    delivery: Delivery
    token: str
    lease_until: float
    claims: int = 1
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What one claim came to. `skew_seconds`: the store's clock minus the one the settlement was made by."""

    claimed: Claimed
    settlement: Settlement
    skew_seconds: float = 0.0

    def after(self) -> After:
        """Return what the row becomes; see `states.after`."""
        return after(self.settlement, skew_seconds=self.skew_seconds)


SettleSink = Callable[[Sequence[Settled]], None]
"""Called inside the settle transaction with the settlements whose tokens held, and only then; what it writes
commits with them. Where it raises, nothing is settled."""


class Outbox(Protocol):
    """Share deliveries between workers. Safe to use from several threads and processes.

    Any method may raise whatever its store raises; a caller must then suppose nothing: the call may have
    been carried out.
    """

    def now(self) -> float:
        """Return the store's clock, epoch seconds: leases and due times are its."""
        ...

    def add(
        self, delivery: Delivery, *, ordering_key: str | None = None, due_at: float | None = None
    ) -> None:
        """Keep *delivery* as pending, in the caller's transaction where the store has one.

        Args:
            delivery: Its `webhook_id` is new in this outbox.
            ordering_key: Of all rows of one endpoint with the same key only the oldest that has not ended is
                ever sent; None asks for no order.
            due_at: Not before this moment; None is at once.
        """
        ...

    def claim(
        self,
        *,
        worker: str,
        limit: int,
        lease_seconds: float,
        endpoints: Mapping[EndpointId, int],
        waiting_before: float | None = None,
    ) -> Sequence[Claimed]:
        """Lease up to *limit* due rows to *worker*, as one atomic step.

        Rows are dealt over the endpoints in the mapping's order, one each and round again, and by turn
        within an endpoint. A row whose lease ran out is due again.

        Args:
            worker: For people to read; it proves nothing.
            limit: Rows in total, 1 or more.
            lease_seconds: How long the rows are this worker's.
            endpoints: How many rows of each endpoint may be taken now; one that is not in it: none.
            waiting_before: Only rows that wait since before this moment, by `Delivery.ages_from` (what has
                waited beyond its maximum age).
        """
        ...

    def renew(self, claims: Sequence[Claimed], *, lease_seconds: float) -> frozenset[str]:
        """Give *claims* the full lease again and return the tokens of those that are still theirs."""
        ...

    def settle(self, settlements: Sequence[Settled]) -> Sequence[bool]:
        """Write what became of claims, all in one transaction with their attempts and the `SettleSink`.

        Returns:
            For each, in order, whether its token still held; where it did not, nothing of it was written and
            the row is somebody else's, or settled already.
        """
        ...

    def next_due(self) -> float | None:
        """Return the earliest moment at which a row that is not ready now may be: retries, waits, leases."""
        ...

    def ready_endpoints(self) -> frozenset[EndpointId]:
        """Return the endpoints that have rows which could be claimed now, known to anybody or not."""
        ...

    def foreign(self) -> Mapping[str, int]:
        """Count the rows of other environments that have not ended, by environment: they are left alone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as a person sees it.

    `due_at` is None unless it is pending for a moment or leased until one; `reason` says why it is where it
    is; `worker` is who claimed it last.
    """

    delivery: Delivery
    state: State
    environment: str
    due_at: float | None = None
    reason: str = ""
    ordering_key: str | None = None
    worker: str = ""
    claims: int = 0
    attempts: tuple[AttemptRecord, ...] = ()


class Operations(Protocol):
    """What people do to rows, by id. Each returns the ids that moved; what has no such arrow stays."""

    def find(self, webhook_id: str) -> Row | None:
        """Return one row, or None where no row of this environment has that id."""
        ...

    def release(
        self, webhook_ids: Collection[str], *, reason: str, per_second: float | None = None
    ) -> frozenset[str]:
        """Let held rows go: pending, due at once, or spread over time at *per_second*.

        Their maximum age counts from then.
        """
        ...

    def resend(
        self, webhook_ids: Collection[str], *, reason: str, per_second: float | None = None
    ) -> frozenset[str]:
        """Send dead rows again: same id, attempts counted from 1, the maximum age from now."""
        ...

    def hold(self, webhook_ids: Collection[str], *, reason: str) -> frozenset[str]:
        """Keep pending rows back."""
        ...

    def drop(self, webhook_ids: Collection[str], *, reason: str) -> frozenset[str]:
        """Give pending or held rows up for good; they stay visible."""
        ...
