"""The outbox in this process's memory: for tests, scripts and the simulation. Nothing outlives the process.

The same contract as the outbox on a database, written so that each step has its counterpart there. A row is
*ready* (it has a turn), *scheduled* (it has a due moment: a retry, a wait, a lease, an ordering key to be
looked at), *parked* (pending behind an older row of its key) or out of play. Invariant: every pending row is
exactly one of ready, scheduled or parked, and a parked one has an older row of its key that has not ended.
Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

import bisect
import heapq
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import count
from threading import RLock  # noqa: TID251 - a store owns its lock
from typing import TypeVar
from uuid import uuid4  # noqa: TID251 - the edge: the default of `new_token`

from webhooks_core.endpoint import EndpointId
from webhooks_core.errors import ConfigError
from webhooks_core.outbox.base import Claimed, Row, Settled, SettleSink
from webhooks_core.outbox.rows import Kept, Key, Lane
from webhooks_core.outbox.states import ENDED, Cause, State, may_move, resent
from webhooks_core.outbox.turns import dealt, turn_for
from webhooks_core.settlement import Delivery

ENVIRONMENT = "memory"


# A place in a heap: turn or due moment, then age, then the stamp by which a place that was left is known.
_ReadyPlace = tuple[int, int, int, Kept]
_DuePlace = tuple[float, int, int, Kept]
_Place = TypeVar("_Place", _ReadyPlace, _DuePlace)


def _random_token() -> str:
    return uuid4().hex


def _number(row: Kept) -> int:
    return row.number


def _is_stale(place: _ReadyPlace | _DuePlace) -> bool:
    return place[3].stamp != place[2]


def _clear(heap: list[_Place]) -> None:
    """Take stale places off the top."""
    while heap and _is_stale(heap[0]):
        heapq.heappop(heap)


class MemoryOutbox:
    """Keep deliveries in this process; see `Outbox` and `Operations`.

    Args:
        environment: Stamped on rows that are added; rows of another one are left alone.
        sink: Called with what a settle is about to write; where it raises, nothing is written.
        clock: The store's clock, epoch seconds.
        new_token: Returns a text that it never returned before.
    """

    def __init__(
        self,
        *,
        environment: str = ENVIRONMENT,
        sink: SettleSink | None = None,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - a store has a clock
        new_token: Callable[[], str] = _random_token,
    ) -> None:
        self.environment = environment
        self._sink = sink
        self._clock = clock
        self._new_token = new_token
        self._lock = RLock()
        self._rows: dict[str, Kept] = {}
        self._stamp = count(1).__next__
        self._ready: dict[EndpointId, list[_ReadyPlace]] = {}
        self._lanes: dict[Lane, tuple[int, int]] = {}  # how many are ready, and the highest turn given
        self._scheduled: list[_DuePlace] = []
        self._keys: dict[Key, list[Kept]] = {}  # rows that have not ended, oldest first

    def now(self) -> float:
        """Return the store's clock; see `Outbox.now`."""
        return self._clock()

    def add(
        self,
        delivery: Delivery,
        *,
        ordering_key: str | None = None,
        due_at: float | None = None,
        environment: str | None = None,
    ) -> None:
        """Keep *delivery*; see `Outbox.add`. A test may add a row of another *environment*.

        Raises:
            ConfigError: An id that is already there.
        """
        with self._lock:
            if delivery.webhook_id in self._rows:
                raise ConfigError("webhook_id", "is already in the outbox; an id belongs to one delivery")
            home = self.environment if environment is None else environment
            key = None if ordering_key is None else Key(delivery.endpoint_id, ordering_key)
            row = Kept(delivery, number=len(self._rows), environment=home, key=key)
            self._rows[delivery.webhook_id] = row
            if home != self.environment:
                return
            if key is not None:
                self._keys.setdefault(key, []).append(row)
            now = self.now()
            self._schedule(row, now if due_at is None else due_at, now=now)

    def claim(
        self,
        *,
        worker: str,
        limit: int,
        lease_seconds: float,
        endpoints: Mapping[EndpointId, int],
        created_before: float | None = None,
    ) -> Sequence[Claimed]:
        """Lease due rows; see `Outbox.claim`."""
        with self._lock:
            now = self.now()
            self._promote(now)
            hands = [self._hand(name, most, created_before) for name, most in endpoints.items() if most > 0]
            rows = dealt(limit, hands)
            return tuple(self._claimed(row, worker, until=now + lease_seconds) for row in rows)

    def renew(self, claims: Sequence[Claimed], *, lease_seconds: float) -> frozenset[str]:
        """Lengthen leases; see `Outbox.renew`."""
        with self._lock:
            until = self.now() + lease_seconds
            held = [row for claimed in claims if (row := self._held_by(claimed)) is not None]
            for row in held:
                self._due(row, until)
            return frozenset(row.token for row in held)

    def settle(self, settlements: Sequence[Settled]) -> Sequence[bool]:
        """Write what became of claims; see `Outbox.settle`."""
        with self._lock:
            tokens: set[str] = set()
            good = [self._is_good(settled, tokens) for settled in settlements]
            applied = [settled for settled, is_good in zip(settlements, good, strict=True) if is_good]
            if self._sink is not None and applied:
                self._sink(applied)
            for settled in applied:
                self._settle(self._rows[settled.claimed.delivery.webhook_id], settled)
            return good

    def next_due(self) -> float | None:
        """Return when something may become ready; see `Outbox.next_due`."""
        with self._lock:
            _clear(self._scheduled)
            return self._scheduled[0][0] if self._scheduled else None

    def foreign(self) -> Mapping[str, int]:
        """Count the rows of other environments; see `Outbox.foreign`."""
        with self._lock:
            counts: dict[str, int] = {}
            for row in self._rows.values():
                if row.environment != self.environment and row.state not in ENDED:
                    counts[row.environment] = counts.get(row.environment, 0) + 1
            return counts

    def find(self, webhook_id: str) -> Row | None:
        """Return one row; see `Operations.find`."""
        with self._lock:
            row = self._ours(webhook_id)
            return None if row is None else row.shown()

    def rows(self) -> Iterator[Row]:
        """Return every row of this environment, oldest first."""
        with self._lock:
            ours = [row.shown() for row in self._rows.values() if row.environment == self.environment]
        return iter(ours)

    def release(
        self, webhook_ids: Collection[str], *, reason: str, per_second: float | None = None
    ) -> frozenset[str]:
        """Let held rows go; see `Operations.release`."""
        return self._put_back(webhook_ids, Cause.RELEASE, reason, per_second)

    def resend(
        self, webhook_ids: Collection[str], *, reason: str, per_second: float | None = None
    ) -> frozenset[str]:
        """Send dead rows again; see `Operations.resend`."""
        return self._put_back(webhook_ids, Cause.RESEND, reason, per_second)

    def hold(self, webhook_ids: Collection[str], *, reason: str) -> frozenset[str]:
        """Keep pending rows back; see `Operations.hold`."""
        return self._end(webhook_ids, Cause.HOLD, reason)

    def drop(self, webhook_ids: Collection[str], *, reason: str) -> frozenset[str]:
        """Give rows up for good; see `Operations.drop`."""
        return self._end(webhook_ids, Cause.DROP, reason)

    # --- becoming ready ---------------------------------------------------------------------------------

    def _schedule(self, row: Kept, due_at: float, *, now: float) -> None:
        """Make a pending row ready where it may be sent at once, or remember when to look at it again."""
        if row.key is None and due_at <= now:
            self._make_ready(row)
        else:
            self._due(row, due_at)

    def _due(self, row: Kept, due_at: float) -> None:
        row.due_at, row.stamp = due_at, self._stamp()
        heapq.heappush(self._scheduled, (due_at, row.number, row.stamp, row))

    def _promote(self, now: float) -> None:
        """Look at every scheduled row whose moment has come: lost leases, retries, ordering keys."""
        while self._scheduled and self._scheduled[0][0] <= now:
            place = heapq.heappop(self._scheduled)
            if _is_stale(place):
                continue
            row = place[-1]
            row.due_at = None
            if row.state is State.CLAIMED:
                row.go(Cause.LEASE_RAN_OUT, reason="lease ran out")
            if not self._is_behind(row):
                self._make_ready(row)

    def _make_ready(self, row: Kept) -> None:
        ready = self._ready.setdefault(row.delivery.endpoint_id, [])
        _clear(ready)
        waiting, last = self._lanes.get(row.lane, (0, 0))
        turn = turn_for(last_of_lane=last if waiting else None, head=ready[0][0] if ready else None)
        self._lanes[row.lane] = (waiting + 1, turn)
        row.due_at, row.turn, row.stamp = None, turn, self._stamp()
        heapq.heappush(ready, (turn, row.number, row.stamp, row))

    def _not_ready(self, row: Kept) -> None:
        """Take a row out of play: claimed, held or dropped. Its places in the heaps are seen to be stale."""
        if row.turn is not None:
            waiting, last = self._lanes[row.lane]
            self._lanes[row.lane] = (waiting - 1, last)
        row.turn = row.due_at = None
        row.stamp = 0

    def _hand(self, name: EndpointId, most: int, created_before: float | None) -> list[Kept]:
        """Return the first *most* ready rows of one endpoint, in turn."""
        ready = self._ready.get(name, [])
        looked_at: list[_ReadyPlace] = []
        hand: list[Kept] = []
        while ready and len(hand) < most:
            place = heapq.heappop(ready)
            if _is_stale(place):
                continue
            looked_at.append(place)
            if created_before is None or place[-1].delivery.created_at < created_before:
                hand.append(place[-1])
        for place in looked_at:
            heapq.heappush(ready, place)
        return hand

    # --- claims -----------------------------------------------------------------------------------------

    def _claimed(self, row: Kept, worker: str, *, until: float) -> Claimed:
        self._not_ready(row)
        row.go(Cause.CLAIM)
        row.token, row.worker, row.claims = self._new_token(), worker, row.claims + 1
        self._due(row, until)
        return Claimed(delivery=row.delivery, token=row.token, lease_until=until, claims=row.claims)

    def _held_by(self, claimed: Claimed) -> Kept | None:
        row = self._rows.get(claimed.delivery.webhook_id)
        return row if row is not None and row.token != "" and row.token == claimed.token else None

    def _is_good(self, settled: Settled, tokens: set[str]) -> bool:
        """Return whether the token holds; of two settlements of one claim the first one counts."""
        token = settled.claimed.token
        if token in tokens or self._held_by(settled.claimed) is None:
            return False
        tokens.add(token)
        return True

    def _settle(self, row: Kept, settled: Settled) -> None:
        what = settled.after()
        self._not_ready(row)
        row.go(what.cause, reason=what.reason)
        row.delivery = settled.settlement.delivery
        if settled.settlement.record is not None:
            row.attempts.append(settled.settlement.record)
        if what.due_at is not None:
            self._due(row, what.due_at)
        self._let_next_go(row)

    # --- ordering keys ----------------------------------------------------------------------------------

    def _is_behind(self, row: Kept) -> bool:
        """Return whether another row of the key goes first: an older one, or one that is on its way."""
        if row.key is None:
            return False
        return any(
            other.number < row.number or other.is_on_its_way
            for other in self._keys[row.key]
            if other is not row
        )

    def _let_next_go(self, row: Kept) -> None:
        """Have the oldest parked row of the key looked at again, now that *row* has moved."""
        if row.key is None:
            return
        alive = self._keys[row.key]
        if row.state in ENDED:
            alive.remove(row)
        for other in alive:
            if other.is_parked:
                self._due(other, self.now())
                return

    # --- people -----------------------------------------------------------------------------------------

    def _ours(self, webhook_id: str) -> Kept | None:
        row = self._rows.get(webhook_id)
        return row if row is not None and row.environment == self.environment else None

    def _movable(self, webhook_ids: Collection[str], cause: Cause) -> list[Kept]:
        found = [row for webhook_id in webhook_ids if (row := self._ours(webhook_id)) is not None]
        return sorted({row for row in found if may_move(row.state, cause)}, key=_number)

    def _put_back(
        self, webhook_ids: Collection[str], cause: Cause, reason: str, per_second: float | None
    ) -> frozenset[str]:
        with self._lock:
            now = self.now()
            rows = self._movable(webhook_ids, cause)
            for place, row in enumerate(rows):
                row.go(cause, reason=reason)
                if cause is Cause.RESEND:
                    row.delivery = resent(row.delivery)
                    if row.key is not None:
                        bisect.insort(self._keys[row.key], row, key=_number)
                self._schedule(row, now if per_second is None else now + place / per_second, now=now)
            return frozenset(row.delivery.webhook_id for row in rows)

    def _end(self, webhook_ids: Collection[str], cause: Cause, reason: str) -> frozenset[str]:
        with self._lock:
            rows = self._movable(webhook_ids, cause)
            for row in rows:
                self._not_ready(row)
                row.go(cause, reason=reason)
                self._let_next_go(row)
            return frozenset(row.delivery.webhook_id for row in rows)
