"""Claims: which ready rows one claim takes, and what it writes on them.

Invariants: ready rows are found by their turn, never by an id above the last one seen; a claim reads no more
rows than it takes, whatever the table holds; its token is the batch's random text and the row's number.
Explained in docs/explanation/outbox.md.
"""

# ruff: noqa: S608 - statements are put together of constants; every value is a parameter

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from django.db.backends.utils import CursorWrapper

from webhooks_core.django.outbox.database import Database, Row, Value
from webhooks_core.django.outbox.stored import COLUMNS, Stored
from webhooks_core.endpoint import EndpointId
from webhooks_core.outbox.states import TRANSITIONS, Cause, State
from webhooks_core.outbox.turns import dealt

HEAD = 10_000  # rows of an endpoint that are looked through for old ones; the oldest of each lane come first
_MOST_PARTS = 100  # of one compound SELECT; SQLite allows 500

_CLAIMED = TRANSITIONS[State.PENDING, Cause.CLAIM].value
_READY = (
    "SELECT * FROM (SELECT {columns} FROM webhooks_delivery WHERE environment = %s AND endpoint_id = %s"
    " AND turn IS NOT NULL ORDER BY turn, id LIMIT %s{lock}) part"
)
_AGED = (
    "SELECT * FROM (SELECT {columns} FROM webhooks_delivery WHERE id IN (SELECT id FROM"
    " (SELECT id, created_at, waits_since FROM webhooks_delivery WHERE environment = %s AND endpoint_id = %s"
    f" AND turn IS NOT NULL ORDER BY turn, id LIMIT {HEAD}) head"
    " WHERE COALESCE(waits_since, created_at) < %s)"
    " AND turn IS NOT NULL ORDER BY turn, id LIMIT %s{lock}) part"
)
_TAKEN = (
    "UPDATE webhooks_delivery SET state = %s, turn = NULL, due_at = %s, token = %s, worker = %s, reason = '',"
    " claims = claims + 1, changed_at = %s, lane = -abs(lane) WHERE id IN ({})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for: the endpoints with how many of each, and how many in all."""

    environment: str
    endpoints: Mapping[EndpointId, int]
    limit: int
    waiting_before: float | None = None

    def parts(self, counts: Mapping[EndpointId, int]) -> Iterable[tuple[str, tuple[Value, ...]]]:
        """Return a SELECT and its parameters for each endpoint."""
        for name, most in counts.items():
            if self.waiting_before is None:
                yield _READY, (self.environment, name, most)
            else:
                yield _AGED, (self.environment, name, self.waiting_before, most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """From when until when, epoch seconds of the store's clock."""

    begun: float
    until: float


def take(
    database: Database, cursor: CursorWrapper, search: Search, *, worker: str, token: str, lease: Lease
) -> list[Stored]:
    """Claim rows and return them in turn, dealt over the endpoints."""
    counts = {name: min(most, search.limit) for name, most in search.endpoints.items() if most > 0}
    if len(counts) > 1:
        counts = _dealt_counts(cursor, search, counts)
    found = [
        Stored.of(row) for row in _select(cursor, search, counts, columns=COLUMNS, lock=database.skip_locked)
    ]
    hands: dict[EndpointId, list[Stored]] = {name: [] for name in counts}
    for row in found:
        hands[row.delivery.endpoint_id].append(row)
    chosen = dealt(search.limit, hands.values())
    if chosen:
        marks = ", ".join(["%s"] * len(chosen))
        cursor.execute(
            _TAKEN.format(marks),
            [_CLAIMED, lease.until, token, worker, lease.begun, *(row.number for row in chosen)],
        )
    return chosen


def _dealt_counts(
    cursor: CursorWrapper, search: Search, counts: Mapping[EndpointId, int]
) -> dict[EndpointId, int]:
    """Return how many of each endpoint this claim takes, so that no row is locked and then left."""
    there = Counter(row[0] for row in _select(cursor, search, counts, columns="endpoint_id, id"))
    hands = [[name] * there[name] for name in counts]
    return dict(Counter(dealt(search.limit, hands)))


def _select(
    cursor: CursorWrapper,
    search: Search,
    counts: Mapping[EndpointId, int],
    *,
    columns: str,
    lock: str = "",
) -> list[Row]:
    rows: list[Row] = []
    parts = iter(search.parts(counts))
    while portion := list(islice(parts, _MOST_PARTS)):
        text = " UNION ALL ".join(part.format(columns=columns, lock=lock) for part, _ in portion)
        cursor.execute(text, [value for _, values in portion for value in values])
        rows += cursor.fetchall()
    return rows
