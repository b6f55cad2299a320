"""Breakers that processes share through the database: one row for each endpoint, changed by compare-and-set.

What a command does is `breaker.decide`'s business alone. Invariants: a row changes only where its version is
the one that was read, so that of the whole fleet one gets the probe; its moments are those of the database's
clock, and what a caller is told is by the caller's own; the success of a closed breaker is counted here and
told at most once a second; while the database is away the last known state answers, and nobody becomes a
probe. Explained in docs/explanation/breaker.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from os import getpid
from threading import Lock  # noqa: TID251 - a store owns its lock

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from webhooks_core.breaker import (
    Admit,
    BreakerPolicy,
    BreakerState,
    Command,
    Refused,
    Step,
    Succeeded,
    Ticket,
    decide,
)
from webhooks_core.django.outbox.database import Database
from webhooks_core.django.stores.line import DatabaseLine
from webhooks_core.errors import StoreUnavailable
from webhooks_core.stores.breaker_text import dump_state, load_state
from webhooks_core.stores.breakers import ClosedPath, told

SNAPSHOT_SECONDS = 0.25
"""How old a state may be that admits without asking the database (DESIGN §5)."""

WAIT_SECONDS = 0.1
"""The contract §7: a store that cannot be reached costs at most so much."""

AWAY_SECONDS = 1.0
_TRIES = 100  # of one change against others'; each try that fails is somebody else's success
_ALONE = -(10**15)  # generations made without the database begin here, where it never gives one

_READ = "SELECT version, content FROM webhooks_breaker WHERE environment = %s AND endpoint_id = %s"
_READ_ALL = "SELECT endpoint_id, content FROM webhooks_breaker WHERE environment = %s"
_WRITE = (
    "INSERT INTO webhooks_breaker (environment, endpoint_id, version, state, content, changed_at)"
    " VALUES (%s, %s, 1, %s, %s, %s) ON CONFLICT (environment, endpoint_id) DO UPDATE SET"
    " version = webhooks_breaker.version + 1, state = excluded.state, content = excluded.content,"
    " changed_at = excluded.changed_at WHERE webhooks_breaker.version = %s RETURNING version"
)


class _Kept:
    """One endpoint as this process knows it, and the steps that the fast path answers with."""

    __slots__ = ("admitted", "ahead", "fresh_until", "lock", "path", "quiet", "state")

    def __init__(self) -> None:
        self.lock = Lock()
        self.path = ClosedPath()
        self.ahead = 0.0  # the database's clock minus the caller's, when it was last asked
        self.fresh_until = float("-inf")  # monotonic
        self.follow(BreakerState(), now=0.0)

    def follow(self, state: BreakerState, *, now: float) -> None:
        """Let the fast path go by *state*. Needs the lock."""
        self.state = state
        self.path.renew(state, now=now)
        self.quiet = Step(state=state)
        self.admitted = Step(state=state, answer=self.path.ticket)


class DatabaseBreakerStore:
    """Keep breakers in a database of Django's. Processes and hosts share them: one probe in the whole fleet.

    Args:
        policy: For every endpoint of this store.
        environment: Whose breakers; another environment has its own.
        using: Alias of the database: SQLite or PostgreSQL.
        snapshot_seconds: See `SNAPSHOT_SECONDS`; with 0 every question asks the database.
        wait_seconds: See `WAIT_SECONDS`.
        clock: The store's clock, given the caller's `now`; None is the server's on PostgreSQL, this machine's
            on SQLite. So hosts whose clocks differ have one probe at a time all the same.
        monotonic: Seconds for measuring.
    """

    def __init__(
        self,
        policy: BreakerPolicy | None = None,
        *,
        environment: str,
        using: str = DEFAULT_DB_ALIAS,
        snapshot_seconds: float = SNAPSHOT_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
        clock: Callable[[float], float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - a service's default
    ) -> None:
        self.policy = BreakerPolicy() if policy is None else policy
        self._environment = environment
        self._snapshot_seconds = snapshot_seconds
        self._monotonic = monotonic
        self._line = DatabaseLine(using, wait_seconds=wait_seconds, monotonic=monotonic)
        self._clock = clock
        self._database = Database(
            using,
            clock=None,
            machine_clock=time.time,  # noqa: TID251 - a store has a clock
            monotonic=monotonic,
        )
        self._held: tuple[int, dict[str, _Kept]] = (getpid(), {})
        self._numbers = count(_ALONE)

    def apply(self, endpoint_id: str, command: Command, *, now: float, jitter_value: float = 0.0) -> Step:
        """Apply *command*; see `BreakerStore`. On the fast path the step's state is that of the last
        change.
        """
        kept = self._endpoint(endpoint_id)
        if kept.path.ticket is not None:
            if isinstance(command, Admit) and self._monotonic() < kept.fresh_until:
                return kept.admitted
            if isinstance(command, Succeeded) and command.count == 1 and kept.path.count(command.ticket, now):
                return kept.quiet
        with kept.lock:
            step = self._changed(endpoint_id, kept, command, now=now, jitter_value=jitter_value)
            if isinstance(command, Admit) and kept.path.ticket is not None and not step.changes:
                return kept.admitted  # its very ticket, by which the fast path knows the success
            return step

    def state(self, endpoint_id: str, *, now: float) -> BreakerState:
        """Return the state of one breaker: what the fleet has told, and every success of our own."""
        kept = self._endpoint(endpoint_id)
        with kept.lock:
            return self._changed(endpoint_id, kept, None, now=now).state

    def seen(self, endpoint_ids: Sequence[str], *, now: float) -> dict[str, BreakerState]:  # noqa: ARG002 - the port's
        """Return what the rows say, on the caller's connection and in its time; not what cannot be read."""
        try:
            with self._database.reading() as cursor:
                cursor.execute(_READ_ALL, [self._environment])
                rows = dict(cursor.fetchall())
        except DatabaseError:
            return {}
        found = {}
        for endpoint_id in endpoint_ids:
            with suppress(ValueError):
                found[endpoint_id] = load_state(rows[endpoint_id]) if endpoint_id in rows else BreakerState()
        return found

    def close(self) -> None:
        """End the thread that asks the database."""
        self._line.close()

    def _endpoint(self, endpoint_id: str) -> _Kept:
        pid, everything = self._held
        if pid != getpid():
            everything = {}
            self._held = (getpid(), everything)
        return everything.get(endpoint_id) or everything.setdefault(endpoint_id, _Kept())

    def _changed(
        self, endpoint_id: str, kept: _Kept, command: Command | None, *, now: float, jitter_value: float = 0.0
    ) -> Step:
        """Tell the database what was counted and *command*, and follow the state after them."""
        second, generation = kept.path.begins, kept.state.generation
        waiting = kept.path.taken()

        def decided(state: BreakerState, at: float) -> Step:
            if waiting:
                told = Succeeded(ticket=Ticket(generation=generation), count=waiting)
                state = decide(self.policy, state, told, now=second + (at - now)).state
            if command is None:
                return Step(state=state)
            return decide(self.policy, state, command, now=at, jitter_value=jitter_value)

        try:
            step, at = self._line.ask(lambda: self._written(endpoint_id, decided, now=now))
            kept.ahead = at - now
        except StoreUnavailable:
            at = now + kept.ahead
            step = self._alone(decided(kept.state, at), known=kept.state, now=at)
        kept.follow(step.state, now=now)
        kept.fresh_until = self._monotonic() + self._snapshot_seconds
        return told(step, ahead=kept.ahead)

    def _written(
        self, endpoint_id: str, decided: Callable[[BreakerState, float], Step], *, now: float
    ) -> tuple[Step, float]:
        """Read, decide and write, again and again until nobody came between; in the line's thread.

        Returns the step, and the moment, by the store's clock, at which it was made.
        """
        with connections[self._line.alias].cursor() as cursor:
            at = self._database.now(cursor) if self._clock is None else self._clock(now)
            for _ in range(_TRIES):
                cursor.execute(_READ, [self._environment, endpoint_id])
                row = cursor.fetchone()
                version, state = (0, BreakerState()) if row is None else (row[0], load_state(row[1]))
                step = decided(state, at)
                if step.state == state:
                    return step, at
                values = (step.state.state.value, dump_state(step.state), at, version)
                cursor.execute(_WRITE, [self._environment, endpoint_id, *values])
                if cursor.fetchone() is not None:
                    return step, at
        raise StoreUnavailable("database", "a breaker changes too often")

    def _alone(self, step: Step, *, known: BreakerState, now: float) -> Step:
        """Return what is made of *step*, which came of the last known state, without the database."""
        if isinstance(step.answer, Ticket) and step.answer.is_probe:
            # Somebody else's probe may be out: without the database there is none.
            return Step(state=known, answer=Refused(retry_at=now + AWAY_SECONDS))
        if step.changes:
            return replace(step, state=replace(step.state, generation=next(self._numbers)))
        return step
