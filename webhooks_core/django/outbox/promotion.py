"""Promotion: scheduled rows whose moment has come are looked at, and become ready or are parked.

Retries, waits, lost leases, and rows with an ordering key. Invariants: of one key at most one row is on its
way, the oldest that has not ended; whenever a row is parked, another row of its key is on its way, scheduled
or held, and what ends or moves that one wakes the oldest parked one (`wake`). Both happen under the key's
lock, which a promotion never waits for. Explained in docs/explanation/outbox.md.
"""

# ruff: noqa: S608 - statements are put together of constants; every value is a parameter

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db.backends.utils import CursorWrapper

from webhooks_core.django.outbox.database import Database, Value
from webhooks_core.django.outbox.entry import LOOK_NOW
from webhooks_core.outbox.states import TRANSITIONS, Cause, State
from webhooks_core.outbox.turns import turn_for

MOST = 500  # looked at in one claim: a storm of retries is taken in portions, and SQLite's lock is kept short

_LOOKED_AT = (State.PENDING.value, State.CLAIMED.value)
_BACK = TRANSITIONS[State.CLAIMED, Cause.LEASE_RAN_OUT].value
_DUE = (
    "SELECT id, endpoint_id, lane, ordering_key, state FROM webhooks_delivery"
    " WHERE environment = %s AND due_at IS NOT NULL AND due_at <= %s ORDER BY due_at LIMIT %s"
)
_PLACES = (
    "SELECT v.endpoint_id, v.lane, "
    "(SELECT d.turn FROM webhooks_delivery d WHERE d.lane = v.lane AND d.turn IS NOT NULL"
    " ORDER BY d.turn DESC LIMIT 1), "
    "(SELECT d.turn FROM webhooks_delivery d WHERE d.environment = %s AND d.endpoint_id = v.endpoint_id"
    " AND d.turn IS NOT NULL ORDER BY d.turn LIMIT 1) FROM v"
)
_PROMOTED = (
    " UPDATE webhooks_delivery SET turn = v.turn, due_at = NULL,"
    " state = CASE WHEN webhooks_delivery.state = 'claimed' THEN %s ELSE webhooks_delivery.state END,"
    " reason = CASE WHEN webhooks_delivery.state = 'claimed' THEN 'lease ran out'"
    " ELSE webhooks_delivery.reason END,"
    " sent_before = CASE WHEN webhooks_delivery.state = 'claimed' THEN TRUE"
    " ELSE webhooks_delivery.sent_before END"
    " FROM v WHERE webhooks_delivery.id = v.id"
)
_PARKED = (
    "UPDATE webhooks_delivery SET due_at = NULL, state = %s, reason ="
    " CASE WHEN state = 'claimed' THEN 'lease ran out' ELSE reason END,"
    " sent_before = CASE WHEN state = 'claimed' THEN TRUE ELSE sent_before END WHERE id IN ({})"
)
_ALIVE = "state IN ('pending', 'claimed', 'held')"
_OF_KEY = "environment = %s AND endpoint_id = %s AND ordering_key = %s"
_FIRST = (
    "SELECT id, lane, state, due_at FROM webhooks_delivery"
    f" WHERE {_OF_KEY} AND ordering_key IS NOT NULL AND {_ALIVE} ORDER BY id LIMIT 1"
)
_ON_ITS_WAY = (
    f"SELECT 1 FROM webhooks_delivery WHERE {_OF_KEY} AND ordering_key IS NOT NULL AND turn IS NOT NULL"
    f" UNION ALL SELECT 1 FROM webhooks_delivery WHERE {_OF_KEY} AND ordering_key IS NOT NULL"
    " AND state = 'claimed' AND due_at > %s LIMIT 1"
)
_WAKE = (
    "UPDATE webhooks_delivery SET due_at = %s WHERE id = (SELECT id FROM webhooks_delivery"
    f" WHERE {_OF_KEY} AND ordering_key IS NOT NULL AND {_ALIVE}"
    " AND state = 'pending' AND turn IS NULL AND due_at IS NULL ORDER BY id LIMIT 1)"
)


class Key(NamedTuple):
    """What is kept in order."""

    endpoint_id: str
    text: str


class _Due(NamedTuple):
    id: int
    endpoint_id: str
    lane: int
    ordering_key: str | None
    state: str

    @property
    def is_strange(self) -> bool:
        """Whether somebody else has written its state: it keeps it, and whoever claims it holds it."""
        return self.state not in _LOOKED_AT


def promote(database: Database, cursor: CursorWrapper, *, environment: str, now: float) -> None:
    """Look at every row that is due at *now*, the longest due first."""
    cursor.execute(_DUE + database.skip_locked, [environment, now, MOST])
    due = [_Due(*row) for row in cursor.fetchall()]
    if not due:
        return
    ready = [row for row in due if row.ordering_key is None or row.is_strange]
    keyed: dict[Key, list[_Due]] = {}
    for row in due:
        if row.ordering_key is not None and not row.is_strange:
            keyed.setdefault(Key(row.endpoint_id, row.ordering_key), []).append(row)
    for key, rows in keyed.items():
        if database.try_lock(cursor, (environment, *key)):
            ready += _first_of(cursor, key, rows, environment=environment, now=now)
    _make_ready(cursor, ready, environment=environment)


def _first_of(
    cursor: CursorWrapper, key: Key, rows: Sequence[_Due], *, environment: str, now: float
) -> list[_Due]:
    """Return the row of *key* that goes now, if there is one, and park the other ones of *rows*."""
    where = (environment, *key)
    cursor.execute(_FIRST, where)
    number, lane, state, due_at = cursor.fetchone()
    cursor.execute(_ON_ITS_WAY, (*where, *where, now))
    waits = cursor.fetchone() is not None or state == State.HELD or (due_at is not None and due_at > now)
    goes = [] if waits else [_Due(number, key.endpoint_id, lane, key.text, state)]
    parked = [row.id for row in rows if waits or row.id != number]
    if parked:
        marks = ", ".join(["%s"] * len(parked))
        cursor.execute(_PARKED.format(marks), [_BACK, *parked])
    return goes


def _make_ready(cursor: CursorWrapper, rows: Sequence[_Due], *, environment: str) -> None:
    if not rows:
        return
    lanes = list(dict.fromkeys((row.endpoint_id, row.lane) for row in rows))
    values = ", ".join(["(%s, %s)"] * len(lanes))
    flat: list[Value] = [value for lane in lanes for value in lane]
    cursor.execute(f"WITH v(endpoint_id, lane) AS (VALUES {values}) {_PLACES}", [*flat, environment])
    last: dict[int, int] = {}
    heads: dict[str, int] = {}
    for endpoint_id, lane, highest, head in cursor.fetchall():
        if highest is not None:
            last[lane] = highest
        if head is not None:
            heads[endpoint_id] = head
    numbers: list[int] = []
    for row in rows:
        turn = turn_for(last_of_lane=last.get(row.lane), head=heads.get(row.endpoint_id))
        last[row.lane] = turn
        heads.setdefault(row.endpoint_id, turn)
        numbers += (row.id, turn)
    values = ", ".join(["(%s, %s)"] * len(rows))
    cursor.execute(f"WITH v(id, turn) AS (VALUES {values}){_PROMOTED}", [*numbers, _BACK])


def wake(cursor: CursorWrapper, keys: Iterable[Key], *, environment: str) -> None:
    """Have the oldest parked row of each key looked at, now that another one has moved; locks are held."""
    for key in sorted(set(keys)):
        cursor.execute(_WAKE, [LOOK_NOW, environment, *key])
