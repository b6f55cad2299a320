"""Threads around a worker: the shell that keeps `Worker` stepping and its attempts running.

One thread, the one that calls `run`, owns the worker and the outbox's connection; the others attempt. They
meet in two queues. No decision is made here. Invariants: nothing but `begin` and `attempt` runs in the other
threads; a signal handler only counts and wakes; when `run` has returned, no attempt is started any more.
Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event, Thread

from webhooks_core.engines.signals import stopping_on_signals
from webhooks_core.outbox.base import Settled
from webhooks_core.worker.desk import Job
from webhooks_core.worker.events import OutboxStuck, WorkerStarted, WorkerStopped
from webhooks_core.worker.link import Call
from webhooks_core.worker.service import Worker

LONGEST_WAIT_SECONDS = 1.0  # a step now and then, whatever was planned: clocks are set, machines sleep
STUCK_SECONDS = 20.0  # a call of the outbox that takes longer is told; with the look below within 30 s
LOOK_SECONDS = 1.0
PLENTY = 4  # jobs for each thread, of which none is begun: more than they are through with in a moment
GATHER_SECONDS = 0.003  # a moment; a settlement may wait for others for 20 ms

Listen = Callable[[Callable[[], None], Event], None]
_Back = tuple[Job, Settled | None]


class WorkerShell:
    """Run a worker with threads until it is drained or stopped.

    Args:
        worker: Decides everything; its policy says how many threads.
        on_stuck: Called, from a thread of its own, with a call of the outbox that has not come back for
            `stuck_seconds`: break its connection, so that it raises and the worker can recover.
        stuck_seconds: How long a call may take.
        listen: Run in a thread of its own with what to call when there may be new rows, and an event that is
            set when it is to return; it never raises.
        monotonic: Seconds for measuring; the worker's.
    """

    def __init__(
        self,
        worker: Worker,
        *,
        on_stuck: Callable[[Call], None] | None = None,
        stuck_seconds: float = STUCK_SECONDS,
        listen: Listen | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker = worker
        self._on_stuck = on_stuck
        self._listen = listen
        self._stuck_seconds = stuck_seconds
        self._monotonic = monotonic
        self._todo: SimpleQueue[Job | None] = SimpleQueue()
        self._back: SimpleQueue[_Back | None] = SimpleQueue()
        self._asked_to_stop = 0
        self._ended = Event()

    def run(self, *, until_idle: bool = False, is_done: Callable[[], bool] | None = None) -> int:
        """Work until somebody asks to stop; return how many deliveries were left in hand.

        Args:
            until_idle: End when nothing is in hand and nothing is due (`--once`).
            is_done: Asked, in the calling thread, when that is so: the worker goes on while it returns False
                (`--drain`).
        """
        worker = self._worker
        self._start_threads()
        worker.tell(WorkerStarted(worker=worker.name, threads=worker.policy.threads))
        try:
            self._loop(until_idle=until_idle, is_done=is_done)
        finally:
            self._end()
            worker.tell(WorkerStopped(worker=worker.name, left=worker.left))
        return worker.left

    def hint(self) -> None:
        """Say that there are new rows. From any thread or signal handler; it never blocks."""
        self._back.put(None)

    def stop(self) -> None:
        """Ask to stop: once, what is under way is finished; twice, it is left to its leases."""
        self._asked_to_stop += 1
        self._back.put(None)

    @contextmanager
    def handling_signals(self) -> Iterator[WorkerShell]:
        """Stop on SIGTERM and SIGINT while inside, where this is the main thread."""
        with stopping_on_signals(self.stop):
            yield self

    def _start_threads(self) -> None:
        threads = [Thread(target=self._attempt, daemon=True) for _ in range(self._worker.policy.threads)]
        threads.append(Thread(target=self._watch, daemon=True))
        if self._listen is not None:
            threads.append(Thread(target=self._listen, args=(self.hint, self._ended), daemon=True))
        for thread in threads:
            thread.start()

    def _end(self) -> None:
        """Stop the worker, and have its threads end when they are done with what they do."""
        self._worker.stop()
        self._ended.set()
        for _ in range(self._worker.policy.threads):
            self._todo.put(None)

    def _loop(
        self, *, until_idle: bool, is_done: Callable[[], bool] | None = None, until: float = math.inf
    ) -> None:
        worker = self._worker
        while True:
            if self._asked_to_stop:
                (worker.drain if self._asked_to_stop == 1 else worker.stop)()
            elif self._monotonic() >= until:
                worker.drain()
            if worker.is_finished():
                return
            wake_at = worker.step()
            for job in worker.hand_out():
                self._todo.put(job)
            if until_idle and worker.is_idle and (is_done is None or is_done()):
                return
            self._note(wait=min(LONGEST_WAIT_SECONDS, wake_at - self._monotonic()))

    def _note(self, *, wait: float) -> None:
        """Wait for something to happen, at most *wait* seconds, and note all that has.

        While the threads have plenty to do, what comes back may come together: fewer steps, and the threads
        share the interpreter with nobody meanwhile.
        """
        try:
            back = self._back.get(timeout=wait) if wait > 0 else self._back.get_nowait()
            if self._todo.qsize() >= PLENTY * self._worker.policy.threads:
                time.sleep(GATHER_SECONDS)
            while True:
                if back is None:
                    self._worker.hint()
                else:
                    self._worker.came_back(*back)
                back = self._back.get_nowait()
        except Empty:
            return

    def _attempt(self) -> None:
        while (job := self._todo.get()) is not None:
            self._back.put((job, self._worker.attempt(job) if self._worker.begin(job) else None))

    def _watch(self) -> None:
        told: Call | None = None
        while not self._ended.wait(min(LOOK_SECONDS, self._stuck_seconds)):
            call = self._worker.link.call
            if call is None or call == told or self._monotonic() - call.since < self._stuck_seconds:
                continue
            told = call
            seconds = self._monotonic() - call.since
            self._worker.tell(
                OutboxStuck(worker=self._worker.name, operation=call.operation, seconds=seconds)
            )
            if self._on_stuck is not None:
                self._on_stuck(call)
