"""How much waits in the outbox: counts that cost the same whatever has been sent before.

Invariant: every count goes along a partial index that holds no delivery which has ended, and stops at
`MOST`; what is beyond is told as "at least". Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from webhooks_core.django import conf, wiring
from webhooks_core.django.outbox.database import Database

__all__ = ["MOST", "STATEMENTS", "Count", "Queue", "held", "queue"]

#: Counted up to here: a person needs no more digits, and an index of a million entries is not walked through.
MOST = 10_000

# In the words of the indexes' own conditions, which SQLite compares letter by letter, and in their order, so
# that no planner takes a scan of everything for cheaper.
_ROWS = (
    "SELECT count(*) FROM (SELECT 1 FROM webhooks_delivery WHERE environment = %s AND {} LIMIT {}) AS found"
)
STATEMENTS = {
    name: _ROWS.format(condition, MOST + 1)
    for name, condition in {
        "held": "state IN ('held', 'dead') AND state = 'held' ORDER BY environment, state, changed_at",
        "dead": "state IN ('held', 'dead') AND state = 'dead' ORDER BY environment, state, changed_at",
        "ready": "turn IS NOT NULL ORDER BY environment, endpoint_id, turn, id",
        "timed": "due_at IS NOT NULL ORDER BY environment, due_at",
        "parked": "(ordering_key IS NOT NULL AND state IN ('pending', 'claimed', 'held'))"
        " AND turn IS NULL AND due_at IS NULL AND state = 'pending'"
        " ORDER BY environment, endpoint_id, ordering_key, id",
    }.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number of deliveries; where *is_least*, there are that many or more."""

    number: int
    is_least: bool = False

    def __str__(self) -> str:
        return f"{self.number}+" if self.is_least else str(self.number)

    def __add__(self, other: Count) -> Count:
        return Count(number=self.number + other.number, is_least=self.is_least or other.is_least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What waits: on its way (pending, or with a worker), held for a person, given up."""

    pending: Count
    held: Count
    dead: Count

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON types."""
        counts = {name: getattr(self, name) for name in ("pending", "held", "dead")}
        return {
            **{name: count.number for name, count in counts.items()},
            "at_least": sorted(name for name, count in counts.items() if count.is_least),
        }


def queue() -> Queue | None:
    """Count what waits; None where the engine keeps no rows.

    Raises:
        DatabaseError: It cannot be read.
    """
    found = conf.current()
    if found.engine == "inline":
        return None
    database, environment = wiring.outbox(found).database, found.environment
    on_its_way = [_count(database, name, environment) for name in ("ready", "timed", "parked")]
    return Queue(
        pending=on_its_way[0] + on_its_way[1] + on_its_way[2],
        held=_count(database, "held", environment),
        dead=_count(database, "dead", environment),
    )


def held() -> Count:
    """Count what is held for a person; nothing where the engine keeps no rows.

    Raises:
        DatabaseError: It cannot be read.
    """
    found = conf.current()
    if found.engine == "inline":
        return Count(number=0)
    return _count(wiring.outbox(found).database, "held", found.environment)


def _count(database: Database, name: str, environment: str) -> Count:
    with database.reading() as cursor:
        cursor.execute(STATEMENTS[name], [environment])
        number = int(cursor.fetchone()[0])
    return Count(number=min(number, MOST), is_least=number > MOST)
