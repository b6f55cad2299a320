"""Every rollout store passes the one suite."""

from __future__ import annotations

from rollout.stores.base import RolloutStore
from rollout.stores.memory import MemoryRolloutStore
from rollout.testing import ManualClock, RolloutStoreContract


class TestMemoryRolloutStore(RolloutStoreContract):
    """The store in memory."""

    def make_store(self, clock: ManualClock) -> RolloutStore:
        """Build one that takes the clock for its own."""
        return MemoryRolloutStore(clock=clock)
