"""How long a change needs to reach every worker: until the last decision by what was before it, both ways.

Eight worker processes on PostgreSQL, always with something to send, each deciding before every attempt. What
is changed, in turn, and then taken back: a ceiling in the database is lowered below every unit in the queue;
the kill switch is pulled in the database; the kill file is made, by `rolloutctl kill --file`. Each worker
leaves the moments of its last decisions, to start an attempt and not to, and the version of the rollout that
it knew, where this process finds them: the clock is the machine's own, the same for every process. A command
that waits for acknowledgements would return later, so that the first two are taken from the commit.

Down is from the change's return to the last start. Up is from the return of what takes it back to the last
refusal, seen when every worker has started again: when it does is also a matter of who finds something to
claim. The bound is the worst of all changes, both ways: at most one second.
Takes about seven minutes. Run: `python benchmarks/reach.py [--changes=N] [--workers=N]`.
"""

from __future__ import annotations

import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from crew import crew
from databases import databases
from evidence import APPS, world
from flag_peers import quiet
from load import ENVIRONMENT, deliveries, option
from marks import PATIENCE_SECONDS, PLACE, Fleet
from witness import witness

if TYPE_CHECKING:
    from rollout.runner import Runner

CHANGES, WORKERS = option("--changes", 100), option("--workers", 8)
MOST_SECONDS = 1.0
ALIAS = "postgresql"
#: Below the place of each of the fifty units that are sent for.
LOW = "0.1"
#: Little is claimed at a time, so that every worker always has something to decide.
POLICY = {"threads": 2, "ahead": 0, "batch": 8, "poll_seconds": 0.05}
BACKLOG = 400
#: After the last no: a start that came later than this would be missed.
QUIET_SECONDS = 0.3


class Change(NamedTuple):
    """Something after which no attempt may start, and the way back, each by its name."""

    name: str
    do: Callable[[], None]
    back: str
    undo: Callable[[], None]


