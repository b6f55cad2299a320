"""Who is next: the turn of a row within its endpoint, and the dealing of one claim over endpoints.

Pure. A row that may be sent now is *ready* and has a turn, a small number given once, when it becomes ready.
Claims take the ready rows of an endpoint by `(turn, row id)`. Invariant: whatever a unit has queued, another
unit's next row is at most one row of each unit away from the head; and no row waits for ever, because nothing
joins the turn that is being served. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def turn_for(*, last_of_lane: int | None, head: int | None) -> int:
    """Return the turn of a row that becomes ready.

    Args:
        last_of_lane: The highest turn among the ready rows of its lane, or None where there is none. A lane
            is one endpoint, one unit, and whether the row was claimed before: a retry does not queue behind
            its own unit's burst, and ten thousand retries do not stand before everybody else's events.
        head: The lowest turn among the ready rows of its endpoint, or None where there is none.
    """
    if last_of_lane is not None:
        return last_of_lane + 1
    return 0 if head is None else head + 1


def dealt(limit: int, hands: Iterable[Iterable[T]]) -> list[T]:
    """Take the first of each hand, then the second of each, … until *limit* are taken or none is left."""
    taken: list[T] = []
    open_hands = [iter(hand) for hand in hands]
    while open_hands and len(taken) < limit:
        still_open = []
        for hand in open_hands:
            for item in hand:
                taken.append(item)
                still_open.append(hand)
                break
            if len(taken) == limit:
                return taken
        open_hands = still_open
    return taken
