"""A clock that moves only when it is told to. No real time passes here.

It stands in for `clock`, `monotonic` and `sleep` wherever a service takes them. Explained in
docs/how-to/change-a-percentage.md.
"""

from __future__ import annotations

from rollout.errors import ConfigError


class ManualClock:
    """Tell the time a test set, and let it pass on demand.

    Args:
        start: The first answer, in seconds. Which epoch that counts from is the caller's business.
    """

    __slots__ = ("now", "slept")

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the present moment in seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass. Time runs forwards only: a negative number is refused."""
        if seconds < 0:
            raise ConfigError("seconds", f"must be 0 or more, got {seconds}")
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass and remember that they were slept, in `slept`."""
        self.advance(seconds)
        self.slept.append(seconds)

    def __repr__(self) -> str:
        return f"ManualClock({self.now!r})"
