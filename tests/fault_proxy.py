"""A small TCP proxy that a test can break: black hole, lost answers, delay, reset, cut, and whole again."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

CUT_BYTES = 5  # of a body that is cut, so many get through
END_OF_HEADERS = b"\r\n\r\n"


class Side(Enum):
    """Name a direction of a connection."""

    REQUEST = "to the target"
    ANSWER = "from the target"


class FaultProxy:
    """Forward one port to another until told otherwise.

    Attributes:
        silent: Swallow what comes from either side; connections stay open (a black hole).
        loses_answers: Swallow what comes from the target: what is asked arrives, and nobody hears of it.
        cuts: Reset each connection in the middle of the first HTTP body that goes this way.
        delay_seconds: Wait so long before anything is passed back.
    """

    def __init__(self, port: int) -> None:
        self.silent = False
        self.loses_answers = False
        self.cuts: Side | None = None
        self.delay_seconds = 0.0
        self.accepted = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._open: list[socket.socket] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def reset(self) -> None:
        """Reset every connection that is open now."""
        for each in self._open:
            try:
                _linger_no_more(each)
                each.shutdown(socket.SHUT_RD)
            except OSError:
                continue

    def heal(self) -> None:
        """Be whole again; connections that a fault has met are reset, as those of a network would end."""
        self.silent = self.loses_answers = False
        self.cuts = None
        self.reset()

    def close(self) -> None:
        """Stop and wait for the threads."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(2)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.accepted += 1
            thread = threading.Thread(target=self._forward, args=(near,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _forward(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        with near, far:
            self._open.append(near)
            bodies: set[Side] = set()
            while not self._stopped.is_set():
                ready, _, _ = select.select([near, far], [], [], 0.05)
                for side in ready:
                    there = (far, Side.REQUEST) if side is near else (near, Side.ANSWER)
                    try:
                        if not self._pass(side, *there, bodies):
                            return
                    except OSError:
                        return

    def _pass(self, here: socket.socket, there: socket.socket, side: Side, bodies: set[Side]) -> bool:
        """Pass on what came *here*, unless told otherwise; False where the connection is over."""
        data = here.recv(65_536)
        if not data:
            return False
        if self.silent or (self.loses_answers and side is Side.ANSWER):
            return True
        if side is Side.ANSWER and self.delay_seconds:
            time.sleep(self.delay_seconds)
        if self.cuts is not side:
            there.sendall(data)
            return True
        begins = 0 if side in bodies else data.find(END_OF_HEADERS) + len(END_OF_HEADERS)
        if begins < len(END_OF_HEADERS) and side not in bodies:  # not the end of the headers yet
            there.sendall(data)
            return True
        bodies.add(side)
        there.sendall(data[: begins + CUT_BYTES])
        if len(data) == begins:  # the body comes by itself
            return True
        _linger_no_more(here)
        _linger_no_more(there)
        return False


def _linger_no_more(side: socket.socket) -> None:
    """Let the end of *side* be a reset."""
    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def fault_proxy(port: int) -> Iterator[FaultProxy]:
    """A proxy in front of *port* for one test."""
    proxy = FaultProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
