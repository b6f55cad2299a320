"""The port of the runner: where states, journals, fences and heartbeats are kept.

No reading happens here. The invariants: state and journal entry are written together or not at all, and only
on top of the version that the writer read; nothing changes or removes a journal entry; all moments are of
the store's one clock. `rollout.testing.RolloutStoreContract` is the suite that every store passes. Explained
in docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from rollout.errors import StoreConflict
from rollout.flags import FlagKey
from rollout.fleet import Sender
from rollout.journal import JournalEntry
from rollout.rollout_state import RolloutState

__all__ = ["MAX_LEASE_SECONDS", "NOTHING_SEEN", "Fence", "RolloutStore", "check_swap"]

#: For how long a fence may be taken at most.
MAX_LEASE_SECONDS = 600.0
#: What a sender tells as seen where its store has not gone back.
NOTHING_SEEN: Mapping[FlagKey, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Leave to be the one runner of a flag.

    Args:
        flag: The flag's key.
        owner: Who holds it, such as `web-1/4711`.
        token: Grows with each new holder. A write that shows an older one is refused.
        expires_at: When it can be taken by somebody else; epoch seconds, the store's clock.
    """

    flag: FlagKey
    owner: str
    token: int
    expires_at: float


class RolloutStore(Protocol):
    """Where rollouts are kept. Any method may raise what its technology raises when it is away."""

    def now(self) -> float:
        """Return the store's time: epoch seconds, UTC. The one clock of leases, due times and bake times."""
        ...

    def load(self, flag: FlagKey) -> RolloutState:
        """Return the state of *flag*; `RolloutState(flag=flag)` where none was ever written.

        It must not come from a replica.

        Raises:
            ConfigError: What is kept is no state.
        """
        ...

    def swap(
        self,
        state: RolloutState,
        entry: JournalEntry | None = None,
        *,
        expected_version: int,
        fence: Fence | None = None,
    ) -> None:
        """Write *state* on top of *expected_version*, and *entry* with it, in one transaction.

        With an entry of the cause `STORE_ACCEPTED` it also forgets what senders have told as *seen*, of every
        flag: a person accepts the whole store.

        Args:
            state: The next state. `check_swap` says what fits.
            entry: The journal entry of the change; None where only progress is written.
            expected_version: The version that `load` gave.
            fence: The runner's; None for a person's command.

        Raises:
            StoreConflict: Somebody else wrote first, or holds the fence now. Nothing was written.
        """
        ...

    def journal(
        self, flag: FlagKey, *, after_version: int = 0, limit: int | None = None
    ) -> Sequence[JournalEntry]:
        """Return the entries of *flag* above *after_version*, oldest first, at most *limit*."""
        ...

    def take_fence(self, flag: FlagKey, owner: str, *, lease_seconds: float) -> Fence | None:
        """Take or renew the fence of *flag* for *owner*, or return None while another holds it.

        Renewing keeps the token; taking one that ran out, was given back or was another's gives a higher one.
        One that is held for more than `MAX_LEASE_SECONDS` from now ran out too: the store's clock went back.

        Args:
            flag: Whose fence.
            owner: Who takes it, one name for each runner.
            lease_seconds: For how long; at most `MAX_LEASE_SECONDS`.
        """
        ...

    def give_back(self, fence: Fence) -> None:
        """Let another have the fence at once. One that is not held any more is left alone."""
        ...

    def beat(
        self,
        name: str,
        epochs: Mapping[FlagKey, int],
        *,
        lease_seconds: float,
        stopped_by: str = "",
        seen: Mapping[FlagKey, int] = NOTHING_SEEN,
    ) -> None:
        """Write the heartbeat of a sender: which epoch of each flag it obeys, and which file stops its host.

        A sender promises to start no attempt once it could not beat for *lease_seconds*, to refuse an epoch
        lower than it has obeyed, and to tell every flag that it gates. A lower epoch than was told before by
        the same name is kept as the higher one.

        Args:
            name: The sender's.
            epochs: By flag.
            lease_seconds: 0 or more; 0: it starts no attempt until it has beaten again.
            stopped_by: The file; empty: none.
            seen: Of each flag the version that it has seen, while it waits because this store lacks a
                decision that it has obeyed. Told anew by each heartbeat.
        """
        ...

    def senders(self, flag: FlagKey) -> Sequence[Sender]:
        """Return every heartbeat row, by name; a sender that never told of *flag* has epoch 0."""
        ...


def check_swap(
    found: RolloutState,
    state: RolloutState,
    entry: JournalEntry | None,
    *,
    expected_version: int,
) -> None:
    """Refuse a write that does not fit what is kept. Every store asks it inside its transaction.

    Args:
        found: What is kept now, locked.
        state: What is to be written.
        entry: The entry to be written with it.
        expected_version: What the writer went by.

    Raises:
        StoreConflict: Another version is kept; the new version is not above it; the entry does not continue
            the journal; or state and entry are not of one change.
    """
    if found.version != expected_version:
        raise StoreConflict(f"version {expected_version}", f"version {found.version}")
    if state.version <= found.version:
        raise StoreConflict(f"a version above {found.version}", f"version {state.version}")
    if entry is None:
        if state.head != found.head:
            raise StoreConflict("the journal's head as it was", "another head, and no entry")
    elif (entry.previous, entry.hash, entry.version) != (found.head, state.head, state.version):
        raise StoreConflict("an entry that continues the journal", f"one of version {entry.version}")
