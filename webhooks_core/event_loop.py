"""Whether the calling thread is inside a running event loop: nothing may wait there.

No loop is made and none is entered. Explained in docs/explanation/architecture.md.
"""

from __future__ import annotations

import asyncio


def is_running() -> bool:
    """Return whether a loop runs in this thread right now."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
