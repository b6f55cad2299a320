"""`manage.py rollout run`: one works and others stand by, a database that is away, signals, Celery's beat."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import override_settings

from rollout.actor import Actor
from rollout.django import driving, running, tasks
from rollout.django.management import running_command
from rollout.django.models import Rollout
from rollout.django.store import DjangoRolloutStore
from rollout.errors import ConfigError
from rollout.events import Fact, RunnerNews, RunnerTold
from rollout.observers.log import LogObserver
from rollout.rollout_state import State
from rollout.runner import Outcome, Pass
from tests.integration.outbox.conftest import ON_POSTGRES, World
from tests.integration.rollout.commands import run, run_json
from tests.integration.rollout.processes import finish, start, until

pytestmark = pytest.mark.network
ANNA = Actor(name="user:17", authenticated=True)
ONCE = pytest.mark.parametrize("migrated", ["sqlite"], indirect=True, scope="module")


def fence() -> tuple[str, float]:
    """Who holds the fence, and for how many seconds more."""
    store = driving.store()
    row = Rollout.objects.using(store.database.alias).get(environment="test")
    return row.fence_holder, row.fence_until_at - store.now()


class Shell:
    """A runner that is stopped after so many passes, with everything it told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, passes: int) -> None:
        self.facts: list[Fact] = []
        self.waits: list[int] = []
        self.passes = passes
        self.shell = running.RunnerShell(
            name="web-1/17/ab", interval_seconds=0.01, lease_seconds=5, observer=self.facts.append
        )
        monkeypatch.setattr(running.RunnerShell, "_wait", lambda shell: self.wait(shell))

    def wait(self, shell: running.RunnerShell) -> None:
        """In place of a nap."""
        self.waits.append(shell._failures)
        if len(self.waits) == self.passes:
            shell.stop()

    def news(self) -> list[tuple[str, str]]:
        """What became of it."""
        return [(each.news, each.problem) for each in self.facts if isinstance(each, RunnerNews)]


