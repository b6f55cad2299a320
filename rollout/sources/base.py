"""The port every flag source satisfies. No reading happens here.

The invariant: `snapshot()` never raises and never blocks for long. What goes wrong is said in the
snapshot, and the flags in it stay the last good ones. `rollout.testing.FlagSourceContract` is the suite
that every source passes. Explained in docs/reference/flag-file.md.
"""

from __future__ import annotations

from typing import Protocol

from rollout.snapshot import Snapshot

__all__ = ["FlagSource"]


class FlagSource(Protocol):
    """Where flags come from."""

    def snapshot(self) -> Snapshot:
        """Return the flags in force: the same object again while nothing has changed.

        It refreshes itself by the cheapest look there is (a file: one `stat`). It is called from any
        thread and after a fork, at most once in the caller's interval, and never raises.
        """
        ...
