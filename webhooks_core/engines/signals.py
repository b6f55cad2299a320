"""Ending a long-running process politely: what SIGTERM and SIGINT do while it works.

Invariants: a handler only passes the word on; only the main thread takes signals, as Python has it, and what
was there before is put back. Explained in docs/how-to/run-the-worker.md.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType


@contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call *stop* on SIGTERM and SIGINT while inside, where this is the main thread; elsewhere do nothing.

    Args:
        stop: Must not block: it runs between two instructions of whatever is under way.
    """
    if current_thread() is not main_thread():
        yield
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
