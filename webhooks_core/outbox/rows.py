"""One row of the outbox in memory: what a database would have as columns.

Only `memory.py` uses it. Invariant: `state` changes through `go` alone, along an arrow of the table, and a
token is there exactly while the row is claimed. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

from typing import NamedTuple

from webhooks_core.endpoint import EndpointId
from webhooks_core.outbox.base import Row
from webhooks_core.outbox.states import TRANSITIONS, Cause, State
from webhooks_core.settlement import AttemptRecord, Delivery


class Lane(NamedTuple):
    """What has turns of its own: a unit at an endpoint, fresh or claimed before."""

    endpoint_id: EndpointId
    unit: str | None
    returning: bool


class Key(NamedTuple):
    """What is kept in order: an ordering key at an endpoint."""

    endpoint_id: EndpointId
    text: str


class Kept:
    """A row. `number` is its place in the order of insertion, `stamp` tells its newest place in a heap."""

    __slots__ = (
        "attempts", "claims", "delivery", "due_at", "environment", "key", "number", "reason", "stamp",
        "state", "token", "turn", "worker",
    )  # fmt: skip

    def __init__(self, delivery: Delivery, *, number: int, environment: str, key: Key | None) -> None:
        self.delivery = delivery
        self.number = number
        self.environment = environment
        self.key = key
        self.state = State.PENDING
        self.turn: int | None = None
        self.due_at: float | None = None
        self.stamp = 0
        self.token = ""
        self.worker = ""
        self.claims = 0
        self.reason = ""
        self.attempts: list[AttemptRecord] = []

    @property
    def lane(self) -> Lane:
        """The lane in which it waits for its turn."""
        return Lane(self.delivery.endpoint_id, self.delivery.unit, self.claims > 0)

    @property
    def is_parked(self) -> bool:
        """Whether it waits for another row of its key."""
        return self.state is State.PENDING and self.turn is None and self.due_at is None

    @property
    def is_on_its_way(self) -> bool:
        """Whether a worker has it or may take it."""
        return self.turn is not None or self.state is State.CLAIMED

    def go(self, cause: Cause, *, reason: str = "") -> None:
        """Go along one arrow; without one this is a bug, and a KeyError."""
        self.state = TRANSITIONS[self.state, cause]
        self.reason = reason
        self.token = ""

    def shown(self) -> Row:
        """Return it as people see it."""
        return Row(
            delivery=self.delivery,
            state=self.state,
            environment=self.environment,
            due_at=self.due_at,
            reason=self.reason,
            ordering_key=None if self.key is None else self.key.text,
            worker=self.worker,
            claims=self.claims,
            attempts=tuple(self.attempts),
        )


def number_of(row: Kept) -> int:
    """Return the place of *row* in the order of insertion."""
    return row.number
