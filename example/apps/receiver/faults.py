"""Faults on demand, for rehearsals: what happens when a receiver is ill. Never where real events arrive.

A script is a list of answers for the next requests: a status (503, 400), or seconds of silence as
{"hang": 3.0} before the request is handled as usual. Each request uses up one; an empty script means health.
"""

from __future__ import annotations

import threading
import time
from collections import deque


class Faults:
    """The answers that the next requests will get instead of the usual one."""

    def __init__(self) -> None:
        self._script: deque[object] = deque()
        self._lock = threading.Lock()

    def plan(self, script: list[object]) -> None:
        """Replace what is left of the script by *script*."""
        with self._lock:
            self._script = deque(script)

    def next_status(self) -> int | None:
        """Use up one step: return the status to answer, or None to go on as usual (after a planned hang)."""
        with self._lock:
            step = self._script.popleft() if self._script else None
        if isinstance(step, dict):
            time.sleep(float(step["hang"]))
            return None
        return step if isinstance(step, int) else None
