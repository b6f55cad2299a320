"""`DjangoOutbox`: the outbox on SQLite and PostgreSQL; see `Outbox` and `Operations`.

Each method is one short transaction; `add` and `add_many` run in the caller's. What the statements are is in
the modules beside this one. Invariant: while a delivery is being sent no transaction and no lock is held.
Explained in docs/explanation/outbox.md.
"""

# ruff: noqa: S608 - statements are put together of constants; every value is a parameter

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import uuid4  # noqa: TID251 - the edge: the default of `new_token`

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction

from webhooks_core.django.outbox import claims, people, settles
from webhooks_core.django.outbox.database import Database
from webhooks_core.django.outbox.entry import Entry, channel_of, insert
from webhooks_core.django.outbox.promotion import promote
from webhooks_core.django.outbox.stored import ATTEMPT_COLUMNS, COLUMNS, Stored
from webhooks_core.endpoint import EndpointId
from webhooks_core.errors import ConfigError
from webhooks_core.outbox.base import Claimed, Row, Settled, SettleSink
from webhooks_core.outbox.states import Cause
from webhooks_core.settlement import Delivery

_NEXT_DUE = (
    "SELECT due_at FROM webhooks_delivery WHERE environment = %s AND due_at IS NOT NULL"
    " ORDER BY due_at LIMIT 1"
)
# From one endpoint to the next in the index, however many rows each has.
_READY_ENDPOINTS = """
WITH RECURSIVE e(endpoint_id) AS (
  SELECT (SELECT endpoint_id FROM webhooks_delivery WHERE environment = %s AND turn IS NOT NULL
          ORDER BY endpoint_id LIMIT 1)
  UNION ALL
  SELECT (SELECT d.endpoint_id FROM webhooks_delivery d WHERE d.environment = %s AND d.turn IS NOT NULL
          AND d.endpoint_id > e.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
  FROM e WHERE e.endpoint_id IS NOT NULL
)
SELECT endpoint_id FROM e WHERE endpoint_id IS NOT NULL
"""
# What has not ended is ready, scheduled or claimed, held, or parked: each is a small index, of which our own
# environment's part is passed by.
_FOREIGN = " UNION ALL ".join(
    f"SELECT environment, count(*) FROM webhooks_delivery WHERE environment {side} %s AND {place}"
    " GROUP BY environment"
    for place in (
        "turn IS NOT NULL",
        "due_at IS NOT NULL",
        "state IN ('held', 'dead') AND state = 'held'",
        "ordering_key IS NOT NULL AND state IN ('pending', 'claimed', 'held') AND state = 'pending'"
        " AND turn IS NULL AND due_at IS NULL",
    )
    for side in ("<", ">")
)


def _random_token() -> str:
    return uuid4().hex


