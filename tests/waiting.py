"""Waiting for what happens in another process, or on a thread that is not ours: looked at often, not long."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 30.0


def until(
    holds: Callable[[], object],
    *,
    seconds: float = PATIENCE_SECONDS,
    or_else: Callable[[], object] = lambda: "nothing happened",
) -> None:
    """Wait for *holds*, looking often; fail after *seconds* with what *or_else* says."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, or_else()
        time.sleep(0.02)
