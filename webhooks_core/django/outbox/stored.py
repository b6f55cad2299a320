"""A row as values: what a worker is handed, and what a person sees.

Reading never fails for a row that somebody has edited: what cannot be understood is told as its `problem`,
and the row goes on to be held. Invariant: what is written of a delivery is what is read of it. Explained in
docs/explanation/outbox.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from webhooks_core.django.outbox.database import Row as Columns
from webhooks_core.endpoint import EndpointId
from webhooks_core.errors import ConfigError
from webhooks_core.outbox.base import Claimed, Row
from webhooks_core.outbox.states import State
from webhooks_core.outcome import Outcome
from webhooks_core.settlement import AttemptRecord, Delivery

COLUMNS = (
    "id, webhook_id, endpoint_id, event, body, unit, admitted_by, ordering_key, state, claims, attempt,"
    " spent_seconds, planned_wait_seconds, created_at, environment, due_at, reason, worker, changed_at,"
    " last_outcome, last_status, sent_before, waits_since, slow_retries"
)
ATTEMPT_COLUMNS = "number, outcome, started_at, elapsed_seconds, status, error, is_probe"


_STATES = frozenset(State)
_TOKEN = re.compile(r"(.+)\.([0-9]{1,18})(k?)")


class Token(NamedTuple):
    """One claim: the random text of its batch, the row, and whether settling needs the lock of a key."""

    batch: str
    number: int
    is_keyed: bool = False

    @classmethod
    def read(cls, text: str) -> Token | None:
        """Return the token that *text* says; None where it is none of ours."""
        found = _TOKEN.fullmatch(text)
        return None if found is None else cls(found[1], int(found[2]), bool(found[3]))

    def __str__(self) -> str:
        return f"{self.batch}.{self.number}{'k' if self.is_keyed else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One row of the table of deliveries; `problem` is why it could not be sent, were it claimed."""

    number: int
    delivery: Delivery
    state: str
    environment: str
    claims: int
    due_at: float | None
    reason: str
    ordering_key: str | None
    worker: str
    changed_at: float
    last_outcome: str
    last_status: int | None
    problem: str

    @classmethod
    def of(cls, columns: Columns) -> Stored:
        """Return the row that the columns `COLUMNS` make."""
        (
            number, webhook_id, endpoint_id, event, body, unit, admitted_by, ordering_key, state, claims,
            attempt, spent_seconds, planned_wait_seconds, created_at, environment, due_at, reason, worker,
            changed_at, last_outcome, last_status, sent_before, waits_since, slow_retries,
        ) = columns  # fmt: skip
        numbers = (claims, attempt, spent_seconds, planned_wait_seconds, created_at)
        problem = "" if state == State.PENDING else "the row's state is not a known one"
        later = (waits_since or 0.0, slow_retries or 0)  # may be empty
        if not all(isinstance(number, (int, float)) for number in numbers + later):  # SQLite keeps anything
            problem, waits_since, slow_retries = "the row's numbers cannot be read", None, None
            claims, attempt, spent_seconds, planned_wait_seconds, created_at = 0, 1, 0.0, 0.0, 0.0
        delivery = Delivery(
            webhook_id=webhook_id,
            event=event,
            body=_bytes(body),
            created_at=created_at,
            endpoint_id=EndpointId(endpoint_id),
            unit=unit or None,
            attempt=attempt,
            spent_seconds=spent_seconds,
            planned_wait_seconds=planned_wait_seconds,
            admitted_by=admitted_by or None,
            sent_before=bool(sent_before),
            waits_since=waits_since,
            slow_retries=slow_retries or 0,
        )
        return cls(
            number=number, delivery=delivery, state=state, environment=environment, claims=claims,
            due_at=due_at, reason=reason, ordering_key=ordering_key, worker=worker, changed_at=changed_at,
            last_outcome=last_outcome, last_status=last_status, problem=problem,
        )  # fmt: skip

    def claimed(self, *, token: str, until: float) -> Claimed:
        """Return what a worker is handed that has just claimed this row."""
        return Claimed(
            delivery=self.delivery,
            token=str(Token(batch=token, number=self.number, is_keyed=self.ordering_key is not None)),
            lease_until=until,
            claims=self.claims + 1,
            problem=self.problem,
        )

    def shown(self, attempts: Iterable[Columns]) -> Row:
        """Return it as people see it."""
        if self.state not in _STATES:
            raise ConfigError(f"delivery {self.delivery.webhook_id}", "its state is not a known one")
        return Row(
            delivery=self.delivery,
            state=State(self.state),
            environment=self.environment,
            due_at=self.due_at,
            reason=self.reason,
            ordering_key=self.ordering_key,
            worker=self.worker,
            claims=self.claims,
            attempts=tuple(attempt_of(columns) for columns in attempts),
        )


def _bytes(body: object) -> bytes:
    """Return a body as bytes, whatever somebody has written there; what is none is seen when it is read."""
    return bytes(body) if isinstance(body, (bytes, memoryview)) else str(body).encode(errors="replace")


def attempt_of(columns: Columns) -> AttemptRecord:
    """Return the attempt that the columns `ATTEMPT_COLUMNS` make."""
    number, outcome, started_at, elapsed_seconds, status, error, is_probe = columns
    return AttemptRecord(
        attempt=number,
        outcome=Outcome(outcome),
        started_at=started_at,
        elapsed_seconds=elapsed_seconds,
        status=status,
        error=error,
        is_probe=bool(is_probe),
    )
