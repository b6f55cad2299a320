"""The wall-clock end of one attempt, asked before every step that can block.

Only that: no socket and no thread. The invariant: whoever blocks does so for at most `remaining()`, so that
the sum of all steps, however a receiver slices them, ends on time. Explained in
docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

from collections.abc import Callable

from webhooks_core.errors import TimedOut


class Deadline:
    """A moment on a monotonic clock, set once for a whole attempt.

    Args:
        seconds: How long the attempt may take from now on; above 0.
        monotonic: A clock that never goes back, in seconds.
    """

    __slots__ = ("_begun", "_monotonic", "_seconds")

    def __init__(self, seconds: float, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._seconds = seconds
        self._begun = monotonic()

    def remaining(self, phase: str) -> float:
        """Return the seconds that are left, always above 0.

        Args:
            phase: What is about to block, for the error: see `TransportError`.

        Raises:
            TimedOut: Nothing is left.
        """
        left = self._begun + self._seconds - self._monotonic()
        if left <= 0:
            raise self.passed(phase)
        return left

    def elapsed(self) -> float:
        """Return the seconds since the attempt began."""
        return self._monotonic() - self._begun

    def passed(self, phase: str) -> TimedOut:
        """Return the error that says that the time ran out during *phase*."""
        return TimedOut(f"no whole answer within {self._seconds:g} s", phase=phase)