def test_a_runner_works_until_it_is_stopped_and_gives_its_fence_back(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is looked at, the news are told once, and another may go on at once."""
    shell = Shell(monkeypatch, passes=3)

    shell.shell.run()

    assert shell.news() == [("started", ""), ("at-work", ""), ("stopped", "")]
    assert driving.store().load(driving.driving().flag).state is State.HOLD
    holder, left = fence()
    assert (holder, left <= 0) == ("web-1/17/ab", True)
    assert RunnerTold(flag="tournament-webhooks", about="HOLD", text="") in [
        RunnerTold(flag=each.flag, about=each.about, text="")
        for each in shell.facts
        if isinstance(each, RunnerTold)
    ]


@ONCE
def test_a_database_that_is_away_is_survived_and_said_once(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waited for longer and longer, told once for each kind, and gone on with."""
    real, answers = DjangoRolloutStore.take_fence, iter([OperationalError("x"), OperationalError("x"), None])

    def away(self: DjangoRolloutStore, *args: Any, **more: Any) -> Any:
        error = next(answers, None)
        if error is not None:
            raise error
        return real(self, *args, **more)

    monkeypatch.setattr(DjangoRolloutStore, "take_fence", away)
    shell = Shell(monkeypatch, passes=4)
    shell.shell.run()

    assert shell.news() == [
        ("started", ""), ("waiting", "OperationalError"), ("at-work", ""), ("stopped", ""),
    ]  # fmt: skip
    assert shell.waits == [1, 2, 0, 0]


@ONCE
def test_a_bad_setting_under_way_is_waited_out(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner is built anew once it is good."""
    built: list[int] = []

    def build(**words: Any) -> Any:
        built.append(1)
        if len(built) == 1:
            raise ConfigError("WEBHOOK_TIMEOUT", "must be above 0")
        return driving.runner(**words)

    shell = Shell(monkeypatch, passes=2)
    shell.shell._build = build
    shell.shell.run()

    assert ("waiting", "WEBHOOK_TIMEOUT: must be above 0") in shell.news()
    assert shell.news()[-2:] == [("at-work", ""), ("stopped", "")]


@ONCE
@pytest.mark.parametrize(("failures", "seconds"), [(0, 5.0), (1, 10.0), (3, 30.0), (99, 30.0)])
def test_each_failure_makes_the_wait_longer_up_to_a_bound(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch, failures: int, seconds: float
) -> None:
    """Thirty seconds: a rollback must not wait for a runner that naps."""
    shell = running.RunnerShell(name="a")
    naps: list[float] = []

    class Words:
        def get(self, *, timeout: float) -> None:
            naps.append(timeout)

    shell._words, shell._failures = Words(), failures  # type: ignore[assignment]
    shell._wait()

    assert naps == [seconds]


@ONCE
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_pass(under_way: dict[str, Any], number: signal.Signals) -> None:
    """In this process: the handlers of before are back afterwards."""
    shell = running.RunnerShell(name="a", interval_seconds=5, lease_seconds=15)
    before = signal.getsignal(number)

    with shell.handling_signals():
        signal.raise_signal(number)
        shell.run()

    assert signal.getsignal(number) is before
    assert fence()[1] <= 0


def test_one_works_and_another_stands_by(under_way: dict[str, Any]) -> None:
    """`--once` says so, and takes nothing away from who works."""
    assert driving.runner(name="other").tick().outcome is not Outcome.STANDBY

    code, said = run_json("run", "--once")
    text = run("run", "--once")[1]

    assert (code, said["outcome"], said["state"]) == (0, "STANDBY", None)
    assert "Another runner is at work" in text
    assert fence()[0] == "other"


@ONCE
def test_a_single_pass_says_what_the_rollout_waits_for(under_way: dict[str, Any]) -> None:
    """And leaves the fence to whoever comes next."""
    code, text = run("run", "--once")

    assert code == 0
    assert "tournament-webhooks is HOLD: written." in text
    assert "waits: held 0 s of 1 h 0 min" in text
    assert fence()[1] <= 0


@ONCE
@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.STORE_WENT_BACK, 10), (Outcome.CONFLICT, 1)], ids=["went-back", "conflict"]
)
def test_a_single_pass_that_could_write_nothing_says_so_to_a_timer(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch, outcome: Outcome, code: int
) -> None:
    """By its exit code: nobody reads the log of each pass."""
    state, situation = driving.runner().look()
    made = Pass(outcome=outcome, state=state, situation=situation)
    monkeypatch.setattr(running, "once", lambda **_: made)

    ended, said = run_json("run", "--once")

    assert (ended, said["outcome"]) == (code, outcome.value)


@ONCE
def test_the_command_runs_until_it_is_stopped(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the interval and the lease that were said."""
    seen: list[tuple[float, float]] = []

    def once(shell: running.RunnerShell) -> None:
        seen.append((shell._interval_seconds, shell._lease_seconds))

    monkeypatch.setattr(running_command.running.RunnerShell, "run", once)
    code, text = run("run", "--interval", "2", "--lease", "9")

    assert (code, seen) == (0, [(2.0, 9.0)])
    assert "ended." in text


@pytest.mark.slow
@ON_POSTGRES
def test_after_a_kill_9_another_runner_takes_over_with_the_lease(world: World, tmp_path: Path) -> None:
    """Two processes: one works, one stands by; the one that is left works on, and ends on SIGTERM with 0."""
    kill = tmp_path / "kill"
    assert finish(start(world, kill, "rollout", "start"))[0] == 0
    words = ("rollout", "run", "--interval", "0.2", "--lease", "2")
    store = DjangoRolloutStore(world.outbox.database, environment="test")

    def holder(than: str = "") -> Callable[[], bool]:
        rows = Rollout.objects.using(world.alias).filter(fence_until_at__gt=store.now())
        return lambda: bool(set(rows.values_list("fence_holder", flat=True)) - {"", than})

    first = start(world, kill, *words)
    until(holder())
    working = Rollout.objects.using(world.alias).get().fence_holder
    second = start(world, kill, *words)
    assert second.stderr is not None
    standing_by = _line(second, "news=standing-by")
    first.send_signal(signal.SIGKILL)
    until(holder(working))
    taken_over = _line(second, "news=at-work")
    second.send_signal(signal.SIGTERM)
    code, out, err = finish(second)

    assert standing_by and taken_over
    assert (code, "ended." in out, "news=stopped" in err) == (0, True, True)
    assert not Rollout.objects.using(world.alias).filter(fence_until_at__gt=store.now()).exists()


def _line(process: Any, words: str) -> str:
    """Read the log up to the line with *words*."""
    for line in process.stderr:
        if words in line:
            return str(line)
    return ""


def test_beats_task_makes_a_pass_and_leaves_the_fence(under_way: dict[str, Any]) -> None:
    """Named `rollout.tick`; whichever process gets it next may go on."""
    tasks.tick.apply(throw=True)

    assert tasks.tick.name == tasks.TICK
    assert driving.store().load(driving.driving().flag).state is State.HOLD
    assert fence()[1] <= 0


@ONCE
def test_beats_task_does_nothing_where_no_rollout_is_kept(under_way: dict[str, Any]) -> None:
    """A project that has taken its plan out has the schedule a while longer."""
    plain = {key: value for key, value in under_way["ROLLOUT"].items() if key not in ("PLAN", "DATABASE")}
    with override_settings(ROLLOUT=plain):
        tasks.tick.apply(throw=True)

    assert driving.store().load(driving.driving().flag).state is State.RUNNING


def test_what_becomes_of_a_runner_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """In the words of the page of log lines; a problem is an error."""
    log = LogObserver()
    caplog.set_level(logging.INFO)

    log(RunnerNews(flag="f", runner="web-1/17/ab", news="at-work"))
    log(RunnerNews(flag="f", runner="web-1/17/ab", news="waiting", problem="OperationalError"))
    log(RunnerTold(flag="f", about="COHORT", text="f at 5 %: nobody is in"))

    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("INFO", "Rollout runner: flag=f, runner=web-1/17/ab, news=at-work, problem=-"),
        ("ERROR", "Rollout runner: flag=f, runner=web-1/17/ab, news=waiting, problem=OperationalError"),
        ("INFO", "Rollout told: flag=f, about=COHORT, text=f%20at%205%20%25:%20nobody%20is%20in"),
    ]
