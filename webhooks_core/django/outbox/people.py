"""What people do to rows by id: release, resend, hold, drop, in portions of one transaction each.

Invariants: a row moves only along an arrow of `TRANSITIONS`; what is put back goes through promotion like
everything else that is scheduled; the lock of a key is taken before its rows are. Explained in
docs/explanation/outbox.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from webhooks_core.django.models import MAX_REASON_CHARACTERS
from webhooks_core.django.outbox.database import Database, Value
from webhooks_core.django.outbox.entry import LOOK_NOW
from webhooks_core.django.outbox.promotion import Key, wake
from webhooks_core.outbox.states import TRANSITIONS, Cause, State

PORTION = 500  # rows of one transaction: a bulk never keeps SQLite's lock, or a key's, for long

_BEGINS_AGAIN = " attempt = 1, spent_seconds = 0, planned_wait_seconds = 0, slow_retries = 0,"
_MOVED = (
    "WITH v(id, due_at, since) AS (VALUES {values}) UPDATE webhooks_delivery"
    " SET state = %s, turn = NULL,{again}"
    " due_at = CAST(v.due_at AS double precision), reason = %s, changed_at = %s,"
    " waits_since = COALESCE(CAST(v.since AS double precision), waits_since)"
    " FROM v WHERE webhooks_delivery.id = v.id AND webhooks_delivery.state IN ({states})"
    " RETURNING webhooks_delivery.webhook_id"
)
_FOUND = (
    "SELECT id, endpoint_id, ordering_key FROM webhooks_delivery"
    " WHERE environment = %s AND webhook_id IN ({ids}) AND state IN ({states}) ORDER BY id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One thing that a person does to rows.

    Args:
        cause: The arrow.
        reason: Why, for the rows.
        per_second: Spread what is put back over time at this rate; None is all at once.
    """

    cause: Cause
    reason: str
    per_second: float | None = None

    @property
    def states(self) -> list[str]:
        """The states that the arrow leads out of."""
        return sorted(state.value for state, cause in TRANSITIONS if cause is self.cause)

    @property
    def goal(self) -> State:
        """The state that the arrow leads to."""
        return next(goal for (_, cause), goal in TRANSITIONS.items() if cause is self.cause)

    def due_at(self, place: int, *, now: float) -> float | None:
        """Return when the row with that place, from 0, is due again."""
        if self.goal is not State.PENDING:
            return None
        return LOOK_NOW if self.per_second is None else now + place / self.per_second

    def waits_since(self, place: int, *, now: float) -> float | None:
        """Return from when its maximum age counts; None: as before."""
        due_at = self.due_at(place, now=now)
        return None if due_at is None else max(due_at, now)


def move(database: Database, webhook_ids: Collection[str], what: Move, *, environment: str) -> frozenset[str]:
    """Move the rows that have the arrow; return their ids."""
    ids = sorted(set(webhook_ids))
    moved: set[str] = set()
    begun = database.now()
    for begin in range(0, len(ids), PORTION):
        portion = ids[begin : begin + PORTION]
        moved |= _portion(database, portion, what, environment=environment, before=len(moved), begun=begun)
    return frozenset(moved)


def _portion(
    database: Database, ids: Sequence[str], what: Move, *, environment: str, before: int, begun: float
) -> set[str]:
    states = ", ".join(f"'{state}'" for state in what.states)
    with database.transaction() as cursor:
        marks = ", ".join(["%s"] * len(ids))
        cursor.execute(_FOUND.format(ids=marks, states=states), [environment, *ids])
        rows = cursor.fetchall()
        if not rows:
            return set()
        keys = [Key(endpoint_id, key) for _, endpoint_id, key in rows if key is not None]
        database.lock(cursor, [(environment, *key) for key in keys])
        flat: list[Value] = []
        for place, (number, _, _) in enumerate(rows):
            due_at = what.due_at(before + place, now=begun)
            flat += (number, due_at, what.waits_since(before + place, now=begun))
        again = _BEGINS_AGAIN if what.cause is Cause.RESEND else ""
        cursor.execute(
            _MOVED.format(values=", ".join(["(%s, %s, %s)"] * len(rows)), again=again, states=states),
            [*flat, what.goal.value, what.reason[:MAX_REASON_CHARACTERS], begun],
        )
        moved = {row[0] for row in cursor.fetchall()}
        wake(cursor, keys, environment=environment)
    return moved
