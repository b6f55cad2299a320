"""What a person does to a rollout in the admin: the same commands, by an actor that was authenticated.

Invariants: the kill's file comes first and needs no database; a refusal changes nothing and says what would
help; a start says what it would do before it is confirmed; nothing raises into the page. Explained in
docs/how-to/stop-everything.md and docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from django.db import Error as DatabaseError

from rollout import commands
from rollout.actor import Actor
from rollout.controller import step
from rollout.controls import KillState
from rollout.django import clearing, conf, driving, unreadable
from rollout.django.management import acting, queued, stopping
from rollout.django.management.held import Choice
from rollout.django.management.here import before_a_start
from rollout.django.management.kill_store import NoDatabase, others, stopper
from rollout.django.models import Rollout
from rollout.django.stage_rate import apply_rate
from rollout.django.store import DjangoRolloutStore
from rollout.django.unkilling import unkill
from rollout.errors import ConfigError, KillFileStuck, StoreConflict, TransitionError
from rollout.rollout_state import RolloutState
from rollout.sources.kill import KillFile, note
from rollout.sources.trip import Tripwire
from webhooks_core.django import conf as webhooks_conf
from webhooks_core.django.management import moving
from webhooks_core.django.management.picking import Refused

__all__ = ["HELD", "Form", "Said", "act"]

#: What may become of held deliveries, and the permission that the outbox's own page asks for it.
HELD = {
    Choice.KEEP.value: "",
    Choice.RELEASE.value: "webhooks.release_delivery",
    Choice.DROP.value: "webhooks.drop_delivery",
}


class Person(Protocol):
    """Whoever is logged in."""

    @property
    def pk(self) -> object:
        """Return the primary key."""
        ...

    def get_username(self) -> str:
        """Return the login name."""
        ...

    def has_perm(self, perm: str, /) -> bool:
        """Whether they have the permission *perm*."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What was filled in beside the act.

    Args:
        reason: Why; what lets units in, stops or lets go needs one.
        confirmed: Whether a start was confirmed, as `--yes` does.
        held: What becomes of held deliveries at a start: a key of `HELD`; empty where nothing was chosen.
    """

    reason: str = ""
    confirmed: bool = False
    held: str = ""


class Said(NamedTuple):
    """Whether it was done, and what to tell."""

    done: bool
    text: str


_SPOKEN: dict[str, Callable[[Actor, str], commands.Spoken]] = {
    "pause": lambda by, reason: commands.Pause(by=by, reason=reason),
    "resume": lambda by, reason: commands.Resume(by=by, reason=reason),
    "approve": lambda by, reason: commands.Approve(by=by, reason=reason),
    "roll_back": lambda by, reason: commands.RollBack(by=by, reason=reason),
}
_NEED_A_REASON = frozenset({"start", "roll_back", "kill", "unkill", "clear_trip"})


def act(name: str, person: Person, *, form: Form, picked: Sequence[Rollout]) -> Said:
    """Do *name* to the one rollout that is picked. Never raises what a rollout, file or database raises.

    Args:
        name: A key of the admin's actions.
        person: Who is logged in; the journal has the primary key, never a name or an address.
        form: What was filled in.
        picked: The rows that were ticked.
    """
    by = _actor(person)
    problem = _problem(name, reason=form.reason, picked=picked)
    if problem:
        return Said(done=False, text=f"{problem} Nothing was changed.")
    try:
        if name == "clear_trip":
            return _clear(by, person, form.reason)
        if name == "start":
            return _start(by, person, form)
        spoken = {"kill": _kill, "unkill": _unkill}.get(name)
        return _spoken(name, by, form.reason) if spoken is None else spoken(by, form.reason)
    except Refused as refusal:
        needs_held = refusal.answer.data.get("needs") == "--held"
        here = " Here: choose under “held deliveries”." if needs_held else ""
        return Said(done=False, text=f"{refusal.answer.lines[0]}{here}")
    except KillFileStuck as error:
        return Said(done=False, text=f"The file of this host: {error}.")
    except (ConfigError, TransitionError, StoreConflict) as error:
        return Said(done=False, text=f"{error}. Nothing was changed.")
    except DatabaseError as error:
        return Said(done=False, text=f"The database cannot be used: {type(error).__name__}.")


def _actor(person: Person) -> Actor:
    """Return who acts: the primary key, or the start of its SHA-256 where it is no id, as an address."""
    try:
        return Actor(name=f"user:{person.pk}", authenticated=True)
    except ConfigError:
        digest = hashlib.sha256(str(person.pk).encode(errors="backslashreplace")).hexdigest()
        return Actor(name=f"user:{digest[:16]}", authenticated=True)


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
    if name == "roll_back":
        store, runner, command = driving.store(), driving.runner(), commands.RollBack(by=by, reason=reason)
        state, known = unreadable.obeyed(command, store=store, flag=driving.driving().flag, runner=runner)
        apply_rate(state)
        return Said(done=True, text=_joined(_so_far(store, state), known))
    state = driving.runner().obey(_SPOKEN[name](by, reason)).state
    apply_rate(state)
    return Said(done=True, text=_where(state))


def _unkill(by: Actor, reason: str) -> Said:
    """Tell the rollout where it is killed, and remove this host's file, as the command does."""
    kill = KillFile(conf.current().kill_file)
    done = unkill(commands.Unkill(by=by, reason=reason), kill, is_kept=True)
    assert done.state is not None  # one is kept: there is a row to pick
    if done.stuck:
        return Said(done=False, text=f"STILL STOPPED on this host: {done.stuck}. {_where(done.state)}")
    return _unkilled(done.state, Tripwire(kill).state())


