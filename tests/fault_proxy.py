"""A small TCP proxy that a test can break: black hole, delay, reset, and whole again."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class FaultProxy:
    """Forward one port to another until told otherwise.

    Attributes:
        silent: Swallow what comes from either side; connections stay open (a black hole).
        delay_seconds: Wait so long before anything is passed back.
    """

    def __init__(self, port: int) -> None:
        self.silent = False
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
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RD)
            except OSError:
                continue

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
        with near, socket.create_connection(("127.0.0.1", self._target)) as far:
            self._open.append(near)
            while not self._stopped.is_set():
                ready, _, _ = select.select([near, far], [], [], 0.05)
                for side in ready:
                    try:
                        data = side.recv(65_536)
                        if not data:
                            return
                        if self.silent:
                            continue
                        if side is far and self.delay_seconds:
                            time.sleep(self.delay_seconds)
                        (near if side is far else far).sendall(data)
                    except OSError:
                        return


@contextmanager
def fault_proxy(port: int) -> Iterator[FaultProxy]:
    """A proxy in front of *port* for one test."""
    proxy = FaultProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
