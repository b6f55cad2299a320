"""The demo's reading of its log: what it prints is counted, never written down beforehand."""

from __future__ import annotations

import pytest

from loopback.logbook import breaker_state


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ((), "CLOSED"),
        (("OPENED: endpoint=default, failures=5, window=5s",), "OPEN"),
        (("OPENED: endpoint=default", "HALF_OPEN: endpoint=default"), "HALF_OPEN"),
        (("OPENED: endpoint=default", "HALF_OPEN: endpoint=default", "CLOSED: endpoint=default"), "CLOSED"),
        (("HALF_OPEN: endpoint=default", "OPEN again: endpoint=default, reason=probe failed"), "OPEN"),
    ],
)
def test_the_breaker_s_state_is_its_last_line(words: tuple[str, ...], state: str) -> None:
    """As the runbook's `grep "Circuit breaker" | tail -1` finds it; other lines do not matter."""
    lines = [f"2025-11-13 14:32:15,123 [INFO] Circuit breaker {word}" for word in words]

    assert breaker_state([*lines, "2025-11-13 14:32:15,123 [INFO] Received webhook: event=a"]) == state
