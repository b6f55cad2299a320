"""A worker that works when it is woken, for a while, in the thread that wakes it: for tasks of any queue.

The same worker and the same shell as `engines/worker.py`; its threads stay for the next time, so that a task
starts none. Invariants: one thread at a time works, whoever else comes leaves word and goes; a shift ends
when nothing is due, or after its time, with nothing in hand but what could not be finished (which is left to
its leases). Explained in docs/how-to/use-celery.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Lock

from webhooks_core.engines.worker import STUCK_SECONDS, WorkerShell
from webhooks_core.worker.plan import Phase
from webhooks_core.worker.service import Worker

SHIFT_SECONDS = 10.0  # a queue's worker that is to stop waits for its tasks; other tasks get their turn


class Shift(WorkerShell):
    """Keep a worker, and wake it up.

    Args:
        worker: Decides everything; its policy says how many threads.
        line: Called at the beginning of a shift, in its thread; returns what breaks that thread's connection
            to the outbox, for a call that has not come back for `stuck_seconds`.
        shift_seconds: After so long a shift claims nothing more, and ends.
        stuck_seconds: How long a call may take.
        monotonic: Seconds for measuring; the worker's.
    """

    def __init__(
        self,
        worker: Worker,
        *,
        line: Callable[[], Callable[[], None]] | None = None,
        shift_seconds: float = SHIFT_SECONDS,
        stuck_seconds: float = STUCK_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(worker, stuck_seconds=stuck_seconds, monotonic=monotonic)
        self._line = line
        self._shift_seconds = shift_seconds
        self._is_started = False
        self._working = Lock()
        self._woken = Event()

    def wake(self) -> bool:
        """Work until nothing is due, or the shift is over; return whether rows that are due may be left.

        Where another thread is at it, that one looks again, and this call returns at once.
        """
        may_be_left = False
        self._woken.set()
        self.hint()
        while self._woken.is_set() and self._working.acquire(blocking=False):
            try:
                self._woken.clear()
                may_be_left = self._work()
            finally:
                self._working.release()
        return may_be_left

    def close(self) -> None:
        """End the threads; what they are sending is left to its leases."""
        self._end()

    def _work(self) -> bool:
        if self._line is not None:
            break_line = self._line()
            self._on_stuck = lambda _call: break_line()
        if not self._is_started:
            self._is_started = True
            self._start_threads()
        worker = self._worker
        worker.resume()
        worker.hint()
        self._loop(until_idle=True, until=self._monotonic() + self._shift_seconds)
        return worker.phase is not Phase.RUNNING
