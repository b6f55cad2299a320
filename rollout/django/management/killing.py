"""`manage.py rollout kill` and `unkill`: this host's file, then the rollout in the database, in bounded time.

Invariants: the file comes first and needs nothing but a file system; nothing here asks whether other settings
are good, since a bad one must not disable the switch; whatever fails is told, and never undoes what worked.
Explained in docs/how-to/stop-everything.md.
"""

from __future__ import annotations

import platform
import time
from typing import Any

from django.db import Error as DatabaseError

from rollout.actor import Actor
from rollout.commands import Kill, Unkill
from rollout.django import conf
from rollout.django.management import held
from rollout.django.management.bounded import TookTooLong
from rollout.django.management.kill_store import NoDatabase, stopper
from rollout.django.management.stopping import Fleet, add_wait, told, unfinished
from rollout.django.management.words import (
    actor,
    add_words,
    away,
    fit_actor,
    found_runner,
    found_store,
    moment_text,
    refusal,
)
from rollout.errors import KillFileStuck
from rollout.rollout_state import LATCHED
from rollout.sources.kill import KillFile
from rollout.sources.trip import Tripwire
from webhooks_core.django.answer import Answer, Exit

__all__ = ["add"]

_ELSEWHERE = (
    "Other hosts are not reached by a file: where the database is away their workers wait by themselves"
    " within 2 s, else run `rolloutctl kill` on each."
)


def add(nouns: Any) -> None:
    """Add both commands."""
    about = "stop everything: this host's kill file, and every sender through the database"
    kill = nouns.add_parser("kill", help=about, description=about)
    add_words(kill, needs_reason=True)
    add_wait(kill)
    kill.set_defaults(answer=kill_all)
    about = "put the kill switch back; what was rolled back stays so until a start"
    unkill = nouns.add_parser("unkill", help=about, description=about)
    add_words(unkill, needs_reason=True)
    held.add_held(unkill)
    unkill.set_defaults(answer=unkill_all)


def kill_all(options: dict[str, Any]) -> Answer:
    """Pull the file, then give the kill to the database; never refuse."""
    by, reason, kill = fit_actor(options), options["reason"], kill_file()
    stuck = _pull(kill, by=by, reason=reason)
    lines = [f"NOT STOPPED BY A FILE: {stuck}." if stuck else f"This host is stopped: {kill.state().why}."]
    data: dict[str, object] = {"kill_file": {"path": kill.path, "killed": not stuck}, "actor": by.name}
    data |= {"database": False, "problem": ""}
    try:
        store, flag, runner = stopper()
        fleet = Fleet(
            store=store, flag=flag, runner=runner, seconds=options["timeout"], waits=not options["no_wait"]
        )
        stopped = fleet.stop(Kill(by=by, reason=reason))
    except NoDatabase as none:
        data["problem"] = none.problem
        code = Exit.FAILED if stuck else Exit.UNREADABLE if none.is_trouble else Exit.DONE
        return Answer(code=code, lines=[*lines, f"{none.problem}.", _ELSEWHERE], data=data, is_report=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, the file is there, and that is said
        problem = str(error) if isinstance(error, TookTooLong) else _problem(error)
        lines += [f"THE DATABASE WAS NOT REACHED: {problem}.", _ELSEWHERE]
        code = Exit.FAILED if stuck else Exit.UNREADABLE
        return Answer(code=code, lines=lines, data={**data, "problem": problem}, is_report=True)
    answer = told(stopped, options, lines=lines, data={**data, "database": True})
    code = Exit.FAILED if stuck else answer.code
    return Answer(code=code, lines=answer.lines, data=answer.data, is_report=True)


def _problem(error: Exception) -> str:
    return away(error) if isinstance(error, DatabaseError) else type(error).__name__


def unkill_all(options: dict[str, Any]) -> Answer:
    """Remove the file, then tell the database; what stops this host besides is told."""
    by, kill = actor(options), kill_file()
    if not options["reason"].strip():
        raise refusal("--reason must not be empty: it is what the journal will be asked for")
    is_kept = conf.current().state_database is not None
    wanted = held.ask(options)
    if is_kept and wanted.choice is held.Choice.RELEASE:
        raise refusal("--held release would hold them again at once: nobody is let in before `rollout start`,"
                      " which takes the same word; nothing was changed")  # fmt: skip
    runner = found_runner() if is_kept else None
    try:
        was_there = kill.release()
    except KillFileStuck as error:
        raise refusal(f"STILL STOPPED: {error}", code=Exit.FAILED) from error
    removed = "removed" if was_there else "not there"
    lines = [f"The kill file {kill.path!a} is {removed}. Other hosts have files of their own."]
    data: dict[str, object] = {"kill_file": {"path": kill.path, "was_there": was_there}, "actor": by.name}
    if runner is not None:
        state, _ = runner.look()
        if state.killed:
            state = runner.obey(Unkill(by=by, reason=options["reason"])).state
        after = "`rollout start` begins again" if state.state in LATCHED else ""
        after = unfinished(found_store(), state) or after
        lines.append(f"{state.flag} is {state.state}, and not killed" + (f"; {after}." if after else "."))
        data |= {"flag": state.flag, "state": state.state.value, "killed": state.killed}
    dealt = held.deal_with(wanted, options, reason=options["reason"])
    trip = Tripwire(kill).state()
    lines += [*dealt.lines, *([f"STILL STOPPED: {trip.why}."] if trip.killed else [])]
    data |= {"held": dealt.as_dict(), "trip": {"killed": trip.killed, "why": trip.why}}
    return Answer(code=Exit.KILLED if trip.killed else Exit.DONE, lines=lines, data=data, is_report=True)


def kill_file() -> KillFile:
    """Return the file that every process of this host with these settings looks at."""
    return KillFile(conf.current().kill_file)


def _pull(kill: KillFile, *, by: Actor, reason: str) -> str:
    """Make the file; return why it could not be made, or nothing."""
    at = moment_text(time.time())
    try:
        kill.pull(f"{at} {by.name}@{platform.node() or 'host'}: {' '.join(reason.split())}")
    except KillFileStuck as error:
        return str(error)
    return ""
