"""A rollout store in the memory of one process: for tests, and for one process that may forget.

The invariant: it keeps the texts that a database would keep, so that what cannot be written and read back
fails here too. Explained in docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rollout import state_text
from rollout.errors import StoreConflict
from rollout.flags import FlagKey
from rollout.fleet import Sender
from rollout.journal import JournalEntry
from rollout.rollout_state import Cause, RolloutState
from rollout.stores.base import MAX_LEASE_SECONDS, NOTHING_SEEN, Fence, check_swap

__all__ = ["MemoryRolloutStore"]


class MemoryRolloutStore:
    """Keep rollouts in memory, safe for many threads.

    Args:
        clock: The store's clock: epoch seconds, UTC.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[FlagKey, str] = {}
        self._journals: dict[FlagKey, list[str]] = {}
        self._fences: dict[FlagKey, Fence] = {}
        self._senders: dict[str, tuple[float, float, dict[FlagKey, tuple[int, float]], str]] = {}
        self._seen: dict[str, dict[FlagKey, int]] = {}

    def now(self) -> float:
        """Return the store's time."""
        return self._clock()

    def load(self, flag: FlagKey) -> RolloutState:
        """Return the state of *flag*."""
        text = self._states.get(flag)
        return RolloutState(flag=flag) if text is None else state_text.loads(text)

    def swap(
        self,
        state: RolloutState,
        entry: JournalEntry | None = None,
        *,
        expected_version: int,
        fence: Fence | None = None,
    ) -> None:
        """Write *state* and *entry* together, on top of *expected_version*."""
        with self._lock:
            held = self._fences.get(state.flag)
            if fence is not None and (held is None or held.token != fence.token):
                raise StoreConflict(f"fence {fence.token}", f"fence {0 if held is None else held.token}")
            check_swap(self.load(state.flag), state, entry, expected_version=expected_version)
            if entry is not None:
                self._journals.setdefault(state.flag, []).append(entry.dumps())
                if entry.cause == Cause.STORE_ACCEPTED.value:
                    self._seen.clear()
            self._states[state.flag] = state_text.dumps(state)

    def journal(
        self, flag: FlagKey, *, after_version: int = 0, limit: int | None = None
    ) -> Sequence[JournalEntry]:
        """Return the entries of *flag*, oldest first."""
        entries = [JournalEntry.loads(text) for text in self._journals.get(flag, ())]
        return [entry for entry in entries if entry.version > after_version][:limit]

    def take_fence(self, flag: FlagKey, owner: str, *, lease_seconds: float) -> Fence | None:
        """Take or renew the fence of *flag*, or return None while another holds it."""
        with self._lock:
            now, held = self._clock(), self._fences.get(flag)
            is_held = held is not None and now < held.expires_at <= now + MAX_LEASE_SECONDS
            if held is not None and is_held and held.owner != owner:
                return None
            token = 1 if held is None else held.token + (not is_held)
            fence = Fence(flag=flag, owner=owner, token=token, expires_at=now + lease_seconds)
            self._fences[flag] = fence
            return fence

    def give_back(self, fence: Fence) -> None:
        """Let another have the fence at once."""
        with self._lock:
            held = self._fences.get(fence.flag)
            if held is not None and held.token == fence.token:
                self._fences[fence.flag] = replace(held, expires_at=self._clock())

    def beat(
        self,
        name: str,
        epochs: Mapping[FlagKey, int],
        *,
        lease_seconds: float,
        stopped_by: str = "",
        seen: Mapping[FlagKey, int] = NOTHING_SEEN,
    ) -> None:
        """Write the heartbeat of a sender."""
        with self._lock:
            now = self._clock()
            told = dict(self._senders[name][2]) if name in self._senders else {}
            for flag, epoch in epochs.items():
                if epoch > told.get(flag, (0, 0.0))[0]:
                    told[flag] = (epoch, now)
            self._senders[name] = (now, lease_seconds, told, stopped_by)
            self._seen[name] = dict(seen)

    def senders(self, flag: FlagKey) -> Sequence[Sender]:
        """Return every heartbeat row, by name."""
        found = []
        for name, (seen_at, lease_seconds, told, stopped_by) in sorted(self._senders.items()):
            epoch, acknowledged_at = told.get(flag, (0, 0.0))
            found.append(
                Sender(
                    name=name,
                    epoch=epoch,
                    acknowledged_at=acknowledged_at,
                    seen_at=seen_at,
                    lease_seconds=lease_seconds,
                    stopped_by=stopped_by,
                    seen_version=self._seen.get(name, {}).get(flag, 0),
                )
            )
        return found
