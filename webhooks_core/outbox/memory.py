"""The outbox in this process's memory: for tests, scripts and the simulation. Nothing outlives the process.

The same contract as an outbox on a database: `MemoryRows` is the table, a `MemoryOutbox` is one process's
door to it. Invariants: every method is one atomic step; a settle whose sink raises has written nothing.
Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import RLock  # noqa: TID251 - a store owns its lock
from uuid import uuid4  # noqa: TID251 - the edge: the default of `new_token`

from webhooks_core.endpoint import EndpointId
from webhooks_core.errors import ConfigError
from webhooks_core.outbox.base import Claimed, Row, Settled, SettleSink
from webhooks_core.outbox.rows import Kept, Key, number_of
from webhooks_core.outbox.shelf import Shelf
from webhooks_core.outbox.states import ENDED, Cause, may_move, released, resent
from webhooks_core.outbox.turns import dealt
from webhooks_core.settlement import Delivery

ENVIRONMENT = "memory"


def _random_token() -> str:
    return uuid4().hex


class MemoryRows:
    """The table: the rows of all environments, and the lock that makes each step atomic."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.by_id: dict[str, Kept] = {}
        self.shelves: dict[str, Shelf] = {}


class MemoryOutbox:
    """Keep deliveries in this process; see `Outbox` and `Operations`.

    Args:
        rows: The table; several outboxes may share one, as processes share a database.
        environment: Stamped on rows that are added; rows of another one are left alone.
        sink: Called with what a settle is about to write; where it raises, nothing is written.
        clock: The store's clock, epoch seconds.
        new_token: Returns a text that nobody ever returned before.
    """

    def __init__(
        self,
        *,
        rows: MemoryRows | None = None,
        environment: str = ENVIRONMENT,
        sink: SettleSink | None = None,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - a store has a clock
        new_token: Callable[[], str] = _random_token,
    ) -> None:
        self.environment = environment
        self._rows = MemoryRows() if rows is None else rows
        self._lock = self._rows.lock
        self._shelf = self._rows.shelves.setdefault(environment, Shelf())
        self._sink = sink
        self._clock = clock
        self._new_token = new_token

    def now(self) -> float:
        """Return the store's clock; see `Outbox.now`."""
        return self._clock()

    def add(
        self, delivery: Delivery, *, ordering_key: str | None = None, due_at: float | None = None
    ) -> None:
        """Keep *delivery*; see `Outbox.add`.

        Raises:
            ConfigError: An id that is already there, in any environment.
        """
        with self._lock:
            by_id = self._rows.by_id
            if delivery.webhook_id in by_id:
                raise ConfigError("webhook_id", "is already in the outbox; an id belongs to one delivery")
            key = None if ordering_key is None else Key(delivery.endpoint_id, ordering_key)
            row = Kept(delivery, number=len(by_id), environment=self.environment, key=key)
            by_id[delivery.webhook_id] = row
            now = self.now()
            self._shelf.put(row, now if due_at is None else due_at, now=now)

    def claim(
        self,
        *,
        worker: str,
        limit: int,
        lease_seconds: float,
        endpoints: Mapping[EndpointId, int],
        waiting_before: float | None = None,
    ) -> Sequence[Claimed]:
        """Lease due rows; see `Outbox.claim`."""
        with self._lock:
            now = self.now()
            self._shelf.promote(now)
            hands = [
                self._shelf.hand(name, min(most, limit), waiting_before=waiting_before)
                for name, most in endpoints.items()
                if most > 0
            ]
            return tuple(self._claimed(row, worker, until=now + lease_seconds) for row in dealt(limit, hands))

    def renew(self, claims: Sequence[Claimed], *, lease_seconds: float) -> frozenset[str]:
        """Lengthen leases; see `Outbox.renew`."""
        with self._lock:
            until = self.now() + lease_seconds
            held = [row for claimed in claims if (row := self._held_by(claimed)) is not None]
            for row in held:
                self._shelf.look_at(row, until)
            return frozenset(row.token for row in held)

    def settle(self, settlements: Sequence[Settled]) -> Sequence[bool]:
        """Write what became of claims; see `Outbox.settle`."""
        with self._lock:
            tokens: set[str] = set()
            good = [self._is_good(settled, tokens) for settled in settlements]
            applied = [settled for settled, is_good in zip(settlements, good, strict=True) if is_good]
            if self._sink is not None and applied:
                self._sink(applied)
            now = self.now()
            for settled in applied:
                self._settle(self._rows.by_id[settled.claimed.delivery.webhook_id], settled, now=now)
            return good

    def next_due(self) -> float | None:
        """Return when something may become ready; see `Outbox.next_due`."""
        with self._lock:
            return self._shelf.next_due()

    def ready_endpoints(self) -> frozenset[EndpointId]:
        """Return the endpoints with rows to claim; see `Outbox.ready_endpoints`."""
        with self._lock:
            self._shelf.promote(self.now())
            return self._shelf.ready_endpoints()

    def foreign(self) -> Mapping[str, int]:
        """Count the rows of other environments; see `Outbox.foreign`."""
        with self._lock:
            counts: dict[str, int] = {}
            for row in self._rows.by_id.values():
                if row.environment != self.environment and row.state not in ENDED:
                    counts[row.environment] = counts.get(row.environment, 0) + 1
            return counts

    def find(self, webhook_id: str) -> Row | None:
        """Return one row; see `Operations.find`."""
        with self._lock:
            row = self._ours(webhook_id)
            return None if row is None else row.shown()

    def rows(self) -> Sequence[Row]:
        """Return every row of this environment, oldest first."""
        with self._lock:
            everything = self._rows.by_id.values()
            return [row.shown() for row in everything if row.environment == self.environment]

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
        return self._take_out(webhook_ids, Cause.KEEP, reason)

    def drop(self, webhook_ids: Collection[str], *, reason: str) -> frozenset[str]:
        """Give rows up for good; see `Operations.drop`."""
        return self._take_out(webhook_ids, Cause.DROP, reason)

    def _claimed(self, row: Kept, worker: str, *, until: float) -> Claimed:
        self._shelf.look_at(row, until)
        row.go(Cause.CLAIM)
        row.token, row.worker, row.claims = self._new_token(), worker, row.claims + 1
        return Claimed(delivery=row.delivery, token=row.token, lease_until=until, claims=row.claims)

    def _held_by(self, claimed: Claimed) -> Kept | None:
        row = self._ours(claimed.delivery.webhook_id)
        return row if row is not None and row.token != "" and row.token == claimed.token else None

    def _is_good(self, settled: Settled, tokens: set[str]) -> bool:
        """Return whether the token holds; of two settlements of one claim the first one counts."""
        token = settled.claimed.token
        if token in tokens or self._held_by(settled.claimed) is None:
            return False
        tokens.add(token)
        return True

    def _settle(self, row: Kept, settled: Settled, *, now: float) -> None:
        what = settled.after()
        row.go(what.cause, reason=what.reason)
        row.delivery = settled.settlement.delivery
        if settled.settlement.record is not None:
            row.attempts.append(settled.settlement.record)
        if what.due_at is None:
            self._shelf.take_out(row)
        else:
            self._shelf.look_at(row, what.due_at)
        self._shelf.moved(row, now=now)

    def _ours(self, webhook_id: str) -> Kept | None:
        row = self._rows.by_id.get(webhook_id)
        return row if row is not None and row.environment == self.environment else None

    def _movable(self, webhook_ids: Collection[str], cause: Cause) -> list[Kept]:
        found = [row for webhook_id in set(webhook_ids) if (row := self._ours(webhook_id)) is not None]
        return sorted((row for row in found if may_move(row.state, cause)), key=number_of)

    def _put_back(
        self, webhook_ids: Collection[str], cause: Cause, reason: str, per_second: float | None
    ) -> frozenset[str]:
        with self._lock:
            now = self.now()
            rows = self._movable(webhook_ids, cause)
            for place, row in enumerate(rows):
                row.go(cause, reason=reason)
                due_at = now if per_second is None else now + place / per_second
                put_back = resent if cause is Cause.RESEND else released
                row.delivery = put_back(row.delivery, at=due_at)
                self._shelf.put(row, due_at, now=now)
            return frozenset(row.delivery.webhook_id for row in rows)

    def _take_out(self, webhook_ids: Collection[str], cause: Cause, reason: str) -> frozenset[str]:
        with self._lock:
            now = self.now()
            rows = self._movable(webhook_ids, cause)
            for row in rows:
                self._shelf.take_out(row)
                row.go(cause, reason=reason)
                self._shelf.moved(row, now=now)
            return frozenset(row.delivery.webhook_id for row in rows)
