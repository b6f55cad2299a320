"""The rows of one environment in the order in which they may be sent: ready, scheduled, parked.

For the outbox in memory; each part has its counterpart among a database's indexes. A pending row is *ready*
(it has a turn), *scheduled* (it has a moment at which to look at it) or *parked* (behind another row of its
ordering key). Invariant: a parked row's key always has another row that has not ended, and whatever happens
to that one, the oldest parked row is looked at again. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

import bisect
import heapq
from dataclasses import replace
from itertools import count
from typing import TypeVar

from webhooks_core.endpoint import EndpointId
from webhooks_core.outbox.rows import Kept, Key, Lane, number_of
from webhooks_core.outbox.states import ENDED, Cause, State
from webhooks_core.outbox.turns import turn_for

# A place in a heap: turn or due moment, then age, then the stamp by which a place that was left is known.
_ReadyPlace = tuple[int, int, int, Kept]
_DuePlace = tuple[float, int, int, Kept]
_Place = TypeVar("_Place", _ReadyPlace, _DuePlace)


def _is_stale(place: _ReadyPlace | _DuePlace) -> bool:
    return place[3].stamp != place[2]


def _clear(heap: list[_Place]) -> None:
    """Take stale places off the top."""
    while heap and _is_stale(heap[0]):
        heapq.heappop(heap)


class Shelf:
    """Keep rows in order. Not safe to share between threads without its owner's lock."""

    def __init__(self) -> None:
        self._stamp = count(1).__next__
        self._ready: dict[EndpointId, list[_ReadyPlace]] = {}
        self._lanes: dict[Lane, tuple[int, int]] = {}  # how many are ready, and the highest turn given
        self._scheduled: list[_DuePlace] = []
        self._keys: dict[Key, list[Kept]] = {}  # rows that have not ended, oldest first

    def put(self, row: Kept, due_at: float, *, now: float) -> None:
        """Take in a row that has just become pending; it is ready at once where nothing speaks against it."""
        alive = [] if row.key is None else self._keys.setdefault(row.key, [])
        if row.key is not None and row not in alive:
            bisect.insort(alive, row, key=number_of)
        if row.key is None and due_at <= now:
            self._make_ready(row)
        else:
            self.look_at(row, due_at)

    def look_at(self, row: Kept, due_at: float) -> None:
        """Remember to look at *row* at *due_at*: a retry, a wait, or the end of a lease."""
        self.take_out(row)
        row.due_at, row.stamp = due_at, self._stamp()
        heapq.heappush(self._scheduled, (due_at, row.number, row.stamp, row))

    def take_out(self, row: Kept) -> None:
        """Take *row* out of play; its place in a heap is left behind and known to be stale."""
        if row.turn is not None:
            waiting, last = self._lanes[row.lane]
            self._lanes[row.lane] = (waiting - 1, last)
        row.turn = row.due_at = None
        row.stamp = 0

    def promote(self, now: float) -> None:
        """Look at every scheduled row whose moment has come: lost leases, retries, ordering keys."""
        while self._scheduled and self._scheduled[0][0] <= now:
            place = heapq.heappop(self._scheduled)
            if _is_stale(place):
                continue
            row = place[-1]
            self.take_out(row)
            if row.state is State.CLAIMED:
                row.go(Cause.LEASE_RAN_OUT, reason="lease ran out")
                row.delivery = replace(row.delivery, sent_before=True)
            if not self._is_behind(row):
                self._make_ready(row)
            else:
                self._keep_going(row, now=now)

    def hand(self, name: EndpointId, most: int, *, waiting_before: float | None) -> list[Kept]:
        """Return the first *most* ready rows of one endpoint, in turn; they stay where they are."""
        ready = self._ready.get(name, [])
        looked_at: list[_ReadyPlace] = []
        hand: list[Kept] = []
        while ready and len(hand) < most:
            place = heapq.heappop(ready)
            if _is_stale(place):
                continue
            looked_at.append(place)
            if waiting_before is None or place[-1].delivery.ages_from < waiting_before:
                hand.append(place[-1])
        for place in looked_at:
            heapq.heappush(ready, place)
        return hand

    def ready_endpoints(self) -> frozenset[EndpointId]:
        """Return the endpoints that have a ready row."""
        for ready in self._ready.values():
            _clear(ready)
        return frozenset(name for name, ready in self._ready.items() if ready)

    def next_due(self) -> float | None:
        """Return the moment of the first scheduled row."""
        _clear(self._scheduled)
        return self._scheduled[0][0] if self._scheduled else None

    def moved(self, row: Kept, *, now: float) -> None:
        """Have the oldest parked row of the key looked at again, now that *row* has moved."""
        if row.key is None:
            return
        alive = self._keys[row.key]
        if row.state in ENDED:
            alive.remove(row)
        for other in alive:
            if other.is_parked:
                self.look_at(other, now)
                return

    def _make_ready(self, row: Kept) -> None:
        ready = self._ready.setdefault(row.delivery.endpoint_id, [])
        _clear(ready)
        waiting, last = self._lanes.get(row.lane, (0, 0))
        turn = turn_for(last_of_lane=last if waiting else None, head=ready[0][0] if ready else None)
        self._lanes[row.lane] = (waiting + 1, turn)
        row.turn, row.stamp = turn, self._stamp()
        heapq.heappush(ready, (turn, row.number, row.stamp, row))

    def _keep_going(self, row: Kept, *, now: float) -> None:
        """Look at the oldest row of the key where *row* was parked behind it, and it was parked behind *row*.

        So it is where the older one was sent again while the younger was on its way, and the lease of the
        younger has run out.
        """
        alive = [] if row.key is None else self._keys[row.key]
        if alive and alive[0].is_parked and not any(other.is_on_its_way for other in alive):
            self.look_at(alive[0], now)

    def _is_behind(self, row: Kept) -> bool:
        """Return whether another row of the key goes first: an older one, or one that is on its way."""
        if row.key is None:
            return False
        return any(
            other.number < row.number or other.is_on_its_way
            for other in self._keys[row.key]
            if other is not row
        )