def _unkilled(state: RolloutState, trip: KillState) -> Said:
    """Say what an unkill has left as it was."""
    held = queued.held()
    told = (
        _where(state),
        f"KILLED AGAIN by {state.actor}: unkill once more." if state.killed else "",
        "Other hosts have files of their own.",
        f"{held} deliveries are held: a start asks what becomes of them." if held.number else "",
        f"STILL STOPPED: {trip.why}; clear the trip once it is mended." if trip.killed is not False else "",
        f"{waits}." if (waits := stopping.unfinished(driving.store(), state)) else "",
    )
    return Said(done=trip.killed is False and not state.killed, text=_joined(*told))


def _start(by: Actor, person: Person, form: Form) -> Said:
    needed = HELD.get(form.held, "")
    if needed and not person.has_perm(needed):
        text = f"To {form.held} held deliveries takes the permission {needed}. Nothing was changed."
        return Said(done=False, text=text)
    if not form.confirmed:
        return Said(done=False, text=_would_start(by, form.reason))
    options = {"reason": form.reason, "yes": True, "held": form.held or None, "rate": moving.PER_SECOND}
    return Said(done=True, text=" ".join(acting.start(by, options).lines))


def _would_start(by: Actor, reason: str) -> str:
    """Say what a start would do.

    Raises:
        TransitionError: It cannot be started from where it stands.
        ConfigError: There is no plan that can be read.
        Refused: A file stops this host.
    """
    warning = before_a_start()
    state, situation = driving.runner().look()
    made = step(state, commands.Start(by=by, reason=reason, confirm=True), situation)
    held = queued.held()
    told = (
        acting.first_stage(made.state, situation),
        warning,
        f"Look: {few}." if (few := situation.cohort_note()) else "",
        f"Look: {frozen}." if (frozen := situation.freeze()) else "",
        f"Held from before: {held}; choose what becomes of them." if held.number else "",
        "Nothing was changed: tick “confirmed” to begin.",
    )
    return _joined(*told)


def _kill(by: Actor, reason: str) -> Said:
    """Pull this host's file and tell the rollout; neither stands in the other's way."""
    stuck = ""
    try:
        line = note(by.name, reason, at=time.time())  # noqa: TID251 - a page is an edge
        KillFile(conf.current().kill_file).pull(line)
    except KillFileStuck as error:
        stuck = f" NOT STOPPED BY A FILE on this host: {error}."
    host = "" if stuck else " This host is stopped by its file."
    try:
        store, flag, runner = stopper()
    except NoDatabase as error:
        return Said(done=False, text=f"THE ROLLOUT WAS NOT TOLD: {type(error).__name__}.{host}{stuck}")
    command, told = commands.Kill(by=by, reason=reason), False
    try:
        state, known = unreadable.obeyed(command, store=store, flag=flag, runner=runner)
        own, told = f"{_joined(_so_far(store, state), known)}{stuck}", True
    except (ConfigError, StoreConflict, DatabaseError) as error:
        own = f"THE ROLLOUT WAS NOT TOLD: {type(error).__name__}.{host}{stuck}"
    beside = stopping.tell_others(command, lambda: others(store, flag), store=store)
    done = told and not stuck and not beside.failed
    return Said(done=done, text=_joined(own, *beside.lines(store)))


def _joined(*told: str) -> str:
    return " ".join(each for each in told if each)


def _so_far(store: DjangoRolloutStore, state: RolloutState) -> str:
    """Say who has stopped at this moment; the page says it again at each reload."""
    try:
        found = stopping.look(store, state)
    except DatabaseError as error:  # it is written; only who has heard of it cannot be read
        return f"{_where(state)} Who has stopped cannot be read: {type(error).__name__}."
    more = "" if found.found.is_complete else " Reload this page: it says who has stopped."
    return f"{found.lines()[0]}{more}"


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
    return f"{state.flag} is {state.state} at {state.ceiling_text}."
