"""The runner as a process: passes one after the other, until somebody asks to stop.

`rollout.runner` decides; here it gets a clock, a back-off and signals. Invariants: nothing that a pass raises
ends the process; a runner that ends gives its fence back, so that another goes on at once; a signal handler
only counts and wakes. Explained in docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

from rollout.actions import Tell
from rollout.django import driving, tripping
from rollout.django.pruning import prune
from rollout.django.stage_rate import apply_rate
from rollout.errors import ConfigError
from rollout.events import Observer, RunnerNews, RunnerTold, emit
from rollout.observers.log import LogObserver
from rollout.runner import Outcome, Pass, Runner
from webhooks_core.engines.signals import stopping_on_signals

__all__ = ["INTERVAL_SECONDS", "LEASE_SECONDS", "RunnerShell", "once", "one_pass"]

#: So often a runner looks, by default.
INTERVAL_SECONDS = 5.0
#: After so long without a pass another runner may take over, by default.
LEASE_SECONDS = 30.0
#: A database that is away is tried again at least so often.
MAX_WAIT_SECONDS = 30.0


def one_pass(runner: Runner, *, observer: Observer | None = None) -> Pass:
    """Make one pass, and see to what follows from it.

    Raises:
        ConfigError: What the store keeps is no state.
        Exception: What the database raises when it is away.
    """
    tripping.report()
    made = runner.tick()
    if made.state is not None:
        apply_rate(made.state)
    for action in made.actions:
        if isinstance(action, Tell):
            flag = driving.driving().flag
            emit(observer, RunnerTold(flag=flag, about=action.what, text=action.text))
    if made.state is not None and made.situation is not None:
        problem = prune(made.state, now=made.situation.now)
        if problem:
            text = f"old evidence and senders were not removed: {problem}"
            emit(observer, RunnerTold(flag=made.state.flag, about="NOT_PRUNED", text=text))
    return made


def once(*, lease_seconds: float = LEASE_SECONDS) -> Pass:
    """Make one pass in this process, and leave the fence to whoever comes next.

    Raises:
        ConfigError: No setting asks for a rollout, a setting is bad, or what the store keeps is no state.
        Exception: What the database raises when it is away.
    """
    name = driving.owner()
    try:
        return one_pass(driving.runner(lease_seconds=lease_seconds, name=name), observer=LogObserver())
    finally:
        give_back(name)


def give_back(name: str) -> None:
    """Let another runner have the fence, where *name* holds it. Never raises: its lease runs out anyway."""
    with suppress(Exception):
        store = driving.store()
        fence = store.take_fence(driving.driving().flag, name, lease_seconds=1.0)
        if fence is not None:
            store.give_back(fence)


class RunnerShell:
    """Make passes until `stop`.

    Args:
        name: By which it holds the fence.
        interval_seconds: From the end of one pass to the next one, above 0.
        lease_seconds: How long the fence holds without a pass; at least three times the interval.
        build: Returns the runner; asked again after a failure.
        observer: Hears what becomes of the runner.

    Raises:
        ConfigError: The interval is not above 0, or the lease is too short for it.
    """

    def __init__(
        self,
        *,
        name: str,
        interval_seconds: float = INTERVAL_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        build: Callable[..., Runner] = driving.runner,
        observer: Observer | None = None,
    ) -> None:
        if not 0 < interval_seconds <= lease_seconds / 3:
            raise ConfigError(
                "interval", f"must be above 0 and at most a third of the lease, {lease_seconds / 3:g} s"
            )
        self.name = name
        self._interval_seconds, self._lease_seconds = interval_seconds, lease_seconds
        self._build = build
        self._observer = LogObserver() if observer is None else observer
        self._words: SimpleQueue[None] = SimpleQueue()
        self._is_stopped = False
        self._failures = 0
        self._told = ""

    def run(self) -> None:
        """Make passes until somebody asks to stop; then give the fence back."""
        self._tell("started")
        runner: Runner | None = None
        try:
            while not self._is_stopped:
                try:
                    runner = runner or self._built()
                    made = one_pass(runner, observer=self._observer)
                except Exception as error:  # noqa: BLE001 - whatever it is: said, and tried again
                    runner = None if isinstance(error, ConfigError) else runner
                    self._failed(error)
                else:
                    self._went_well(made)
                self._wait()
        finally:
            give_back(self.name)
            self._tell("stopped")

    def stop(self) -> None:
        """Ask to stop after the pass that is under way. From any thread or signal handler."""
        self._is_stopped = True
        self._words.put(None)

    @contextmanager
    def handling_signals(self) -> Iterator[RunnerShell]:
        """Stop on SIGTERM and SIGINT while inside, where this is the main thread."""
        with stopping_on_signals(self.stop):
            yield self

    def _built(self) -> Runner:
        """Return a runner whose connection to PostgreSQL notices soon that its server is gone."""
        found = driving.driving().store
        if found is not None:
            found.database.notice_silence()
        return self._build(lease_seconds=self._lease_seconds, name=self.name)

    def _wait(self) -> None:
        most = max(MAX_WAIT_SECONDS, self._interval_seconds)
        with suppress(Empty):
            self._words.get(timeout=min(most, self._interval_seconds * 2.0 ** min(self._failures, 10)))

    def _went_well(self, made: Pass) -> None:
        self._failures = 0
        self._tell("standing-by" if made.outcome is Outcome.STANDBY else "at-work")

    def _failed(self, error: Exception) -> None:
        """Count it, and say each kind once."""
        self._failures += 1
        problem = str(error) if isinstance(error, ConfigError) else type(error).__name__
        self._tell("waiting", problem=problem)

    def _tell(self, news: str, *, problem: str = "") -> None:
        if f"{news} {problem}" != self._told:
            flag = driving.driving().flag
            emit(self._observer, RunnerNews(flag=flag, runner=self.name, news=news, problem=problem))
        self._told = f"{news} {problem}"
