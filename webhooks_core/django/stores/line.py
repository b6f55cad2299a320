"""A thread that asks the database for others, so that nobody waits for it longer than they want to.

It has a connection of its own: what it writes is in nobody's transaction. Invariants: `ask` returns or raises
within its time, whatever the database does; while the database is away nobody waits for it again and again;
a thread whose call never comes back is given up for another one; after a fork a child has a thread and a
connection of its own. Explained in docs/explanation/breaker.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from os import getpid
from queue import SimpleQueue
from threading import Event, Lock, Thread  # noqa: TID251 - the edge: it is one
from typing import Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections

from webhooks_core.django.outbox.database import interrupter
from webhooks_core.errors import StoreUnavailable

T = TypeVar("T")
AWAY_SECONDS = 1.0  # after a call that did not come back in time nobody asks for so long
GIVE_UP_SECONDS = 20.0  # a call that takes longer never comes back: as the worker's own watchdog has it


class _Question(Generic[T]):
    """One call: what is asked, and what came of it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.call = call
        self.is_left = False  # whoever asked has gone
        self.answered = Event()
        self.error: Exception | None = None
        self.answer: T | None = None

    def run(self) -> None:
        try:
            self.answer = self.call()
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            self.error = error
        self.answered.set()


class _Thread:
    """One thread that asks, with its questions and what it is at."""

    def __init__(self, alias: str, monotonic: Callable[[], float]) -> None:
        self.questions: SimpleQueue[_Question[object] | None] = SimpleQueue()
        self.busy_since: float | None = None
        self._alias = alias
        self._monotonic = monotonic
        self._interrupt: Callable[[], None] = _nothing
        self._thread = Thread(target=self._work, name=f"webhooks-database-{alias}", daemon=True)
        self._thread.start()

    def end(self, *, wait_seconds: float) -> None:
        """End it after the questions that it has, and wait a moment for that."""
        self.questions.put(None)
        self._thread.join(wait_seconds)

    def give_up(self) -> None:
        """Leave it to itself: it ends when its call does, which breaking its connection brings about."""
        self.questions.put(None)
        try:
            self._interrupt()
        except Exception:  # noqa: BLE001 - a connection that is just being closed; the thread is left anyway
            return

    def _work(self) -> None:
        connection = connections[self._alias]
        self._interrupt = interrupter(connection)
        while (question := self.questions.get()) is not None:
            if question.is_left:
                continue
            self.busy_since = self._monotonic()
            question.run()
            self.busy_since = None
            if question.error is not None:
                connection.close()
        connection.close()


def _nothing() -> None:
    """Interrupt nothing: there is no connection yet."""


class DatabaseLine:
    """Run calls in a thread of this process.

    Args:
        using: Alias of the database that the calls use.
        wait_seconds: How long `ask` waits (the contract §7: a store that is away costs at most 100 ms).
        give_up_seconds: After so long a call is supposed never to come back, and another thread begins.
        monotonic: Seconds for measuring.
    """

    def __init__(
        self,
        using: str = DEFAULT_DB_ALIAS,
        *,
        wait_seconds: float,
        give_up_seconds: float = GIVE_UP_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - a service's default
    ) -> None:
        self.alias = using
        self._wait_seconds = wait_seconds
        self._give_up_seconds = give_up_seconds
        self._monotonic = monotonic
        self._away_until = float("-inf")
        self._lock = Lock()
        self._thread: _Thread | None = None
        self._pid = 0

    def ask(self, call: Callable[[], T]) -> T:
        """Return what *call* returns.

        Raises:
            StoreUnavailable: It raised, or did not return in time (if it has begun, it may be carried out).
        """
        if self._monotonic() < self._away_until:
            raise StoreUnavailable("database", "it did not answer a moment ago")
        question: _Question[T] = _Question(call)
        thread = self._asking()
        thread.questions.put(question)  # type: ignore[arg-type]
        if not question.answered.wait(self._wait_seconds):
            question.is_left = True
            self._away_until = self._monotonic() + AWAY_SECONDS
            self._give_up(thread)
            raise StoreUnavailable("database", "it did not answer in time")
        if question.error is not None:
            self._away_until = self._monotonic() + AWAY_SECONDS
            raise StoreUnavailable("database", type(question.error).__name__) from question.error
        self._away_until = float("-inf")
        return question.answer  # type: ignore[return-value]

    def close(self) -> None:
        """End the thread and its connection; the next question begins another one."""
        thread, self._thread = self._thread, None
        if thread is not None and self._pid == getpid():
            thread.end(wait_seconds=self._wait_seconds)

    def _asking(self) -> _Thread:
        if self._pid != getpid():  # a lock that was held during a fork would never be released
            self._lock, self._pid, self._thread = Lock(), getpid(), None
        with self._lock:
            if self._thread is None:
                self._thread = _Thread(self.alias, self._monotonic)
            return self._thread

    def _give_up(self, thread: _Thread) -> None:
        """Let another thread begin with the next question, where *thread* is at one for too long."""
        since = thread.busy_since
        if since is None or self._monotonic() - since < self._give_up_seconds:
            return
        with self._lock:
            if self._thread is not thread:
                return
            self._thread = None
        thread.give_up()
