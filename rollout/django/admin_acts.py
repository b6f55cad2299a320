"""What a person does to a rollout in the admin: the same commands, by an actor that was authenticated.

Invariants: the kill's file comes first and needs no database; a refusal changes nothing and says what would
help; nothing raises into the page. Explained in docs/how-to/stop-everything.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from django.db import Error as DatabaseError

from rollout import commands
from rollout.actor import Actor
from rollout.django import clearing, conf, driving
from rollout.django.management.kill_store import NoDatabase, stopper
from rollout.django.models import Rollout
from rollout.django.stage_rate import apply_rate
from rollout.errors import ConfigError, KillFileStuck, StoreConflict, TransitionError
from rollout.rollout_state import RolloutState
from rollout.sources.kill import KillFile
from webhooks_core.django import conf as webhooks_conf

__all__ = ["Said", "act"]


class Person(Protocol):
    """Whoever is logged in."""

    @property
    def pk(self) -> object:
        """Return the primary key."""
        ...

    def get_username(self) -> str:
        """Return the login name."""
        ...


class Said(NamedTuple):
    """Whether it was done, and what to tell."""

    done: bool
    text: str


_SPOKEN: dict[str, Callable[[Actor, str], commands.Spoken]] = {
    "pause": lambda by, reason: commands.Pause(by=by, reason=reason),
    "resume": lambda by, reason: commands.Resume(by=by, reason=reason),
    "approve": lambda by, reason: commands.Approve(by=by, reason=reason),
    "roll_back": lambda by, reason: commands.RollBack(by=by, reason=reason),
    "unkill": lambda by, reason: commands.Unkill(by=by, reason=reason),
}
_NEED_A_REASON = frozenset({"roll_back", "kill", "unkill", "clear_trip"})


def act(name: str, person: Person, *, reason: str, picked: Sequence[Rollout]) -> Said:
    """Do *name* to the one rollout that is picked. Never raises what a rollout, file or database raises.

    Args:
        name: A key of the admin's actions.
        person: Who is logged in; the journal has the primary key, never a name or an address.
        reason: Why; what stops or lets go needs one.
        picked: The rows that were ticked.
    """
    by = Actor(name=f"user:{person.pk}", authenticated=True)
    problem = _problem(name, reason=reason, picked=picked)
    if problem:
        return Said(done=False, text=f"{problem} Nothing was changed.")
    try:
        if name == "clear_trip":
            return _clear(by, person, reason)
        return _kill(by, reason) if name == "kill" else _spoken(name, by, reason)
    except KillFileStuck as error:
        return Said(done=False, text=f"The file of this host: {error}.")
    except (ConfigError, TransitionError, StoreConflict) as error:
        return Said(done=False, text=f"{error}. Nothing was changed.")
    except DatabaseError as error:
        return Said(done=False, text=f"The database cannot be used: {type(error).__name__}.")


def _problem(name: str, *, reason: str, picked: Sequence[Rollout]) -> str:
    """Return what keeps *name* from being done; empty where nothing does."""
    if name in _NEED_A_REASON and not reason:
        return "Give a reason: it is what the journal will be asked for."
    mine = (webhooks_conf.current().environment, conf.current().flag)
    others = [row for row in picked if (row.environment, row.flag) != mine]
    if len(picked) != 1 or others:
        return f"Pick the rollout of {mine[1]} in {mine[0]}: this process drives no other."
    return ""


def _spoken(name: str, by: Actor, reason: str) -> Said:
    if name == "unkill":
        KillFile(conf.current().kill_file).release()
    state = driving.runner().obey(_SPOKEN[name](by, reason)).state
    apply_rate(state)
    return Said(done=True, text=_where(state))


def _kill(by: Actor, reason: str) -> Said:
    """Pull this host's file and tell the rollout; neither stands in the other's way."""
    stuck = ""
    try:
        KillFile(conf.current().kill_file).pull(f"{by.name}: {' '.join(reason.split())}")
    except KillFileStuck as error:
        stuck = f" NOT STOPPED BY A FILE on this host: {error}."
    try:
        _, _, runner = stopper()
        state = runner.obey(commands.Kill(by=by, reason=reason)).state
    except (NoDatabase, ConfigError, StoreConflict, DatabaseError) as error:
        host = "" if stuck else " This host is stopped by its file."
        return Said(done=False, text=f"THE ROLLOUT WAS NOT TOLD: {type(error).__name__}.{host}{stuck}")
    return Said(done=not stuck, text=f"{_where(state)}{stuck}")


def _clear(by: Actor, person: Person, reason: str) -> Said:
    done = clearing.clear_trip(by=by, reason=reason, known_as=[person.get_username()])
    if not done.was_there:
        return Said(done=False, text="This host has no trip file. Other hosts have files of their own.")
    removed = "The trip file of this host is removed."
    if done.state is None:
        return Said(
            done=True, text=f"{removed} Without a plan there is no journal: the log has who, and why."
        )
    return Said(done=True, text=f"{removed} {_where(done.state)} A start begins again.")


def _where(state: RolloutState) -> str:
    ceiling = "no ceiling" if state.ceiling is None else f"{state.ceiling} %"
    return f"{state.flag} is {state.state} at {ceiling}."
