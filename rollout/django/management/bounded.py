"""A call that may take so long and no longer, whatever the database or the resolver does.

For commands only, which are processes of their own: the call runs in a thread that is left behind where it
does not come back. Invariant: the caller gets an answer, the call's own error or `TookTooLong`, in its time.
Explained in docs/reference/commands.md.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from django.db import connections

__all__ = ["TookTooLong", "within"]

T = TypeVar("T")


class TookTooLong(Exception):
    """No answer in time. What was asked may still happen."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")


def within(seconds: float, call: Callable[[], T], *, alias: str) -> T:
    """Return what *call*, which uses the database *alias*, returns, or raise what it raises.

    Inside a transaction, and on a database that lives in this process's memory, it is called as it is:
    another thread would have another connection, and see another world. That is so in tests.

    Raises:
        TookTooLong: It did neither within *seconds*.
    """
    connection = connections[alias]
    if connection.in_atomic_block or getattr(connection, "is_in_memory_db", bool)():
        return call()
    back: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            back.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
            back.put((None, error))
        finally:
            connections.close_all()

    Thread(target=run, daemon=True).start()
    try:
        found, error = back.get(timeout=seconds)
    except Empty:
        raise TookTooLong(seconds) from None
    if error is not None:
        raise error
    return found  # type: ignore[return-value]  # it came back without an error
