"""What the runner reads: the counts in the database, and what the fleet's breakers tell.

Invariants: it reads the rows since the last look, never all; what breakers tell follows from their state
alone, so that a second look counts nothing twice; breakers that cannot be seen from here are undecided, which
holds, and the deliveries are judged all the same. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rollout.counters import Counts
from rollout.django.evidence import EvidenceTable
from rollout.evidence import Row, minute_of
from rollout.flags import FlagKey
from rollout.increments import of_breaker
from rollout.watch import PartlyUnreadable
from webhooks_core.breaker_state import BreakerState, State
from webhooks_core.stores.breakers import BreakerStore, RemoteBreakers

__all__ = ["FleetEvidence", "rows_of"]

#: How far back a breaker that stays open is counted, minute by minute; the rule asks for five minutes.
MAX_OPEN_MINUTES = 60
_APART = 'each sender has its own in its memory; share them by WEBHOOKS["BREAKER_STORE"]'
_AWAY = "their store does not answer"


class FleetEvidence:
    """The evidence of one flag.

    Args:
        table: The counts.
        breakers: The breakers of the fleet; None where there are no endpoints of ours.
        endpoints: The ids of the endpoints that are configured.
    """

    def __init__(
        self, table: EvidenceTable, *, breakers: BreakerStore | None, endpoints: Sequence[str]
    ) -> None:
        self._table = table
        self._breakers = breakers
        self._endpoints = tuple(endpoints)

    def rows(self, flag: FlagKey, *, from_minute: int) -> list[Row]:  # noqa: ARG002 - the table is one flag's
        """Return every row from *from_minute* on, breakers included.

        Raises:
            PartlyUnreadable: The breakers cannot be seen from this process.
            Exception: What the database raises.
        """
        now = self._table.database.now()
        rows = self._table.read(since_minute=from_minute, until_minute=minute_of(now) + 1)
        breakers = self._breakers
        if breakers is None:
            return rows
        if not isinstance(breakers, RemoteBreakers):
            raise PartlyUnreadable(rows, unreadable={"breakers": _APART})
        states = breakers.seen(self._endpoints, now=now)
        if len(states) < len(self._endpoints):
            raise PartlyUnreadable(rows, unreadable={"breakers": _AWAY})
        for name, state in states.items():
            rows += rows_of(name, state, since=from_minute, now=now)
        return rows


def rows_of(endpoint: str, breaker: BreakerState, *, since: int, now: float) -> Iterator[Row]:
    """Return what *breaker* tells at *now* (epoch seconds).

    Each opening that it knows of counts in its minute, those before *since* (minutes since the epoch) too:
    who could not see it in time makes up for it. While it is open, or half open, each minute from *since* and
    its last opening on counts the seconds of it that lie in there.
    """
    for opened_at in breaker.openings:
        yield Row(minute_of(opened_at), endpoint, of_breaker(openings=1))
    if breaker.state is State.CLOSED or not breaker.openings:
        return
    opened_at = breaker.openings[-1]
    first = max(since, minute_of(opened_at), minute_of(now) - MAX_OPEN_MINUTES)
    for minute in range(first, minute_of(now) + 1):
        seconds = int(min(now, (minute + 1) * 60) - max(opened_at, minute * 60))
        yield Row(minute, endpoint, of_breaker(open_seconds=seconds) if seconds > 0 else Counts())
