"""A receiver that keeps what it got: as fast as Python can while it is measured, verified in full afterwards.

One thread, epoll, keep-alive, a fixed 200 to every POST, and no answer at all under `/hang`. It runs in a
process of its own, so that it shares no interpreter lock with what is measured; what it kept is fetched when
the clock has stopped, and each request then has to pass the real `Verifier`. Like `receiver.py` it
understands what the benchmarks send (Content-Length bodies, no pipelining) and nothing else.
"""

from __future__ import annotations

import multiprocessing
import re
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

from webhooks_core.keys import KeyRing
from webhooks_core.scheme import Scheme
from webhooks_core.verifier import Verifier

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"status":"ok"}'
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PATIENCE_SECONDS = 120.0


class Arrival(NamedTuple):
    """One request: when it was whole (epoch seconds), and its bytes."""

    at: float
    raw: bytes

    @property
    def path(self) -> str:
        return self.raw.split(b" ", 2)[1].decode()

    def headers(self) -> dict[str, str]:
        lines = self.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]


class Span(NamedTuple):
    """When the first and the last of so many requests came."""

    first_at: float
    last_at: float

    def rate(self, count: int) -> float:
        """Return how many of *count* requests came in a second."""
        return (count - 1) / (self.last_at - self.first_at)


class Witness:
    """The parent's end of it."""

    def __init__(self, port: int, pipe: Connection) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/webhooks/inbound"
        self._pipe = pipe

    def wait(self, count: int) -> Span:
        """Wait until *count* requests were answered since `take`."""
        self._pipe.send(count)
        if not self._pipe.poll(_PATIENCE_SECONDS):
            raise TimeoutError(f"the receiver did not get {count} requests in {_PATIENCE_SECONDS:.0f} s")
        return Span(*self._pipe.recv())

    def take(self) -> list[Arrival]:
        """Return what came since the last call, those under `/hang` included."""
        self._pipe.send(None)
        return [Arrival(*kept) for kept in self._pipe.recv()]

    def verify(self, count: int, keys: KeyRing, *, scheme: Scheme = Scheme.TIMESTAMPED) -> None:
        """Fail unless what came are *count* genuine requests with an id each."""
        verifier = Verifier(keys, scheme=scheme)
        arrivals = self.take()
        ids = {verifier.verify(got.headers(), got.body, now=got.at).webhook_id for got in arrivals}
        assert len(ids) == len(arrivals) == count, f"{len(arrivals)} requests, {len(ids)} ids, not {count}"


@contextmanager
def witness() -> Iterator[Witness]:
    """Start one on a loopback port of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # where the child dies, `recv` raises instead of waiting for ever
    try:
        yield Witness(ours.recv(), ours)
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    pipe.send(listener.getsockname()[1])
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ, None)
    selector.register(pipe, selectors.EVENT_READ, None)
    kept: list[tuple[float, bytes]] = []
    goal: int | None = None
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                _accept(listener, selector)
            elif key.fileobj is pipe:
                goal = pipe.recv()
                if goal is None:
                    pipe.send(kept)
                    kept = []
            elif not _answer(key.fileobj, key.data, kept):  # type: ignore[arg-type]
                selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]
        if goal is not None and len(kept) >= goal:
            pipe.send((kept[0][0], kept[goal - 1][0]))
            goal = None


def _accept(listener: socket.socket, selector: selectors.BaseSelector) -> None:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ, bytearray())


def _answer(connection: socket.socket, held: bytearray, kept: list[tuple[float, bytes]]) -> bool:
    """Read what is there and answer a request that is whole; return whether the connection goes on."""
    try:
        data = connection.recv(65_536)
    except BlockingIOError:
        return True
    except OSError:
        return False
    if not data:
        return False
    held += data
    head = held.find(b"\r\n\r\n")
    found = _LENGTH.search(held, 0, head) if head > 0 else None
    if found is None or len(held) < head + 4 + int(found[1]):
        return True
    kept.append((time.time(), bytes(held)))
    held.clear()
    if not kept[-1][1].startswith(b"POST /hang"):
        connection.send(ANSWER)
    return True
