"""A process that ends with the one that started it: no orphan, whatever happened to the parent."""

from __future__ import annotations

import os
import sys
import threading


def end_with_parent() -> None:
    """End this process at once when its standard input closes: whoever held the other end is gone."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
