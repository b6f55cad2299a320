"""Clear a trip: a person other than the one whose rollout it was says that what tripped is mended.

One door for the admin and the command line. Invariants: the rollback is written before the trip can be
cleared; the clearing is in the journal, and without a plan in the log, before the file goes; whoever last let
units in cannot clear alone; clearing lets nothing through. Explained in docs/how-to/clear-a-trip.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rollout.actor import MACHINE, Actor, clean_reason
from rollout.commands import ClearTrip
from rollout.django import conf, driving, tripping, wiring
from rollout.django.flag_rows import Moved
from rollout.errors import ConfigError
from rollout.events import TripCleared, emit
from rollout.journal import JournalEntry
from rollout.observers.log import LogObserver
from rollout.rollout_state import Cause, RolloutState
from rollout.sources.kill import KillFile
from rollout.sources.trip import Trip, Tripwire

__all__ = ["Cleared", "clear_trip", "let_in_by", "tripwire"]

# What lets units in, or lets them stay in.
_LETTING_IN = frozenset(
    each.value
    for each in (
        *(Cause.START, Cause.APPROVED, Cause.ADVANCED, Cause.RESUMED),
        *(Cause.SET, Cause.REPLANNED, Cause.STORE_ACCEPTED),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What was cleared.

    Args:
        trips: What the file said.
        was_there: Whether there was a file.
        state: Where the rollout stands; None where none is kept in a database.
    """

    trips: tuple[Trip, ...]
    was_there: bool
    state: RolloutState | None


def tripwire() -> Tripwire:
    """Return the tripwire of this host, by the settings in force, good or bad."""
    return Tripwire(KillFile(conf.current().kill_file))


def let_in_by(entries: Iterable[JournalEntry]) -> str:
    """Return who last let units in, by *entries*, oldest first; empty where nobody did."""
    found = [each.actor for each in entries if _lets_in(each) and each.actor != MACHINE.name]
    return found[-1] if found else ""


def _lets_in(entry: JournalEntry) -> bool:
    if entry.cause != Cause.FLAG_CHANGED.value:
        return entry.cause in _LETTING_IN
    moved = Moved.told(entry.reason)
    return moved is None or not moved.lowers


def clear_trip(*, by: Actor, reason: str, known_as: Iterable[str] = ()) -> Cleared:
    """Write into journal and log that the trip is cleared, then remove this host's trip file.

    Args:
        by: Who clears. Not who last let units in.
        reason: What was mended; not empty.
        known_as: Other names of the same person, such as the login name.

    Raises:
        ConfigError: No reason, or the same person, or settings by which the journal cannot be found.
        KillFileStuck: The journal says that it is cleared, and the file could not be removed: still stopped.
        Exception: What the database raises when it is away; nothing was cleared then.
    """
    reason, wire, state = clean_reason(reason), tripwire(), None
    if not reason:
        raise ConfigError("reason", "must not be empty: say what was mended")
    if by.name == MACHINE.name:
        raise ConfigError("actor", f"{MACHINE.name!r} is the machine's own name; say who you are")
    trips = wire.trips()
    if wire.state().killed:
        if conf.current().state_database is not None:
            state = _written(by, reason, names={by.name, *known_as})
        _tell(by, reason, trips)
    was_there = wire.clear()
    wiring.built().switches.state()  # this process's latch goes with the file
    return Cleared(trips=trips, was_there=was_there, state=state)


def _tell(by: Actor, reason: str, trips: Sequence[Trip]) -> None:
    first = trips[0] if trips else None
    cleared = TripCleared(
        flag=conf.current().flag,
        actor=by.name,
        authenticated=by.authenticated,
        reason=reason,
        found="" if first is None else f"{first.kind}:{first.place}",
    )
    emit(LogObserver(), cleared)


def _written(by: Actor, reason: str, *, names: set[str]) -> RolloutState:
    store, flag = driving.store(), driving.driving().flag
    tripping.report()  # the rollback first: with the file gone nobody would tell of it any more
    other = let_in_by(store.journal(flag))
    if other.casefold() in {name.casefold() for name in names}:
        raise ConfigError(
            "actor", f"{other!r} let the units in that tripped: another person clears, having looked"
        )
    return driving.runner().obey(ClearTrip(by=by, reason=f"trip cleared: {reason}")).state
