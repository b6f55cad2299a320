"""Time passes when it is told to."""

from __future__ import annotations

import pytest

from rollout.errors import ConfigError
from rollout.testing import ManualClock


def test_it_stands_still_until_it_is_moved() -> None:
    """By `advance`, and by `sleep`, which remembers."""
    clock = ManualClock(100.0)

    assert (clock(), clock()) == (100.0, 100.0)
    clock.advance(1.5)
    clock.sleep(2)

    assert clock() == 103.5
    assert clock.slept == [2]
    assert repr(clock) == "ManualClock(103.5)"


def test_it_never_runs_backwards() -> None:
    """A negative number is refused."""
    with pytest.raises(ConfigError, match="seconds"):
        ManualClock().advance(-1)
