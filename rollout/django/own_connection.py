"""A connection of our own to the project's database, for small reads that may not take long.

Not Django's: what is read here must neither run in nor break the caller's transaction, must be allowed in an
async view, and ends within its time whatever the server or the name server does (names that libpq finds by
itself, of a list of hosts, a service or PGHOST, are not bounded). No thread but for resolving a host's name,
once a connection: the deadline is in how the answer is waited for. Invariants: one read at a time and
process; a connection that failed is not used again; nothing is ever written. Explained in
docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

import selectors
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from webhooks_core.per_process import PerProcess
from webhooks_core.transport.deadline import Deadline
from webhooks_core.transport.ssrf import Resolver

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

__all__ = ["OwnConnection", "Unreadable"]

TIMEOUT_SECONDS = 0.1  # contract §3: a refresh costs at most 100 ms
# What Django puts among a connection's parameters for psycopg, and libpq does not know.
NOT_LIBPQS = ("context", "cursor_factory", "prepare_threshold", "row_factory", "autocommit")

Rows = list[tuple[str | None, ...]]
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)  # Windows has no poll
_resolver = PerProcess(Resolver, close=Resolver.close)


class Unreadable(Exception):
    """The database gave no answer in time, or none that can be used. The message names a type, no more."""


class _Line(Protocol):
    """One open connection of a vendor."""

    def read(self, sql: str, parameters: Sequence[str | float], *, deadline: float) -> Rows:
        """Run one statement."""
        ...

    def close(self) -> None:
        """Give it up. Never raises."""
        ...


class OwnConnection:
    """Read from the database with the alias *alias*; safe to use from several threads.

    Args:
        alias: One of `DATABASES`: PostgreSQL through psycopg 3, or SQLite.
        timeout_seconds: How long one `read` may take, connecting included.
        monotonic: Seconds for measuring.
    """

    def __init__(
        self,
        alias: str = DEFAULT_DB_ALIAS,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.alias = alias
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._slot = PerProcess(_Slot)

    def read(self, sql: str, parameters: Sequence[str | float] = (), *, spent_seconds: float = 0.0) -> Rows:
        """Return the rows of one SELECT, with `%s` for each parameter; every value as text, or None.

        Args:
            sql: The statement.
            parameters: Its values, in order.
            spent_seconds: What of the time the reads before this one have taken, where they share it.

        Raises:
            Unreadable: No answer in time, another thread is still waiting for one, or the server refused.
        """
        left = self._timeout_seconds - spent_seconds
        if left <= 0:
            raise Unreadable("TimeoutError")  # before anything is sent: the connection is as good as it was
        deadline = self._monotonic() + left
        slot = self._slot()
        if not slot.lock.acquire(timeout=left):
            raise Unreadable("busy")
        try:
            if slot.line is None:
                slot.line = _opened(connections[self.alias], deadline=deadline, monotonic=self._monotonic)
            return slot.line.read(sql, parameters, deadline=deadline)
        except Exception as error:  # noqa: BLE001 - a driver's, whatever it is; the caller has a last known state
            slot.drop()
            raise Unreadable(type(error).__name__) from None
        finally:
            slot.lock.release()

    def close(self) -> None:
        """Give the connection up; the next read opens another."""
        slot = self._slot()
        with slot.lock:
            slot.drop()


class _Slot:
    """What one process has: a lock and, once it was needed, a connection."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.line: _Line | None = None

    def drop(self) -> None:
        line, self.line = self.line, None
        if line is not None:
            line.close()


def _opened(wrapper: BaseDatabaseWrapper, *, deadline: float, monotonic: Callable[[], float]) -> _Line:
    if wrapper.vendor == "postgresql":
        return _Postgres(wrapper.get_connection_params(), deadline=deadline, monotonic=monotonic)
    if wrapper.vendor != "sqlite":
        raise Unreadable(f"{wrapper.vendor} is not supported")
    if getattr(wrapper, "is_in_memory_db", bool)():
        # There is one connection to such a database, and it is Django's: a test's, where nothing is shared.
        return _Shared(wrapper)
    return _SQLite(str(wrapper.settings_dict["NAME"]), monotonic=monotonic)


