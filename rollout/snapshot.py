"""The flags of one moment, and how far they can be trusted.

The one value that a flag source hands over and the evaluator decides by. Nothing is read here. The
invariant: a snapshot never changes after it was handed over. Explained in docs/reference/flag-file.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from rollout.flags import Flag, FlagKey

__all__ = ["Listener", "Snapshot", "SourceStatus"]


class SourceStatus(StrEnum):
    """How far a snapshot can be trusted."""

    #: What is there was read and is in force.
    READY = "READY"
    #: What is there cannot be used; the last good flags are in force.
    STALE = "STALE"
    #: Nothing was ever read: every flag is off.
    ERROR = "ERROR"
    #: A lower version than seen before is there; the last good flags are in force and a person decides.
    STORE_WENT_BACK = "STORE_WENT_BACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The flags of one moment.

    Args:
        flags: By key. Never changed after it was handed over: a new state is a new mapping.
        version: The configuration's version, 0 or more; versions only grow.
        status: How far it can be trusted.
        problem: What is wrong, for a person; None when READY.
        origin: Where it came from, such as a path or `settings`.
    """

    flags: Mapping[FlagKey, Flag] = field(default_factory=dict)
    version: int = 0
    status: SourceStatus = SourceStatus.READY
    problem: str | None = None
    origin: str = ""

    def is_same(self, other: Snapshot) -> bool:
        """Whether *other* says the same: these very flags, trusted as far, with the same problem."""
        return self is other or (
            self.flags is other.flags
            and (self.version, self.status, self.problem) == (other.version, other.status, other.problem)
        )


class Listener(Protocol):
    """Hears of every state that was put in force and differs from the one before."""

    def __call__(self, before: Snapshot | None, after: Snapshot, /, *, problem: str | None) -> None:
        """Take notice; called on the thread that happened to refresh, so be quick. Raising is swallowed.

        Args:
            before: What was in force; None at the first reading.
            after: What is in force now; the same object where only the controls above it have changed.
            problem: What keeps the controls from being read, so that every flag is off; None: nothing.
        """
        ...
