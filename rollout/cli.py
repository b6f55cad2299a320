"""`rolloutctl`: the kill switch of this host from a shell, with nothing else working; and a plan judged.

Needs a Python and this package: no Django, no settings, no database, no cache, no network. Invariants: what
it says it has looked for; a command that did not do what it was asked for ends with another code than 0.
Every command and exit code is in docs/reference/commands.md.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rollout.errors import ConfigError, KillFileStuck
from rollout.sources.kill import DEFAULT_PATH, VARIABLE, KillFile, note
from rollout.sources.trip import Tripwire

__all__ = ["main", "parser"]

DONE, FAILED, REFUSED, KILLED = 0, 1, 2, 5
MAX_REASON_CHARACTERS = 255
ELSEWHERE = (
    "Other hosts are not reached by this command. Where the database answers, `manage.py rollout kill`"
    " reaches them within a second; where it does not, their workers wait by themselves within two."
)


class Said(NamedTuple):
    """The end of a command: exit code, lines for a person, facts for a program."""

    code: int
    lines: tuple[str, ...]
    facts: Mapping[str, object]


def main(
    arguments: Sequence[str] | None = None,
    *,
    clock: Callable[[], float] = time.time,
    user: Callable[[], str] = getpass.getuser,
) -> int:
    """Run one command and return its exit code; with bad arguments, argparse ends the process with 2."""
    options = parser().parse_args(arguments)
    if options.verb == "plan":
        return _print(_lint(options.plan), as_json=options.json)
    kill = KillFile(options.file or None)
    relative = options.file and not os.path.isabs(options.file)
    problem = f"--file must be an absolute path: {options.file!a} is none" if relative else kill.problem
    if problem:
        said = _nowhere(problem, verb=options.verb, killed=None if relative else True)
    elif options.verb == "status":
        said = _status(kill)
    elif not options.reason.strip() or len(options.reason) > MAX_REASON_CHARACTERS:
        problem = f"--reason must be 1 to {MAX_REASON_CHARACTERS} characters: somebody will ask"
        said = Said(REFUSED, (problem,), {"error": problem})
    elif options.verb == "kill":
        said = _kill(kill, line=note(_actor(user), options.reason, at=clock()))
    else:
        said = _unkill(kill)
    return _print(said, as_json=options.json)


def parser() -> argparse.ArgumentParser:
    """Return what reads the arguments."""
    tree = argparse.ArgumentParser(
        prog="rolloutctl", description="The kill switch of this host, with nothing else working."
    )
    verbs = tree.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, about in (
        ("kill", "stop every send of this host before its next attempt"),
        ("unkill", "remove the kill file"),
        ("status", "whether this host is stopped, and by what"),
    ):
        verb = verbs.add_parser(name, help=about, description=about)
        verb.add_argument(
            "--file",
            nargs="?",
            metavar="PATH",
            help=f"the kill file, where neither {VARIABLE} nor {DEFAULT_PATH} is it",
        )
        verb.add_argument("--json", action="store_true", help="one JSON object instead of text")
        if name != "status":
            verb.add_argument("--reason", required=True, help="why; it is kept in the file")
    about = "judge a plan in a file"
    plans = verbs.add_parser("plan", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    about = "whether a plan is one, and what looks wrong with it"
    check = plans.add_parser("lint", help=about, description=about)
    check.add_argument("plan", metavar="FILE", help="JSON or TOML, with the keys of a plan")
    check.add_argument("--json", action="store_true", help="one JSON object instead of text")
    return tree


def _nowhere(problem: str, *, verb: str, killed: bool | None) -> Said:
    """Refuse a path by which the processes of this host would not find what this command made.

    Args:
        problem: What is wrong with it.
        verb: What was asked for.
        killed: Whether a process with that path counts as killed; None: no process has it.
    """
    first = {"kill": "NOT STOPPED", "unkill": "NOTHING REMOVED", "status": "NOT KNOWN"}[verb]
    lines = (f"{first}. {problem}.", "Name the kill file by its whole path, from / on.")
    return Said(FAILED, lines, {"killed": killed, "error": problem})


def _lint(path: str) -> Said:
    from rollout.plan_lint import lint  # Not above: the kill switch loads as little as it can.
    from rollout.sources.plan_file import read_plan

    try:
        plan = read_plan(path, flag="plan")
    except ConfigError as error:
        return Said(FAILED, (str(error),), {"plan": path, "error": str(error), "concerns": []})
    concerns = [str(each) for each in lint(plan)]
    count = f"to look at: {len(concerns)}" if concerns else "nothing looks wrong"
    last = f"{path}: stages: {len(plan.stages)}, {count}."
    return Said(DONE, (*concerns, last), {"plan": path, "error": "", "concerns": concerns})


def _actor(user: Callable[[], str]) -> str:
    try:
        return user()
    except Exception:  # noqa: BLE001 (a user without a name must be able to stop everything, too)
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def _kill(kill: KillFile, *, line: str) -> Said:
    try:
        kill.pull(line)
    except KillFileStuck as error:
        lines = (f"NOT STOPPED. {error}", "Try `sudo`, or stop the workers themselves.")
        return Said(FAILED, lines, {**_facts(kill), "error": str(error)})
    why = kill.state().why
    first = f"Stopped: {why}. Every process of this host whose kill file it is looks there first."
    return Said(DONE, (first, ELSEWHERE), _facts(kill))


def _unkill(kill: KillFile) -> Said:
    try:
        was_there = kill.release()
    except KillFileStuck as error:
        return Said(FAILED, (f"STILL STOPPED. {error}",), {**_facts(kill), "error": str(error)})
    first = f"The kill file {kill.path!a} is {'removed' if was_there else 'not there'}."
    rest = _status(kill)
    return Said(rest.code, (first, *rest.lines), {**rest.facts, "was_there": was_there})


def _status(kill: KillFile) -> Said:
    facts = _facts(kill)
    if facts["killed"]:
        return Said(KILLED, (f"Stopped: {facts['why']}.",), facts)
    first = f"Not stopped on this host: neither {kill.path!a} nor {Tripwire(kill).path!a} is there."
    rest = "Other hosts and other switches were not asked: `manage.py rollout status`."
    closed = kill.closed_note()
    return Said(DONE, (first, *([closed] if closed else []), rest), facts | {"note": closed})


def _facts(kill: KillFile) -> dict[str, object]:
    tripwire = Tripwire(kill)
    by_file, by_trip = kill.state(), tripwire.state()
    return {
        "killed": by_file.killed or by_trip.killed,
        "kill_file": {"path": kill.path, "killed": by_file.killed},
        "trip_file": {"path": tripwire.path, "killed": by_trip.killed, "trips": len(tripwire.trips())},
        "why": "; ".join(state.why for state in (by_file, by_trip) if state.killed),
    }


def _print(said: Said, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(f"{json.dumps({'ok': said.code == DONE, 'exit_code': said.code, **said.facts})}\n")
    else:
        (sys.stdout if said.code == DONE else sys.stderr).write("".join(f"{line}\n" for line in said.lines))
    return said.code


if __name__ == "__main__":
    raise SystemExit(main())
