"""Whether a loop runs in this thread."""

from __future__ import annotations

import asyncio

from webhooks_core import event_loop


def test_a_loop_is_seen_inside_it_and_nowhere_else() -> None:
    """Not before, inside, not in a thread beside it, not after."""

    async def inside() -> tuple[bool, bool]:
        return event_loop.is_running(), await asyncio.to_thread(event_loop.is_running)

    seen = (event_loop.is_running(), asyncio.run(inside()), event_loop.is_running())

    assert seen == (False, (True, False), False)
