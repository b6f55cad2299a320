"""One virtual clock and a heap of what happens when: the whole world of a run, in one thread.

Invariant: two events of the same moment happen in the order in which they were planned; nothing here looks at
the machine's clock, at a hash or at chance.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

Action = Callable[[], None]


class Loop:
    """Run actions in the order of their moments. `now` is true time, seconds since the epoch."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.steps = 0
        self._heap: list[tuple[float, int, Action]] = []
        self._planned = 0

    def at(self, when: float, action: Action) -> None:
        """Plan *action*; a moment in the past is now."""
        self._planned += 1
        heapq.heappush(self._heap, (max(when, self.now), self._planned, action))

    def later(self, seconds: float, action: Action) -> None:
        """Plan *action* for so many seconds from now."""
        self.at(self.now + seconds, action)

    def run(self, *, until: float, stop: Callable[[], bool] | None = None) -> None:
        """Let time pass to *until*, or to the event after which *stop* says so."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, action = heapq.heappop(self._heap)
            self.steps += 1
            action()
            if stop is not None and stop():
                return
        self.now = max(self.now, until)
