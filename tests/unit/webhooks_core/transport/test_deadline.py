"""One end for a whole attempt."""

from __future__ import annotations

import pytest

from rollout.testing import ManualClock
from webhooks_core.errors import TimedOut
from webhooks_core.transport.deadline import Deadline


def test_what_is_left_shrinks_with_the_clock(clock: ManualClock) -> None:
    """Each step gets what the steps before it have left."""
    deadline = Deadline(10, monotonic=clock)

    clock.advance(4)

    assert deadline.remaining("send") == pytest.approx(6)
    assert deadline.elapsed() == pytest.approx(4)


@pytest.mark.parametrize("late", [10, 10.001, 99])
def test_no_step_begins_once_nothing_is_left(clock: ManualClock, late: float) -> None:
    """A socket time-out of 0 would mean non-blocking, a negative one an error: neither is ever asked for."""
    deadline = Deadline(10, monotonic=clock)
    clock.advance(late)

    with pytest.raises(TimedOut, match="no whole answer within 10 s") as caught:
        deadline.remaining("body")

    assert caught.value.phase == "body"