class DjangoOutbox:
    """Keep deliveries in a database of Django's. Safe to share between threads and processes.

    Args:
        environment: Stamped on rows that are added; rows of another one are left alone.
        using: Alias of the database; what is added must be added in a transaction on it.
        sink: Called inside the settle's transaction; where it raises, nothing is settled.
        notify: On PostgreSQL, tell listening workers of what is added once it is committed.
        clock: The store's clock; None is the server's on PostgreSQL and this machine's on SQLite.
        new_token: Returns a text of at most 32 characters that nobody ever returned before.

    Raises:
        ConfigError: The database is neither SQLite nor PostgreSQL (when it is first used).
    """

    def __init__(
        self,
        *,
        environment: str,
        using: str = DEFAULT_DB_ALIAS,
        sink: SettleSink | None = None,
        notify: bool = False,
        clock: Callable[[], float] | None = None,
        new_token: Callable[[], str] = _random_token,
    ) -> None:
        self.environment = environment
        self.database = Database(
            using,
            clock=clock,
            machine_clock=time.time,  # noqa: TID251 - a store has a clock
            monotonic=time.monotonic,  # noqa: TID251
        )
        self._sink = sink
        self._notify = notify
        self._new_token = new_token

    @property
    def notifies(self) -> bool:
        """Whether workers can listen for what is added."""
        return self._notify and self.database.is_postgres

    def now(self) -> float:
        """Return the store's clock; see `Outbox.now`."""
        return self.database.now()

    def add(
        self, delivery: Delivery, *, ordering_key: str | None = None, due_at: float | None = None
    ) -> None:
        """Keep *delivery* in the caller's transaction; see `Outbox.add` and `add_many`."""
        self.add_many([Entry(delivery=delivery, ordering_key=ordering_key, due_at=due_at)])

    def add_many(self, entries: Sequence[Entry]) -> None:
        """Keep several deliveries: one INSERT, inside a savepoint of the caller's transaction.

        Raises:
            ConfigError: An id that is already there, in any environment; none of *entries* is kept then.
        """
        connection = self.database.connection
        try:
            with transaction.atomic(using=self.database.alias), connection.cursor() as cursor:
                channel = channel_of(self.environment) if self.notifies else None
                insert(cursor, entries, environment=self.environment, channel=channel)
        except IntegrityError as error:
            raise ConfigError(
                "webhook_id", "is already in the outbox; an id belongs to one delivery"
            ) from error

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
        search = claims.Search(
            environment=self.environment,
            endpoints=endpoints,
            limit=limit,
            waiting_before=waiting_before,
        )
        token = self._new_token()
        with self.database.transaction() as cursor:
            now = self.database.now(cursor)
            promote(self.database, cursor, environment=self.environment, now=now)
            lease = claims.Lease(begun=now, until=now + lease_seconds)
            rows = claims.take(self.database, cursor, search, worker=worker[:128], token=token, lease=lease)
        return tuple(row.claimed(token=token, until=lease.until) for row in rows)

    def renew(self, claims: Sequence[Claimed], *, lease_seconds: float) -> frozenset[str]:
        """Lengthen leases; see `Outbox.renew`."""
        tokens = [claimed.token for claimed in claims]
        with self.database.transaction() as cursor:
            until = self.database.now(cursor) + lease_seconds
            return settles.renew(cursor, tokens, environment=self.environment, until=until)

    def settle(self, settlements: Sequence[Settled]) -> Sequence[bool]:
        """Write what became of claims; see `Outbox.settle`."""
        with self.database.transaction() as cursor:
            now = self.database.now(cursor)
            held = settles.settle(self.database, cursor, settlements, environment=self.environment, now=now)
            applied = [settled for settled, is_held in zip(settlements, held, strict=True) if is_held]
            if self._sink is not None and applied:
                self._sink(applied)
        return held

    def next_due(self) -> float | None:
        """Return when something may become ready; see `Outbox.next_due`."""
        with self.database.reading() as cursor:
            cursor.execute(_NEXT_DUE, [self.environment])
            row = cursor.fetchone()
        return None if row is None else float(row[0])

    def ready_endpoints(self) -> frozenset[EndpointId]:
        """Return the endpoints with rows to claim; see `Outbox.ready_endpoints`."""
        with self.database.transaction() as cursor:
            now = self.database.now(cursor)
            promote(self.database, cursor, environment=self.environment, now=now)
            cursor.execute(_READY_ENDPOINTS, [self.environment] * 2)
            return frozenset(EndpointId(row[0]) for row in cursor.fetchall())

    def foreign(self) -> Mapping[str, int]:
        """Count the rows of other environments; see `Outbox.foreign`."""
        counts: dict[str, int] = {}
        with self.database.reading() as cursor:
            cursor.execute(_FOREIGN, [self.environment] * 8)
            for environment, count in cursor.fetchall():
                counts[environment] = counts.get(environment, 0) + count
        return counts

    def stored(self, webhook_id: str) -> tuple[Stored, list[tuple[object, ...]]] | None:
        """Return one row as it stands, with the columns of its attempts; None where there is none."""
        with self.database.reading() as cursor:
            cursor.execute(
                f"SELECT {COLUMNS} FROM webhooks_delivery WHERE webhook_id = %s AND environment = %s",
                [webhook_id, self.environment],
            )
            columns = cursor.fetchone()
            if columns is None:
                return None
            row = Stored.of(columns)
            cursor.execute(
                f"SELECT {ATTEMPT_COLUMNS} FROM webhooks_attempt WHERE delivery_id = %s ORDER BY id",
                [row.number],
            )
            return row, cursor.fetchall()

    def find(self, webhook_id: str) -> Row | None:
        """Return one row; see `Operations.find`."""
        found = self.stored(webhook_id)
        return None if found is None else found[0].shown(found[1])

    def release(
        self, webhook_ids: Collection[str], *, reason: str, per_second: float | None = None
    ) -> frozenset[str]:
        """Let held rows go; see `Operations.release`."""
        return self._move(webhook_ids, people.Move(cause=Cause.RELEASE, reason=reason, per_second=per_second))

    def resend(
        self, webhook_ids: Collection[str], *, reason: str, per_second: float | None = None
    ) -> frozenset[str]:
        """Send dead rows again; see `Operations.resend`."""
        return self._move(webhook_ids, people.Move(cause=Cause.RESEND, reason=reason, per_second=per_second))

    def hold(self, webhook_ids: Collection[str], *, reason: str) -> frozenset[str]:
        """Keep pending rows back; see `Operations.hold`."""
        return self._move(webhook_ids, people.Move(cause=Cause.KEEP, reason=reason))

    def drop(self, webhook_ids: Collection[str], *, reason: str) -> frozenset[str]:
        """Give rows up for good; see `Operations.drop`."""
        return self._move(webhook_ids, people.Move(cause=Cause.DROP, reason=reason))

    def _move(self, webhook_ids: Collection[str], what: people.Move) -> frozenset[str]:
        return people.move(self.database, webhook_ids, what, environment=self.environment)
