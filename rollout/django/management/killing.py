"""`manage.py rollout kill` and `unkill`: this host's file, then the rollout in the database, in bounded time.

Invariants: the file comes first and needs nothing but a file system; nothing here asks whether other settings
are good, since a bad one must not disable the switch; whatever fails is told, and never undoes what worked.
`unkill` goes the other way: what lets more through comes last.
Explained in docs/how-to/stop-everything.md.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from django.db import Error as DatabaseError

from rollout.actor import Actor
from rollout.commands import Kill, Unkill
from rollout.django import conf
from rollout.django.management import held
from rollout.django.management.bounded import TookTooLong
from rollout.django.management.kill_store import NoDatabase, others, stopper
from rollout.django.management.stopping import Fleet, add_wait, told, unfinished
from rollout.django.management.words import (
    actor,
    add_words,
    away,
    fit_actor,
    fit_seconds,
    found_store,
    refusal,
)
from rollout.django.unkilling import Unkilled, unkill
from rollout.errors import KillFileStuck, RolloutError, StoreConflict, TransitionError
from rollout.rollout_state import LATCHED, RolloutState
from rollout.sources.kill import KillFile, note
from rollout.sources.trip import Tripwire
from webhooks_core.django.answer import Answer, Exit

__all__ = ["add"]

_ELSEWHERE = (
    "Other hosts are not reached by a file: where the database is away their workers wait by themselves"
    " within 2 s, else run `rolloutctl kill` on each."
)
_GO_ON = "Other hosts GO ON SENDING: the database is there, and they obey it. Run `rolloutctl kill` on each."
_MAY_GO_ON = (
    "Other hosts MAY GO ON SENDING: whether the database answers them is not known."
    " Run `rolloutctl kill` on each."
)


def add(nouns: Any) -> None:
    """Add both commands."""
    about = "stop everything: this host's kill file, and every sender through the database"
    kill = nouns.add_parser("kill", help=about, description=about)
    add_words(kill, needs_reason=True)
    add_wait(kill, read=fit_seconds)
    kill.set_defaults(answer=kill_all)
    about = "put the kill switch back; what was rolled back stays so until a start"
    unkill = nouns.add_parser("unkill", help=about, description=about)
    add_words(unkill, needs_reason=True)
    held.add_held(unkill)
    unkill.add_argument("--yes", action="store_true", help="where --held drop gives up more than one")
    unkill.set_defaults(answer=unkill_all)


def kill_all(options: dict[str, Any]) -> Answer:
    """Pull the file, then give the kill to the database; never refuse."""
    by, reason, kill = fit_actor(options), options["reason"], kill_file()
    stuck = _pull(kill, by=by, reason=reason)
    lines = [f"NOT STOPPED BY A FILE: {stuck}." if stuck else f"This host is stopped: {kill.state().why}."]
    data: dict[str, object] = {"kill_file": {"path": kill.path, "killed": not stuck}, "actor": by.name}
    data |= {"database": False, "problem": ""}
    fleet = None
    try:
        store, flag, runner = stopper()
        fleet = Fleet(
            store=store,
            flag=flag,
            runner=runner,
            seconds=options["timeout"],
            waits=not options["no_wait"],
            others=lambda: others(store, flag),
        )
        stopped = fleet.stop(Kill(by=by, reason=reason))
    except NoDatabase as none:
        data["problem"] = none.problem
        code = Exit.FAILED if stuck else Exit.UNREADABLE if none.is_trouble else Exit.DONE
        return Answer(code=code, lines=[*lines, f"{none.problem}.", _ELSEWHERE], data=data, is_report=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, the file is there, and that is said
        problem, lost = _problem(error)
        if fleet is not None and (fleet.beside.made or not isinstance(error, DatabaseError)):
            lines += fleet.beside.lines(fleet.store)
        code = Exit.FAILED if stuck else Exit.UNREADABLE
        return Answer(code=code, lines=[*lines, *lost], data={**data, "problem": problem}, is_report=True)
    answer = told(stopped, options, lines=lines, data={**data, "database": True})
    code = Exit.FAILED if stuck else answer.code
    return Answer(code=code, lines=answer.lines, data=answer.data, is_report=True)


def _problem(error: Exception) -> tuple[str, tuple[str, str]]:
    """Return what kept the database from being told, and what that means for other hosts."""
    if isinstance(error, TookTooLong | DatabaseError):
        problem = away(error) if isinstance(error, DatabaseError) else str(error)
        return problem, (f"THE DATABASE WAS NOT REACHED: {problem}.", _ELSEWHERE)
    problem, is_ours = type(error).__name__, isinstance(error, RolloutError)
    elsewhere = _GO_ON if is_ours else _MAY_GO_ON  # ours are raised of what the database has answered
    return problem, (f"THE ROLLOUT IN THE DATABASE WAS NOT STOPPED: {problem}.", elsewhere)


def unkill_all(options: dict[str, Any]) -> Answer:
    """Tell the database, then remove the file; what stops this host besides is told."""
    by, kill = actor(options), kill_file()
    if not options["reason"].strip():
        raise refusal("--reason must not be empty: it is what the journal will be asked for")
    is_kept = conf.current().state_database is not None
    wanted = held.ask(options, may_release=not is_kept)
    if is_kept and wanted.choice is held.Choice.RELEASE:
        raise refusal("--held release would hold them again at once: nobody is let in before `rollout start`,"
                      " which takes the same word; nothing was changed")  # fmt: skip
    done = _unkilled(Unkill(by=by, reason=options["reason"]), kill, is_kept=is_kept)
    lines, data = _what_goes_on(done.state), {} if done.state is None else _as_dict(done.state)
    data |= {"kill_file": {"path": kill.path, "was_there": done.was_there}, "actor": by.name}
    if done.stuck:
        problem = f"STILL STOPPED: {done.stuck}"
        return Answer(code=Exit.FAILED, lines=[f"{problem}.", *lines], data={**data, "error": problem})
    removed = "removed" if done.was_there else "not there"
    first = f"The kill file {kill.path!a} is {removed}. Other hosts have files of their own."
    closed = kill.closed_note()
    dealt = held.deal_with(wanted, options, reason=options["reason"])
    trip = Tripwire(kill).state()
    still = f"STILL STOPPED: {trip.why}." if trip.killed else ""
    lines = [each for each in (first, closed, *lines, *dealt.lines, still) if each]
    data |= {"held": dealt.as_dict(), "trip": {"killed": trip.killed, "why": trip.why}}
    code = Exit.KILLED if trip.killed or (done.state is not None and done.state.killed) else dealt.code
    return Answer(code=code, lines=lines, data=data, is_report=True)


def _unkilled(command: Unkill, kill: KillFile, *, is_kept: bool) -> Unkilled:
    """Tell the database and remove the file.

    Raises:
        Refused: The rollout could not be told; nothing was changed.
        ConfigError: Its row cannot be read, or a setting is bad; nothing was changed.
    """
    try:
        return unkill(command, kill, is_kept=is_kept)
    except TransitionError as error:
        raise refusal(f"{error}; nothing was changed") from error
    except StoreConflict as error:
        problem = f"{error}: others write at the same time; nothing was changed"
        raise refusal(problem, code=Exit.FAILED) from error
    except DatabaseError as error:
        problem = f"{away(error)}; the kill file was left as it is: `rolloutctl unkill` needs no database"
        raise refusal(problem, code=Exit.UNREADABLE) from error


def _what_goes_on(state: RolloutState | None) -> list[str]:
    """Say where the rollout stands after an unkill, and what a person does next."""
    if state is None:
        return []
    if state.killed:
        return [f"{state.flag} IS KILLED AGAIN (by {state.actor}): unkill once more."]
    after = "`rollout start` begins again" if state.state in LATCHED else ""
    with suppress(DatabaseError):  # what was done is told all the same
        after = unfinished(found_store(), state) or after
    return [f"{state.flag} is {state.state}, and not killed" + (f"; {after}." if after else ".")]


def _as_dict(state: RolloutState) -> dict[str, object]:
    return {"flag": state.flag, "state": state.state.value, "killed": state.killed}


def kill_file() -> KillFile:
    """Return the file that every process of this host with these settings looks at."""
    return KillFile(conf.current().kill_file)


def _pull(kill: KillFile, *, by: Actor, reason: str) -> str:
    """Make the file; return why it could not be made, or nothing."""
    try:
        kill.pull(note(by.name, reason, at=time.time()))
    except KillFileStuck as error:
        return str(error)
    return ""
