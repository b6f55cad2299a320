"""Token buckets that workers share through the database: one row for each endpoint, one for the stage.

What is granted is `rate.take`'s business alone. Invariants: each call is one write transaction, so that two
workers never take the same token; moments are those of the database's clock, so that workers whose clocks
differ fill no bucket twice. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from django.db.backends.utils import CursorWrapper

from webhooks_core.django.outbox.database import Database
from webhooks_core.endpoint import EndpointId
from webhooks_core.rate import Grant, RatePolicy, RateState, give_back, take
from webhooks_core.stores.rates import check_stage_rate

_READ = "SELECT tokens, filled_at FROM webhooks_ratebucket WHERE environment = %s AND endpoint_id = %s"
_WRITE = (
    "INSERT INTO webhooks_ratebucket (environment, endpoint_id, tokens, filled_at) VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (environment, endpoint_id) DO UPDATE SET"
    " tokens = excluded.tokens, filled_at = excluded.filled_at"
)

STAGE_SECONDS = 0.5
"""How long a stage's cap is taken for what it was: another one is in force everywhere within a second."""

# No endpoint has an empty id: the row is the stage's.
_READ_STAGE = "SELECT per_second FROM webhooks_ratebucket WHERE environment = %s AND endpoint_id = ''"
_WRITE_STAGE = (
    "INSERT INTO webhooks_ratebucket (environment, endpoint_id, tokens, filled_at, per_second)"
    " VALUES (%s, '', 0, %s, %s) ON CONFLICT (environment, endpoint_id) DO UPDATE SET"
    " filled_at = excluded.filled_at, per_second = excluded.per_second"
)


class DatabaseRateStore:
    """Keep buckets, and the stage's cap, in the outbox's database; see `RateStore` and `StageCap`.

    Args:
        database: Of the outbox: its transactions, its locks.
        environment: Whose buckets.
        monotonic: Seconds for measuring how old a cap is.
    """

    def __init__(
        self,
        database: Database,
        *,
        environment: str,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - a store's default
    ) -> None:
        self._database = database
        self._environment = environment
        self._monotonic = monotonic
        self._stage: tuple[float, float | None] | None = None  # when it was read, and what it was

    def stage_rate(self) -> float | None:
        """Return the cap in force, read at most `STAGE_SECONDS` ago."""
        now, known = self._monotonic(), self._stage
        if known is not None and now - known[0] < STAGE_SECONDS:
            return known[1]
        with self._database.reading() as cursor:
            cursor.execute(_READ_STAGE, [self._environment])
            row = cursor.fetchone()
        found: float | None = None if row is None else row[0]
        self._stage = (now, found)
        return found

    def set_stage_rate(self, per_second: float | None) -> None:
        """Put another cap in force, in the caller's transaction where one is open on the outbox's database.

        Raises:
            ConfigError: It is none.
        """
        check_stage_rate(per_second)
        with self._database.transaction() as cursor:
            now = self._database.now(cursor)
            cursor.execute(_WRITE_STAGE, [self._environment, now, per_second])
        self._stage = None

    def take(self, endpoint_id: EndpointId, wanted: int, *, policy: RatePolicy, now: float) -> Grant:
        """Take tokens; see `RateStore.take`. *now* says only by which clock the answer is told."""
        grants: list[Grant] = []

        def taken(state: RateState | None, at: float) -> RateState:
            grant = take(policy, state, wanted, now=at)
            told = None if grant.retry_at is None else grant.retry_at - at + now
            grants.append(replace(grant, retry_at=told))
            return grant.state

        self._change(endpoint_id, taken)
        return grants[-1]

    def give_back(self, endpoint_id: EndpointId, unused: int, *, policy: RatePolicy, now: float) -> None:  # noqa: ARG002
        """Put tokens back; see `RateStore.give_back`."""
        self._change(
            endpoint_id,
            lambda state, at: None if state is None else give_back(policy, state, unused, now=at),
        )

    def _change(
        self, endpoint_id: EndpointId, after: Callable[[RateState | None, float], RateState | None]
    ) -> None:
        with self._database.transaction() as cursor:
            self._database.lock(cursor, [(self._environment, endpoint_id, "rate")])
            state = after(self._read(cursor, endpoint_id), self._database.now(cursor))
            if state is not None:
                cursor.execute(_WRITE, [self._environment, endpoint_id, state.tokens, state.at])

    def _read(self, cursor: CursorWrapper, endpoint_id: EndpointId) -> RateState | None:
        cursor.execute(_READ, [self._environment, endpoint_id])
        row = cursor.fetchone()
        return None if row is None else RateState(tokens=row[0], at=row[1])
