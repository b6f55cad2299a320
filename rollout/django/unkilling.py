"""Put the kill switch back: the rollout first, this host's file last. What the command and the admin share.

Invariant: what lets more through comes last, so that whatever fails before leaves this host stopped. A runner
that saw the file in between, and killed the rollout again by it, is answered. Explained in
docs/how-to/stop-everything.md.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from rollout.commands import Unkill
from rollout.django import driving
from rollout.errors import KillFileStuck
from rollout.rollout_state import RolloutState
from rollout.runner import KILL_FILE
from rollout.sources.kill import KillFile

__all__ = ["Unkilled", "unkill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unkilled:
    """What an unkill came to.

    Args:
        state: Where the rollout stands; None where none is kept in a database.
        was_there: Whether there was a file.
        stuck: Why the file could not be removed: this host is still stopped; empty: it is gone.
    """

    state: RolloutState | None
    was_there: bool
    stuck: str = ""


def unkill(command: Unkill, kill: KillFile, *, is_kept: bool) -> Unkilled:
    """Tell the rollout, where it is killed, and then remove the file *kill*.

    Args:
        command: By whom, and why.
        kill: This host's file.
        is_kept: Whether a rollout is kept in a database.

    Raises:
        TransitionError: The rollout cannot follow. As with all of these, nothing was changed.
        ConfigError: Bad settings, or a row that cannot be read.
        StoreConflict: Others wrote first again and again.
        DatabaseError: What the database raises.
    """
    state = _told(command) if is_kept else None
    try:
        was_there = kill.release()
    except KillFileStuck as error:
        return Unkilled(state=state, was_there=True, stuck=str(error))
    if is_kept and was_there:
        with suppress(Exception):  # the file is gone, and how the rollout stands is told as it was last seen
            state = _loaded()
            if state.killed and state.actor == KILL_FILE.name:
                state = _told(command)
    return Unkilled(state=state, was_there=was_there)


def _told(command: Unkill) -> RolloutState:
    state = _loaded()
    return driving.runner().obey(command).state if state.killed else state


def _loaded() -> RolloutState:
    return driving.store().load(driving.driving().flag)