@contextmanager
def feed(alias: str) -> Iterator[None]:
    """Keep something in the outbox that waits."""
    from django.db import connections

    from webhooks_core.django.outbox import DjangoOutbox, Entry

    outbox, ended = DjangoOutbox(environment=ENVIRONMENT, using=alias), Event()
    count = f"SELECT count(*) FROM (SELECT 1 FROM webhooks_delivery WHERE turn IS NOT NULL LIMIT {BACKLOG}) n"

    def run() -> None:
        while not ended.wait(0.02):
            with connections[alias].cursor() as cursor:
                cursor.execute(count)
                (waiting,) = cursor.fetchone()
            if waiting < BACKLOG:
                outbox.add_many([Entry(delivery=each) for each in deliveries(BACKLOG // 2)])
        connections[alias].close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def changes(runner: Runner, kill_file: Path) -> tuple[Change, ...]:
    """Return what is measured."""
    from rollout import cli
    from rollout.actor import Actor
    from rollout.commands import Kill, SetPercentage, Start, Unkill
    from rollout.percentage import EVERYBODY, Percentage
    from rollout.rollout_state import State

    by = Actor(name="benchmark")

    def ceiling(percentage: Percentage) -> Callable[[], None]:
        order = SetPercentage(by=by, reason="benchmark", percentage=percentage, confirm=True)
        return lambda: _done(runner.obey(order))

    def begin_again() -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while runner.look()[0].state is not State.ROLLED_BACK:  # it is, once all have acknowledged
            assert time.monotonic() < until, "not every worker acknowledges"
            time.sleep(0.05)
            runner.tick()
        runner.obey(Unkill(by=by, reason="benchmark"))
        runner.obey(Start(by=by, reason="benchmark"))

    def rolloutctl(*arguments: str) -> Callable[[], None]:
        def run() -> None:
            with redirect_stdout(io.StringIO()):
                code = cli.main([*arguments, "--file", str(kill_file), "--reason", "benchmark"])
            assert code == 0, code

        return run

    return (
        Change("a ceiling lowered", ceiling(Percentage.parse(LOW)), "a ceiling raised", ceiling(EVERYBODY)),
        Change(
            "kill, in the database",
            lambda: _done(runner.obey(Kill(by=by, reason="x"))),
            "unkill and start, there",
            begin_again,
        ),
        Change("kill, by file", rolloutctl("kill"), "unkill, by file", rolloutctl("unkill")),
    )


def _done(step: Any) -> None:
    assert step.entry is not None, step  # a command that was refused changes nothing


def measure(change: Change, fleet: Fleet, version: Callable[[], int]) -> tuple[float, float]:
    """Return the seconds from the change's return to the last start of an attempt (0: none came after it).

    And those from the return of the way back to the last refusal.
    """
    change.do()
    returned_at, newest = time.monotonic(), version()
    fleet.wait(lambda mark: mark.stopped_at > max(returned_at, mark.started_at), f"stopped ({change.name})")
    time.sleep(QUIET_SECONDS)
    marks = fleet.marks()
    assert all(mark.stopped_at > mark.started_at for mark in marks), "an attempt started after a no"
    in_the_database = change.name != "kill, by file"
    assert not in_the_database or all(mark.version < newest for mark in marks), "knew it, and started"
    change.undo()
    undone_at = time.monotonic()
    fleet.wait(lambda mark: mark.started_at > undone_at, f"started again ({change.back})")
    last_no = max(mark.stopped_at for mark in fleet.marks())
    return max(0.0, max(mark.started_at for mark in marks) - returned_at), max(0.0, last_no - undone_at)


def report(found: dict[str, list[float]]) -> bool:
    """Print the table; return whether every change kept the bound."""
    print(f"\n{CHANGES} changes of each kind, {WORKERS} workers, {ALIAS}: ms to the last decision by the old")
    print(f"{'change':<24}{'median':>10}{'p99':>10}{'max':>10}")
    for name, seconds in found.items():
        p99 = statistics.quantiles(seconds, n=100, method="inclusive")[98]
        figures = (statistics.median(seconds), p99, max(seconds))
        print(f"{name:<24}" + "".join(f"{each * 1e3:>10.0f}" for each in figures))
    slowest = max(max(seconds) for seconds in found.values())
    holds = slowest <= MOST_SECONDS
    print(f"{'ok  ' if holds else 'MISS'} the slowest <= {MOST_SECONDS:g} s: {slowest:.3f} s")
    return holds


def main() -> bool:
    with ExitStack() as stack:
        stack.enter_context(quiet())  # each change of a rollout is told
        directory, marks = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        os.environ[PLACE] = str(marks)
        aliases = stack.enter_context(databases([ALIAS], INSTALLED_APPS=APPS))
        seen = stack.enter_context(witness())
        settings = world(seen.port, database=ALIAS, directory=directory, plan=True)
        settings["WEBHOOKS"]["SEND_PERMIT"] = "marks.permit"
        from django.test import override_settings

        stack.enter_context(override_settings(**settings))
        from rollout.actor import Actor
        from rollout.commands import Start
        from rollout.django import driving

        runner, store = driving.runner(), driving.store()
        runner.obey(Start(by=Actor(name="benchmark"), reason="benchmark"))
        workers = stack.enter_context(
            crew(aliases, settings, directory=directory, workers=WORKERS, policy=POLICY)
        )
        stack.enter_context(feed(ALIAS))
        workers.start()
        fleet = Fleet(marks, workers=WORKERS)
        fleet.wait(lambda mark: mark.started_at > 0, "started")
        turns = changes(runner, directory / "kill")
        found: dict[str, list[float]] = {name: [] for turn in turns for name in (turn.name, turn.back)}
        for _ in range(CHANGES):
            for turn in turns:
                down, up = measure(turn, fleet, lambda: store.load(driving.driving().flag).version)
                found[turn.name].append(down)
                found[turn.back].append(up)
        return report(found)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