class _Postgres:
    """libpq's steps that do not block, by psycopg's documented wrapper, each waited for until a deadline."""

    def __init__(
        self, parameters: dict[str, Any], *, deadline: float, monotonic: Callable[[], float]
    ) -> None:
        from psycopg import pq
        from psycopg.conninfo import make_conninfo

        self._monotonic = monotonic
        named = {name: value for name, value in parameters.items() if name not in NOT_LIBPQS}
        named |= _addresses(named, seconds=deadline - monotonic(), monotonic=monotonic)
        self._line = pq.PGconn.connect_start(make_conninfo("", **named).encode())
        try:
            while (status := self._line.connect_poll()) != pq.PollingStatus.OK:
                if status == pq.PollingStatus.FAILED:
                    raise ConnectionError
                self._wait(writes=status == pq.PollingStatus.WRITING, deadline=deadline)
            self._line.nonblocking = 1
        except BaseException:
            self.close()
            raise
        self._good = pq.ExecStatus.TUPLES_OK

    def read(self, sql: str, parameters: Sequence[str | float], *, deadline: float) -> Rows:
        line = self._line
        line.send_query_params(_numbered(sql), [str(each).encode() for each in parameters])
        while line.flush():
            self._wait(writes=True, deadline=deadline)
        result: PGresult | None = None
        while True:
            while line.is_busy():
                self._wait(writes=False, deadline=deadline)
                line.consume_input()
            last = line.get_result()
            if last is None:
                break
            result = last
        if result is None or result.status != self._good:
            raise LookupError
        return [
            tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
            for row in range(result.ntuples)
        ]

    def _wait(self, *, writes: bool, deadline: float) -> None:
        left = deadline - self._monotonic()
        with _Selector() as selector:  # not `select`, which takes no descriptor above 1023
            selector.register(self._line.socket, selectors.EVENT_WRITE if writes else selectors.EVENT_READ)
            if left <= 0 or not selector.select(left):
                raise TimeoutError

    def close(self) -> None:
        self._line.finish()


def _addresses(
    parameters: dict[str, Any], *, seconds: float, monotonic: Callable[[], float]
) -> dict[str, str]:
    """Return what *parameters* want beside their host's name: libpq would resolve it for as long as it takes.

    Raises:
        TransportError: The name has no address, or none in *seconds*.
    """
    host = parameters.get("host") or ""
    if "hostaddr" in parameters or host[:1] in ("", "/", "@") or "," in host or _is_address(host):
        return {}
    deadline = Deadline(seconds, monotonic=monotonic)
    found = _resolver().addresses(host, int(parameters.get("port") or 0), deadline=deadline)
    return {"host": ",".join([host] * len(found)), "hostaddr": ",".join(found)}


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _numbered(sql: str) -> bytes:
    parts = sql.split("%s")
    return (
        "".join(f"{part}${place}" for place, part in enumerate(parts[:-1], 1)).encode() + parts[-1].encode()
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


class _SQLite:
    """A connection to the file, read-only; in WAL a reader waits for nobody."""

    def __init__(self, name: str, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        uri = name if name.startswith("file:") else f"file:{quote(name)}?mode=ro"
        self._connection = sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False
        )

    def read(self, sql: str, parameters: Sequence[str | float], *, deadline: float) -> Rows:
        left = max(0, int((deadline - self._monotonic()) * 1000))
        self._connection.execute(f"PRAGMA busy_timeout={left}")
        return _texts(self._connection.execute(sql.replace("%s", "?"), tuple(parameters)).fetchall())

    def close(self) -> None:
        with suppress(Exception):
            self._connection.close()


class _Shared:
    """Django's own connection, where there is no other way."""

    def __init__(self, wrapper: BaseDatabaseWrapper) -> None:
        self._wrapper = wrapper

    def read(self, sql: str, parameters: Sequence[str | float], *, deadline: float) -> Rows:  # noqa: ARG002
        with self._wrapper.cursor() as cursor:
            cursor.execute(sql, list(parameters))
            return _texts(cursor.fetchall())

    def close(self) -> None:
        """Leave it: it is Django's."""


def _texts(rows: Iterable[Sequence[object]]) -> Rows:
    return [tuple(None if value is None else str(value) for value in row) for row in rows]
