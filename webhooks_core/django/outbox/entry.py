"""A new row: what is written when an event is recorded, as one INSERT for one or for many.

The turn of a row that is ready at once is asked of two indexes inside that INSERT, so that recording an event
is one statement. Invariant: the caller's transaction is never broken by it (a savepoint is around it) and
nothing is written on another connection than the caller's. Explained in docs/explanation/outbox.md.
"""

# ruff: noqa: S608 - statements are put together of constants; every value is a parameter

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from django.db.backends.utils import CursorWrapper

from webhooks_core.django.models import MAX_KEY_CHARACTERS
from webhooks_core.django.outbox.database import Value
from webhooks_core.errors import ConfigError
from webhooks_core.outbox.states import State
from webhooks_core.settlement import Delivery

LOOK_NOW = 0.0  # a `due_at` that no clock can be behind of
_MOST_ROWS = 500  # of one statement: 500 × 18 parameters are within SQLite's 32,766

_COLUMNS = (
    "webhook_id, environment, endpoint_id, event, body, scheme, unit, position, admitted_by, ordering_key, "
    "state, lane, due_at, created_at, changed_at, attempt, spent_seconds, planned_wait_seconds, "
    "token, worker, claims, reason, last_outcome, turn"
)
_VALUES = "%s, " * 18 + "'', '', 0, '', '', "
_SCHEDULED = f"({_VALUES}NULL)"
# One more than the last of its lane, else than the head of its endpoint, else 0; plus its place among those
# of its lane that are added with it. The same as `turns.turn_for`.
_READY = (
    f"({_VALUES}COALESCE("
    "(SELECT d.turn FROM webhooks_delivery d WHERE d.lane = %s AND d.turn IS NOT NULL"
    " ORDER BY d.turn DESC LIMIT 1), "
    "(SELECT d.turn FROM webhooks_delivery d WHERE d.environment = %s AND d.endpoint_id = %s"
    " AND d.turn IS NOT NULL ORDER BY d.turn LIMIT 1), -1) + %s)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A delivery to be kept, and what is noted beside it.

    Args:
        delivery: What is sent.
        ordering_key: At most 200 characters; see `Outbox.add`.
        due_at: See `Outbox.add`.
        scheme: The scheme in force when it was recorded; an attempt goes by the endpoint's own.
        position: The first 16 hex digits of the unit's digest.
    """

    delivery: Delivery
    ordering_key: str | None = None
    due_at: float | None = None
    scheme: str = ""
    position: str = ""

    def __post_init__(self) -> None:
        """Refuse a key that no index could hold."""
        if self.ordering_key is not None and not 0 < len(self.ordering_key) <= MAX_KEY_CHARACTERS:
            raise ConfigError("ordering_key", f"must be text of 1 to {MAX_KEY_CHARACTERS} characters")


def lane_of(delivery: Delivery, *, environment: str) -> int:
    """Return the lane of a fresh row, a number from 1 to 2^63 - 1; a row that was claimed has its negative.

    A number and no text: the index of lanes is the one that a claim touches in many places.
    """
    name = "\0".join((environment, delivery.endpoint_id, delivery.unit or ""))
    return (int.from_bytes(sha256(name.encode()).digest()[:8]) >> 1) or 1


def channel_of(environment: str) -> str:
    """Return the channel of one environment: no more than the 63 bytes of an identifier."""
    return f"webhooks_{environment}"


def insert(
    cursor: CursorWrapper, entries: Sequence[Entry], *, environment: str, channel: str | None = None
) -> None:
    """Write *entries* as pending rows. No clock is asked: what has no moment of its own is ready at once.

    Whoever listens on *channel* (PostgreSQL) hears of them when they are committed, by the same statement.
    """
    for begin in range(0, len(entries), _MOST_ROWS):
        texts: list[str] = []
        parameters: list[Value] = []
        lanes: dict[int, int] = {}
        for entry in entries[begin : begin + _MOST_ROWS]:
            delivery = entry.delivery
            lane = lane_of(delivery, environment=environment)
            is_ready = entry.ordering_key is None and entry.due_at is None
            due_at = None if is_ready else LOOK_NOW if entry.due_at is None else entry.due_at
            parameters += _written(entry, environment=environment, lane=lane, due_at=due_at)
            if is_ready:
                place = lanes[lane] = lanes.get(lane, 0) + 1
                parameters += (lane, environment, delivery.endpoint_id, place)
            texts.append(_READY if is_ready else _SCHEDULED)
        statement = f"INSERT INTO webhooks_delivery ({_COLUMNS}) VALUES {', '.join(texts)}"
        if channel is not None:
            statement = f"WITH kept AS ({statement} RETURNING id) SELECT pg_notify(%s, '')"
            parameters.append(channel)
        cursor.execute(statement, parameters)


def _written(entry: Entry, *, environment: str, lane: int, due_at: float | None) -> tuple[Value, ...]:
    delivery = entry.delivery
    return (
        delivery.webhook_id,
        environment,
        delivery.endpoint_id,
        delivery.event,
        delivery.body,
        entry.scheme,
        delivery.unit or "",
        entry.position,
        delivery.admitted_by or "",
        entry.ordering_key,
        State.PENDING.value,
        lane,
        due_at,
        delivery.created_at,
        delivery.created_at,
        delivery.attempt,
        delivery.spent_seconds,
        delivery.planned_wait_seconds,
    )
