"""An object that is built when first asked for, once in each process.

Pools, connections and locks do not survive a fork, and settings may change under a test: both are one rule
here, *build again*. Invariant: importing anything builds nothing. Both apps' `wiring.py` and the way to
Redis hold what they build in one of these. Explained in docs/explanation/architecture.md.
"""

from __future__ import annotations

import threading  # noqa: TID251 - the composition roots' own lock
from collections.abc import Callable
from os import getpid
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Hold what *build* returns; build again in a child after a fork and after `forget`.

    Args:
        build: Called without arguments, by one thread at a time.
        close: Called with what was held when it is forgotten in the process that built it.
    """

    def __init__(self, build: Callable[[], T], *, close: Callable[[T], None] | None = None) -> None:
        self._build = build
        self._close = close
        self._held: tuple[int, T] | None = None
        self._lock = (getpid(), threading.Lock())

    def __call__(self) -> T:
        """Return the object of this process."""
        held = self._held
        if held is not None and held[0] == getpid():
            return held[1]
        with self._own_lock():
            held = self._held
            if held is None or held[0] != getpid():
                self._held = held = (getpid(), self._build())
            return held[1]

    def forget(self) -> None:
        """Let go of the object; the next call builds another one."""
        held, self._held = self._held, None
        if held is not None and held[0] == getpid() and self._close is not None:
            self._close(held[1])

    def _own_lock(self) -> threading.Lock:
        """Return a lock of this process: one that was held during a fork would never be released."""
        pid, lock = self._lock
        if pid != getpid():
            lock = threading.Lock()
            self._lock = (getpid(), lock)
        return lock
