"""Resolve a name once, judge every address, connect to one of those that were judged.

No HTTP here and no policy (that is `address.py`). The invariants: a socket that `connect` returns leads to an
address that `checked_addresses` has let through, and its peer has been asked for its address again; however
long the system's resolver hangs, a caller waits no longer than its deadline and at most `WORKERS` threads
wait in it. Explained in docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from errno import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING

from webhooks_core.address import Address, Blocked, Name, decide
from webhooks_core.errors import AddressBlocked, ConnectFailed, TimedOut

if TYPE_CHECKING:
    from webhooks_core.endpoint import AllowedNetwork
    from webhooks_core.transport.deadline import Deadline

Resolve = Callable[[str, int], Sequence[str]]

WORKERS = 8  # lookups at a time; enough for a start with many endpoints, few enough to be stuck without harm
_IDLE_SECONDS = 30.0  # how long a resolving thread waits for the next name before it ends
_MAX_TRIED = 8  # addresses of one name that are connected to; all of them are judged
_WORDS = {ECONNREFUSED: "refused", ENETUNREACH: "network unreachable", EHOSTUNREACH: "host unreachable"}


def system_resolve(name: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of *name*, both families, in its order of preference."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Lookup:
    """One question to the resolver, with everybody who waits for its answer."""

    __slots__ = ("addresses", "finished", "name", "port", "waiting")

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.addresses: tuple[str, ...] = ()
        self.finished = threading.Event()
        self.waiting = 0


class Resolver:
    """Look names up in a few daemon threads, because nothing can interrupt `getaddrinfo`.

    One name is asked for once at a time, so a name server that hangs holds one thread, not all. Belongs to
    one process: after a fork the child builds its own.

    Args:
        resolve: Blocking function from name and port to addresses; OSError or ValueError when there are none.
        workers: Most threads at a time.
    """

    def __init__(self, resolve: Resolve = system_resolve, *, workers: int = WORKERS) -> None:
        self._resolve = resolve
        self._workers = workers
        self._changed = threading.Condition()
        self._asked: dict[tuple[str, int], Lookup] = {}
        self._queue: deque[Lookup] = deque()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def addresses(self, name: str, port: int, *, deadline: Deadline) -> tuple[str, ...]:
        """Return the addresses of *name*, at least one.

        Raises:
            ConnectFailed: It has none.
            TimedOut: No answer before the deadline, or no thread free to ask.
        """
        lookup = self._ask(name, port)
        try:
            answered = lookup.finished.wait(deadline.remaining("dns"))
        finally:
            self._leave(lookup)
        if not answered:
            raise TimedOut("the name was not resolved in time", phase="dns")
        if not lookup.addresses:
            raise ConnectFailed("the name does not resolve", phase="dns")
        return lookup.addresses

    def close(self) -> None:
        """End the threads that wait for work; one that is stuck ends when the system lets it go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _ask(self, name: str, port: int) -> Lookup:
        with self._changed:
            lookup = self._asked.get((name, port))
            if lookup is None:
                lookup = self._asked[name, port] = Lookup(name, port)
                self._queue.append(lookup)
                if self._idle >= len(self._queue):
                    self._changed.notify()
                elif self._threads < self._workers:
                    self._start()
            lookup.waiting += 1
            return lookup

    def _start(self) -> None:
        """Have one more thread, where the system gives one; the next question asks again. Needs the lock."""
        with contextlib.suppress(RuntimeError, MemoryError):
            threading.Thread(target=self._work, name="webhooks-resolver", daemon=True).start()
            self._threads += 1

    def _leave(self, lookup: Lookup) -> None:
        """Take back a question that nobody waits for and nobody has begun to answer."""
        with self._changed:
            lookup.waiting -= 1
            if lookup.waiting == 0 and lookup in self._queue:
                self._queue.remove(lookup)
                del self._asked[lookup.name, lookup.port]

    def _work(self) -> None:
        try:
            while (lookup := self._next()) is not None:
                self._answer(lookup)
        except BaseException:
            with self._changed:
                self._threads -= 1
            raise

    def _answer(self, lookup: Lookup) -> None:
        try:
            lookup.addresses = tuple(self._resolve(lookup.name, lookup.port))
        except (OSError, ValueError):  # gaierror; UnicodeError from a label that is too long
            lookup.addresses = ()
        finally:
            with self._changed:
                del self._asked[lookup.name, lookup.port]
            lookup.finished.set()

    def _next(self) -> Lookup | None:
        """Return the next question, or None when this thread is to end."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._queue or self._closed, timeout=_IDLE_SECONDS)
            self._idle -= 1
            if self._queue and not self._closed:
                return self._queue.popleft()
            self._threads -= 1
            return None


def checked_addresses(
    host: Address | Name,
    port: int,
    *,
    allow: Iterable[AllowedNetwork],
    resolver: Resolver,
    deadline: Deadline,
) -> tuple[Address, ...]:
    """Return the addresses of *host*, every one of them judged. One that is blocked blocks all.

    Raises:
        AddressBlocked: One address or more is refused by the policy.
        ConnectFailed, TimedOut: The name could not be resolved.
    """
    found: Iterable[str | Address] = (
        (host,) if not isinstance(host, Name) else resolver.addresses(host.text, port, deadline=deadline)
    )
    networks = tuple(allow)
    good: dict[Address, None] = {}
    for address in found:
        verdict = decide(address, port, networks)
        if isinstance(verdict, Blocked):
            shown = host.text if isinstance(host, Name) else str(host)
            raise AddressBlocked(shown, verdict.rule)
        good[verdict.address] = None
    return tuple(good)


def connect(addresses: Sequence[Address], port: int, *, deadline: Deadline) -> socket.socket:
    """Return a TCP connection to the first of *addresses* that answers; each gets its share of what time is
    left.

    Raises:
        ConnectFailed: All refused, or one led elsewhere.
        TimedOut: The deadline passed, or the last one tried did not answer in its share.
    """
    tried = addresses[:_MAX_TRIED]
    problem: ConnectFailed | TimedOut = ConnectFailed("no address to connect to", phase="connect")
    for index, address in enumerate(tried):
        share = deadline.remaining("connect") / (len(tried) - index)
        try:
            return _connect_one(address, port, seconds=share)
        except TimeoutError:
            problem = TimedOut("no connection in time", phase="connect")
        except OSError as error:
            problem = ConnectFailed(f"connection {_WORDS.get(error.errno or 0, 'failed')}", phase="connect")
    raise problem


def _connect_one(address: Address, port: int, *, seconds: float) -> socket.socket:
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM)
    with contextlib.ExitStack() as undo:
        undo.callback(connection.close)
        connection.settimeout(seconds)
        # One message is one write: waiting for more (Nagle) only adds the peer's delayed acknowledgement.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect((str(address), port))
        peer = connection.getpeername()
        # Linux can connect a local port to itself when nothing listens there; that is nobody's receiver.
        if ip_address(peer[0]) != address or peer[1] != port or peer == connection.getsockname():
            raise ConnectFailed("the connection leads elsewhere", phase="connect")
        undo.pop_all()
    return connection
