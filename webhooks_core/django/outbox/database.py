"""One database as the outbox sees it: its transactions, its clock, and the locks, in which vendors differ.

Invariants: every transaction of ours is a write transaction from its first statement, so that SQLite never
has to turn a read lock into a write lock (which fails at once where another process has written); a
connection that failed outside a caller's transaction is closed, so that the next call opens a new one.
Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

import json
import socket  # noqa: TID251 - to wake a thread that waits for a server which is gone
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from os import dup
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, InterfaceError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from webhooks_core.errors import ConfigError

VENDORS = ("sqlite", "postgresql")
Row = tuple[Any, ...]
Value = bool | int | float | str | bytes | None  # of a parameter

_CLOCK_SECONDS = 1.0  # the server's clock is asked so often; it is no round trip of each claim and settle
# What libpq and the kernel are told: a server that answers nothing is given up after 5 + 3 × 2 s of silence,
# or 10 s after something that it did not confirm. Settings of the project's own win.
_LIVELY = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_POSTGRES_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
_TOUCH = "UPDATE {} SET id = id WHERE id = -1"


class Database:
    """The database with the alias *alias*; each thread has a connection of its own, as ever in Django.

    Args:
        alias: One of `DATABASES`.
        clock: The store's clock; None is the server's on PostgreSQL, this machine's on SQLite.
        machine_clock: What "this machine's" is.
        monotonic: Seconds for measuring: between two looks at the server's clock ours goes on from the last.
        table: One that is there: SQLite's write lock is taken by touching it.
    """

    def __init__(
        self,
        alias: str = DEFAULT_DB_ALIAS,
        *,
        clock: Callable[[], float] | None,
        machine_clock: Callable[[], float],
        monotonic: Callable[[], float],
        table: str = "webhooks_delivery",
    ) -> None:
        self.alias = alias
        self._touch = _TOUCH.format(table)
        self._clock = clock
        self._machine_clock = machine_clock
        self._monotonic = monotonic
        self._server_ahead: tuple[float, float] | None = None  # when it was asked, and its clock minus ours

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """The calling thread's connection."""
        connection = connections[self.alias]
        if connection.vendor not in VENDORS:
            raise ConfigError("database", f"an outbox needs SQLite or PostgreSQL, not {connection.vendor}")
        return connection

    @property
    def is_postgres(self) -> bool:
        """Whether other transactions run beside ours."""
        return self.connection.vendor == "postgresql"

    def notice_silence(self) -> None:
        """Have a server that went away without a word noticed, on connections that are opened later."""
        if self.is_postgres:
            options = connections[self.alias].settings_dict["OPTIONS"]
            for option, value in _LIVELY.items():
                options.setdefault(option, value)

    @contextmanager
    def transaction(self) -> Iterator[CursorWrapper]:
        """Run the block as one write transaction, or as a part of the one that is open."""
        connection = self.connection
        try:
            with transaction.atomic(using=self.alias), connection.cursor() as cursor:
                if not self.is_postgres:
                    cursor.execute(self._touch)
                yield cursor
        except (Error, InterfaceError):
            self.let_go()
            raise

    @contextmanager
    def reading(self) -> Iterator[CursorWrapper]:
        """Run the block's single statements outside any transaction of ours."""
        try:
            with self.connection.cursor() as cursor:
                yield cursor
        except (Error, InterfaceError):
            self.let_go()
            raise

    def let_go(self) -> None:
        """Close this thread's connection, unless somebody's transaction is open on it."""
        connection = connections[self.alias]
        if not connection.in_atomic_block:
            connection.close()

    def now(self, cursor: CursorWrapper | None = None) -> float:
        """Return the store's clock, epoch seconds."""
        if self._clock is not None:
            return self._clock()
        if not self.is_postgres:
            return self._machine_clock()
        asked = self._server_ahead
        if asked is not None and self._monotonic() - asked[0] < _CLOCK_SECONDS:
            return self._monotonic() + asked[1]
        if cursor is None:
            with self.reading() as own:
                return self.now(own)
        begun = self._monotonic()
        cursor.execute(_POSTGRES_NOW)
        now = float(cursor.fetchone()[0])
        self._server_ahead = (begun, now - (begun + self._monotonic()) / 2)
        return now

    def rows(self, columns: Mapping[str, str], rows: Iterable[Sequence[Value]]) -> tuple[str, list[Value]]:
        """Return a query whose result is *rows*, and its parameters.

        To PostgreSQL they go as one text of JSON: as many parameters would take psycopg, and the server, five
        times as long. SQLite takes parameters as they are, and reads numbers in JSON less exactly.

        Args:
            columns: Names, each with its type on PostgreSQL.
            rows: Values in that order, at least one row; no bytes.
        """
        if self.is_postgres:
            types = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            text = json.dumps([dict(zip(columns, row, strict=True)) for row in rows])
            return f"SELECT * FROM json_to_recordset(%s::json) AS r({types})", [text]  # noqa: S608 - constants
        flat = [value for row in rows for value in row]
        marks = f"({', '.join(['%s'] * len(columns))})"
        return f"VALUES {', '.join([marks] * (len(flat) // len(columns)))}", flat

    @property
    def skip_locked(self) -> str:
        """What ends a SELECT of rows that are about to be taken: others pass them by."""
        return " FOR UPDATE SKIP LOCKED" if self.is_postgres else ""

    def lock(self, cursor: CursorWrapper, names: Iterable[Sequence[str]]) -> None:
        """Wait for the lock of each name, in one order for all, until the transaction ends."""
        if self.is_postgres:
            for number in sorted({lock_number(name) for name in names}):
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])

    def try_lock(self, cursor: CursorWrapper, name: Sequence[str]) -> bool:
        """Take the lock of *name* where nobody has it; never wait."""
        if not self.is_postgres:
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock_number(name)])
        return bool(cursor.fetchone()[0])

    def interrupter(self) -> Callable[[], None]:
        """Return what ends, from another thread, whatever this thread's connection is waiting for.

        The waiting call then raises. A server that went away without a word is the case it is for.
        """
        return interrupter(self.connection)


def interrupter(connection: BaseDatabaseWrapper) -> Callable[[], None]:
    """Return what ends, from another thread, whatever *connection* is waiting for; see `Database`."""

    def interrupt() -> None:
        raw = connection.connection
        if raw is None:
            return
        if connection.vendor != "postgresql":
            raw.interrupt()
            return
        # libpq waits in `poll`, which no other call of its own may disturb: a line that is shut ends it.
        with socket.socket(fileno=dup(raw.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)

    return interrupt


def lock_number(name: Sequence[str]) -> int:
    """Return a signed 64-bit number for *name*, the same in every process."""
    return int.from_bytes(sha256("\0".join(name).encode()).digest()[:8], signed=True)
