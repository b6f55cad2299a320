"""A simulated endpoint: a receiver that is well, partly broken, or gone, behind its circuit breaker.

The breaker follows the contract §7: it opens at 5 failures within 120 s that are at least half of what ended
within them, stays open for 60 s, then lets one probe through, and doubles up to 10 minutes. A delivery that
fails is tried three times within 6 s, so that it ends 6 s after it began, and an outage shorter than that
costs nothing. What is refused while the breaker is open is no sample. The invariant: a receiver asks chance
for everything it does not know, and never a clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rollout.testing.worlds.chance import Chance

__all__ = ["FAST_TIER_SECONDS", "Clump", "Health", "Receiver"]

#: Attempts 2 and 3 follow after 2 s and 4 s (contract §6).
FAST_TIER_SECONDS = 6.0
_WINDOW_SECONDS, _MAX_FAILS = 120.0, 5
_OPEN_SECONDS, _MOST_OPEN_SECONDS = 60.0, 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a receiver is for a while.

    Args:
        success: Share of its deliveries that arrive.
        is_answering: Its failures are answers (5xx); otherwise nobody is there.
        clump: How many deliveries fail together, on average; 1 is one by one.
        is_shared: They are deliveries that follow on each other in the whole world, not at one receiver.
    """

    success: float = 0.96
    is_answering: bool = True
    clump: float = 1.0
    is_shared: bool = False


@dataclass(slots=True)
class Clump:
    """How many deliveries are still to fail because the one before them did."""

    left: int = 0


@dataclass(slots=True)
class Receiver:
    """One endpoint. `send` is called in order of time, seconds since the world began."""

    chance: Chance
    has_breaker: bool = True
    shared: Clump = field(default_factory=Clump)
    _own: Clump = field(default_factory=Clump)
    _fails: deque[float] = field(default_factory=deque)
    _ends: deque[float] = field(default_factory=deque)
    _open_until: float = 0.0
    _open_seconds: float = 0.0
    _pending: deque[tuple[float, str]] = field(default_factory=deque)

    @property
    def is_open(self) -> bool:
        """Return whether its breaker refuses, a probe at the end of the open time excepted."""
        return self._open_seconds > 0

    def send(self, at: float, health: Health) -> list[tuple[float, dict[str, int]]]:
        """Send one delivery at *at*; return what has ended since: (time, columns to add), in order."""
        ended = self.end(at)
        if self.is_open:
            return (
                ended + self._probe(at, health) if at >= self._open_until else [*ended, (at, {"refused": 1})]
            )
        if self._fails_now(health):
            outcome = "server_error" if health.is_answering else "connection_error"
            self._pending.append((at + FAST_TIER_SECONDS, outcome))
            return ended
        self._note(at, failed=False)
        return [*ended, (at, _OK)]

    def end(self, at: float) -> list[tuple[float, dict[str, int]]]:
        """Return the failures that have ended by *at*."""
        ended = []
        while self._pending and self._pending[0][0] <= at:
            when, outcome = self._pending.popleft()
            if self.is_open:
                ended.append((when, _REFUSED))  # its next attempt: it waits
                continue
            opened = self._note(when, failed=True)
            ended.append((when, {**_FAILED[outcome], **({"openings": 1} if opened else {})}))
        return ended

    def _probe(self, at: float, health: Health) -> list[tuple[float, dict[str, int]]]:
        if self._fails_now(health):
            self._open_seconds = min(2 * self._open_seconds, _MOST_OPEN_SECONDS)
            self._open_until = at + self._open_seconds
            return [(at, {"attempts": 1} if health.is_answering else {"attempts": 1, "unanswered": 1})]
        self._open_seconds = 0.0
        self._fails.clear()
        self._ends.clear()
        return [(at, _OK)]

    def _fails_now(self, health: Health) -> bool:
        clump = self.shared if health.is_shared else self._own
        if clump.left:
            clump.left -= 1
            return True
        # Only the first of a clump is asked: so seldom that all of them together are the share that fails.
        share = 1.0 - health.success
        failed = self.chance.happens(share / (health.clump - share * (health.clump - 1.0)))
        while failed and self.chance.happens(1.0 - 1.0 / health.clump):
            clump.left += 1
        return failed

    def _note(self, at: float, *, failed: bool) -> bool:
        """Remember an end; return whether it opened the breaker."""
        if not self.has_breaker:
            return False
        self._ends.append(at)
        if failed:
            self._fails.append(at)
        for times in (self._ends, self._fails):
            while times and times[0] <= at - _WINDOW_SECONDS:
                times.popleft()
        if not failed or len(self._fails) < _MAX_FAILS or 2 * len(self._fails) < len(self._ends):
            return False
        self._open_seconds = _OPEN_SECONDS
        self._open_until = at + _OPEN_SECONDS
        return True


_REFUSED = {"refused": 1}
# latency_28: 142 ms; dispatch_04: 1 to 2 ms.
_OK = {"ok": 1, "attempts": 1, "latency_28": 1, "dispatch_04": 1, "envelopes": 1}
_FAILED = {
    "server_error": {"failed_server_error": 1, "attempts": 3, "retried": 1, "met_5xx": 1},
    "connection_error": {"failed_connection_error": 1, "attempts": 3, "unanswered": 3, "retried": 1},
}
