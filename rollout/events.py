"""The facts this package emits, and the one place where an observer is called.

Logic and services say what happened; whoever listens turns it into a log line or a metric. The invariant: an
observer that fails never breaks what it observes. Its failure is handed to the reporter that `observers.log`
installs, once for each kind. No logger, clock or thread lives here. Explained in
docs/explanation/bucketing.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rollout.decision import Decision

__all__ = [
    "Evaluated",
    "Fact",
    "JournalGrew",
    "Observer",
    "ObserverFailed",
    "RolloutChanged",
    "RunnerNews",
    "RunnerTold",
    "SnapshotLoaded",
    "SourceProblem",
    "TripCleared",
    "emit",
    "report",
    "report_failures_to",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A gate was asked and this is its answer."""

    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotLoaded:
    """A new state of the flags is in force."""

    version: int
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProblem:
    """Flags or controls cannot be read; the last good flags stay. Emitted when the problem changes."""

    origin: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutChanged:
    """Somebody or something changed how far a flag goes. Percentages in basis points: 5 % is "500"."""

    flag: str
    from_bp: str
    to_bp: str
    state: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalGrew:
    """A rollout's journal has a new head. Noted outside the store, so that a cut journal can be seen."""

    flag: str
    version: int
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerNews:
    """What a runner does has changed.

    Args:
        flag: Whose rollout it drives.
        runner: The name by which it holds the fence.
        news: `started`, `at-work`, `standing-by`, `waiting` (for what *problem* says) or `stopped`.
        problem: The type of an error, or a setting and what is wrong with it.
    """

    flag: str
    runner: str
    news: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerTold:
    """A runner has something to say to people: an e-mail, a chat message, a line on a page.

    Args:
        flag: Whose rollout it is about.
        about: What it is about; see `rollout.actions.Tell`.
        text: One sentence with the numbers.
    """

    flag: str
    about: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TripCleared:
    """A person says that what tripped a host is mended. Without a plan there is no journal but this.

    Args:
        flag: The flag whose deliveries that host sends.
        actor: Who; not who last let units in, where a journal knows.
        authenticated: Whether somebody checked that it was really they.
        reason: What was mended.
        found: What had been found first: a kind and a masked place, never the value.
    """

    flag: str
    actor: str
    authenticated: bool
    reason: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverFailed:
    """An observer raised. Names only: what it was given and what it said may hold anything."""

    observer: str
    error: str
    fact: str


Fact: TypeAlias = (
    Evaluated
    | SnapshotLoaded
    | SourceProblem
    | RolloutChanged
    | JournalGrew
    | RunnerNews
    | RunnerTold
    | TripCleared
)
Observer: TypeAlias = Callable[[Fact], None]

_reporters: list[Callable[[ObserverFailed], None]] = []


def report_failures_to(reporter: Callable[[ObserverFailed], None]) -> None:
    """Let *reporter* hear of observers that fail, from now on and instead of the one before."""
    _reporters[:] = [reporter]


def emit(observer: Observer | None, fact: Fact) -> None:
    """Tell *observer* about *fact*. Nothing it raises comes out, a request to end the process excepted."""
    if observer is None:
        return
    try:
        observer(fact)
    except Exception as error:  # noqa: BLE001 (an observer must not break what it observes; it is reported)
        report(observer, error, fact=type(fact).__name__)


def report(observer: object, error: Exception, *, fact: str) -> None:
    """Tell that *observer* raised *error* when it was told of *fact*. Never raises."""
    name = getattr(observer, "__qualname__", type(observer).__qualname__)
    failed = ObserverFailed(observer=str(name), error=type(error).__name__, fact=fact)
    for reporter in _reporters:
        _report(reporter, failed)


def _report(reporter: Callable[[ObserverFailed], None], failed: ObserverFailed) -> None:
    try:
        reporter(failed)
    except Exception:  # noqa: BLE001 (nobody is left to tell but whoever reads standard error)
        if sys.stderr is not None:
            sys.stderr.write(
                f"rollout: observer {failed.observer} failed on {failed.fact} with {failed.error}\n"
            )
