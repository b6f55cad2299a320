"""What nobody asks for any more is removed: minutes of evidence, senders that are long gone.

Called by the runner after a pass, about once an hour and process. Invariants: what the guard has not folded
yet stays, and so does what it would read again for the longest stage and its longest window; the highest
epoch that a sender has told stays, since it shows that a store went back; a pass is never spoiled by it.
Explained in docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rollout import evidence_text
from rollout.django import driving
from rollout.evidence import DAY_MINUTES, minute_of
from rollout.rollout_state import GUARDED, RolloutState
from webhooks_core.per_process import PerProcess

__all__ = ["EVERY_SECONDS", "Pruner", "needed_from", "prune"]

#: How often a process that drives a rollout looks for what may go.
EVERY_SECONDS = 3_600.0
#: A sender that was not seen for so long is gone.
SENDER_SECONDS = 86_400.0
#: So many rows at a time, so that no statement takes long; the next pass goes on.
MOST_ROWS = 5_000


def needed_from(state: RolloutState, *, now: float) -> int:
    """Return the first minute (since the epoch) whose evidence may still be read.

    A window is a day at the most, and the guard that lost its memory reads the whole stage again.

    Args:
        state: Where the rollout stands.
        now: Epoch seconds, the store's clock.
    """
    longest = max((stage.bake_seconds for stage in state.plan.stages), default=0) if state.plan else 0
    first = minute_of(now - longest)
    if state.state in GUARDED:
        kept = evidence_text.loads(state.progress.evidence) if state.progress.evidence else None
        first = min(first, minute_of(state.stage_entered_at) if kept is None else kept.until)
    return first - DAY_MINUTES


class Pruner:
    """Remove it, not more often than once an hour.

    Args:
        monotonic: Seconds for measuring.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = float("-inf")

    def __call__(self, state: RolloutState, *, now: float) -> str:
        """Remove what nobody asks for; return what went wrong, by its type. Never raises.

        Args:
            state: Where the rollout stands.
            now: Epoch seconds, the store's clock.
        """
        if self._monotonic() - self._at < EVERY_SECONDS:
            return ""
        self._at = self._monotonic()
        try:
            is_done = _prune(state, now=now)
        except Exception as error:  # noqa: BLE001 - it only takes room; said, and tried again in an hour
            return type(error).__name__
        if not is_done:
            self._at = float("-inf")
        return ""


def _prune(state: RolloutState, *, now: float) -> bool:
    """Remove it; return whether nothing is left."""
    found = driving.driving()
    if found.store is None or found.evidence is None:
        return True
    found.store.prune_senders(seen_before=now - SENDER_SECONDS)
    removed = found.evidence.prune(before_minute=needed_from(state, now=now), most=MOST_ROWS)
    return removed < MOST_ROWS


_pruner = PerProcess(Pruner)


def prune(state: RolloutState, *, now: float) -> str:
    """Remove it in this process; see `Pruner`."""
    return _pruner()(state, now=now)
