"""A thread that asks the database for others, so that nobody waits for it longer than they want to.

It has a connection of its own: what it writes is in nobody's transaction. Invariants: `ask` returns or raises
within its time, whatever the database does; while the database is away nobody waits for it again and again;
after a fork a child has a thread and a connection of its own. Explained in docs/explanation/breaker.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from os import getpid
from queue import SimpleQueue
from threading import Event, Lock, Thread  # noqa: TID251 - the edge: it is one
from typing import Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections

from webhooks_core.errors import StoreUnavailable

T = TypeVar("T")
AWAY_SECONDS = 1.0  # after a call that did not come back in time nobody asks for so long


class _Question(Generic[T]):
    """One call: what is asked, and what came of it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.call = call
        self.answered = Event()
        self.error: Exception | None = None
        self.answer: T | None = None

    def run(self) -> None:
        try:
            self.answer = self.call()
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            self.error = error
        self.answered.set()


class DatabaseLine:
    """Run calls in a thread of this process.

    Args:
        using: Alias of the database that the calls use.
        wait_seconds: How long `ask` waits (the contract §7: a store that is away costs at most 100 ms).
        monotonic: Seconds for measuring.
    """

    def __init__(
        self,
        using: str = DEFAULT_DB_ALIAS,
        *,
        wait_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - a service's default
    ) -> None:
        self.alias = using
        self._wait_seconds = wait_seconds
        self._monotonic = monotonic
        self._away_until = float("-inf")
        self._lock = Lock()
        self._queue: SimpleQueue[_Question[object] | None] | None = None
        self._thread: Thread | None = None
        self._pid = 0

    def ask(self, call: Callable[[], T]) -> T:
        """Return what *call* returns.

        Raises:
            StoreUnavailable: It raised, or did not return in time (it may still be carried out).
        """
        if self._monotonic() < self._away_until:
            raise StoreUnavailable("database", "it did not answer a moment ago")
        question: _Question[T] = _Question(call)
        self._questions().put(question)  # type: ignore[arg-type]
        if not question.answered.wait(self._wait_seconds):
            self._away_until = self._monotonic() + AWAY_SECONDS
            raise StoreUnavailable("database", "it did not answer in time")
        if question.error is not None:
            self._away_until = self._monotonic() + AWAY_SECONDS
            raise StoreUnavailable("database", type(question.error).__name__) from question.error
        self._away_until = float("-inf")
        return question.answer  # type: ignore[return-value]

    def close(self) -> None:
        """End the thread and its connection; the next question begins another one."""
        thread, queue = self._thread, self._queue
        self._queue = self._thread = None
        if queue is not None and self._pid == getpid():
            queue.put(None)
            if thread is not None:
                thread.join(self._wait_seconds)

    def _questions(self) -> SimpleQueue[_Question[object] | None]:
        if self._pid != getpid():  # a lock that was held during a fork would never be released
            self._lock, self._pid, self._queue = Lock(), getpid(), None
        with self._lock:
            if self._queue is None:
                self._queue = SimpleQueue()
                name = f"webhooks-database-{self.alias}"
                self._thread = Thread(target=self._work, args=(self._queue,), name=name, daemon=True)
                self._thread.start()
            return self._queue

    def _work(self, questions: SimpleQueue[_Question[object] | None]) -> None:
        while (question := questions.get()) is not None:
            question.run()
            if question.error is not None:
                connections[self.alias].close()
        connections[self.alias].close()
