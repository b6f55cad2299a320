"""Ask something that may hang, and wait for it only so long: a few threads that nobody has to stop.

A call that does not come back keeps its thread; when all are kept so, the next question fails at once, until
one comes back. The invariants: the caller waits at most its time, whatever the call does; a call whose caller
has gone is not begun; a process has so many threads and no more, whoever asks, and new ones after a fork; one
that cannot be started is tried again at the next question. Threads are daemons: a call that hangs does not
keep the process from ending. Explained in docs/how-to/gate-by-another-provider.md.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar, cast

__all__ = ["MOST", "Asker", "Crew", "Hanging"]

T = TypeVar("T")

#: How many calls may be under way at once in a process.
MOST = 8


class Hanging(Exception):
    """No answer in time."""


class _Call:
    """One question, and what became of it."""

    __slots__ = ("abandoned", "answer", "context", "done", "error", "function")

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        # The caller's context variables: whom a request is for travels by them.
        self.context = copy_context()
        self.answer: object = None
        self.error: BaseException | None = None
        self.abandoned = False
        # A bare lock as a latch: an event costs five times as much.
        self.done = threading.Lock()
        self.done.acquire()

    def run(self) -> None:
        try:
            self.answer = self.context.run(self.function)
        except BaseException as error:  # noqa: BLE001 (told where the caller waits; the thread goes on)
            self.error = error


class Crew:
    """Threads that ask, so many at most; the first is started by the first question.

    Args:
        most: How many; 1 or more.
    """

    __slots__ = ("_calls", "_lock", "_lost", "_most", "_running", "_threads", "_waiting")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._running: set[_Call] = set()
        self._threads = 0
        self._waiting = 0
        # Running calls whose caller no longer waits.
        self._lost = 0

    def take(self, call: _Call) -> None:
        """Hand *call* to a thread, a new one where all are busy.

        Raises:
            Hanging: Every thread is lost, or there is none and none can be started.
        """
        with self._lock:
            if self._lost >= self._most:
                raise Hanging(f"{self._most} calls before have not come back")
            self._waiting += 1
            starts = self._threads < self._most and len(self._running) + self._waiting > self._threads
            self._threads += starts
        if starts:
            self._start()
        self._calls.put(call)

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, name="rollout-asking", daemon=True).start()
        except (RuntimeError, MemoryError):  # the system's limit, for now
            with self._lock:
                self._threads -= 1
                if not self._threads:
                    self._waiting -= 1
                    raise Hanging("no thread can be started") from None

    def leave(self, call: _Call) -> None:
        """Stop waiting for *call*."""
        with self._lock:
            call.abandoned = True
            self._lost += call in self._running

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            with self._lock:
                self._waiting -= 1
                if call.abandoned:
                    continue
                self._running.add(call)
            call.run()
            with self._lock:
                self._running.discard(call)
                self._lost -= call.abandoned
            # Last: whoever asks again at once finds this thread free, and starts no other.
            call.done.release()


class Asker:
    """Ask, and wait so long and no longer. Starts nothing until it is asked.

    Args:
        timeout_seconds: How long to wait for an answer; above 0.
        crew: Whose threads ask; None: those that the whole process shares.
    """

    __slots__ = ("_crew", "_timeout_seconds")

    def __init__(self, timeout_seconds: float, *, crew: Crew | None = None) -> None:
        self._timeout_seconds = timeout_seconds
        self._crew = crew

    def __call__(self, function: Callable[[], T]) -> T:
        """Return what *function* returns; it runs in another thread, with this one's context variables.

        Raises:
            Hanging: No answer in time, all threads wait for calls that do not come back, or none can be
                started.
            Exception: What *function* raises.
        """
        crew = _shared if self._crew is None else self._crew
        call = _Call(function)
        crew.take(call)
        if not call.done.acquire(timeout=self._timeout_seconds):
            crew.leave(call)
            raise Hanging(f"no answer within {self._timeout_seconds:g} s")
        if isinstance(call.error, Exception):
            raise call.error
        if call.error is not None:
            raise RuntimeError(f"{type(call.error).__name__} in the call") from None
        return cast("T", call.answer)


_shared = Crew()


def _renew() -> None:
    """Give a forked child a crew of its own: the threads stayed behind, and their lock may be held."""
    global _shared  # noqa: PLW0603 (one per process, replaced in one assignment)
    _shared = Crew()


if hasattr(os, "register_at_fork"):  # pragma: no branch (Windows does not fork)
    os.register_at_fork(after_in_child=_renew)
