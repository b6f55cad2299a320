"""Stop the fleet through the database, and see who has stopped: what `kill` and `rollback` share.

Invariants: a sender has stopped when it acknowledged the epoch or its lease ran out, and in no other case is
said to have; what was committed is told although the waiting failed; a row that cannot be read is stopped,
too. Explained in docs/how-to/stop-everything.md.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from rollout.commands import Kill, RollBack
from rollout.django import running, unreadable
from rollout.django.management.bounded import within
from rollout.django.management.words import WAIT_SECONDS, read_seconds
from rollout.django.store import DjangoRolloutStore
from rollout.flags import FlagKey
from rollout.fleet import Sender, Stopping, stopping
from rollout.rollout_state import RolloutState, State
from rollout.runner import Runner
from webhooks_core.django.answer import Answer, Exit

__all__ = ["Beside", "Fleet", "Stopped", "add_wait", "look", "tell_others", "told", "unfinished"]

#: How often the heartbeats are looked at while somebody is waited for.
LOOK_SECONDS = 0.05
#: A call that does not come back is left alone so long after its time.
GRACE_SECONDS = 0.5
_NOBODY = (
    "No sender that tells its heartbeat was alive. Whatever sends by itself (`record_outcome`) is not seen"
    " here: it stops at its next question to the gate."
)
_OTHERS = "the other rollouts of this environment"
_ONE_BY_ONE = "`rollout unkill` puts back one rollout: say it with the settings of each service."
# Under this lease everybody's acknowledgement is written down, where no runner is at work.
_LEASE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """How far a stop has come, at one moment of the store's clock.

    Args:
        state: Where the rollout stands.
        found: How far that has reached the fleet.
        senders: The fleet.
        now: The moment, epoch seconds.
        note: What a person must know of its row; empty: nothing.
        others: The other rollouts that were stopped with it.
        failed: Flags of those that could not be, each with why.
    """

    state: RolloutState
    found: Stopping
    senders: tuple[Sender, ...]
    now: float
    note: str = ""
    others: tuple[Stopped, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every live sender has stopped, by every rollout."""
        return self.found.is_complete and not self.failed and all(each.is_complete for each in self.others)

    def lines(self) -> list[str]:
        """Say it for a person: all in one line, then each sender that was alive, then the other rollouts."""
        shown = [each for each in self.senders if each.is_alive(now=self.state.epoch_at)]
        first = f"{self.found}." if shown else _NOBODY
        lines = [f"{self.state.flag} is {self.state.state}{':' if shown else '.'} {first}"]
        lines += [f"  {each.name}: {self._how(each)}" for each in shown]
        lines += [self.note] if self.note else []
        return [*lines, *_of_others(self.others, self.failed)]

    def _how(self, sender: Sender) -> str:
        if sender.epoch >= self.state.epoch:
            took = max(0.0, sender.acknowledged_at - self.state.epoch_at)
            is_late = took > sender.lease_seconds
            return "came, or came back, later: it obeys" if is_late else f"stopped after {took:.1f} s"
        if sender.is_alive(now=self.now):
            return f"NOT REACHED, last seen {max(0.0, self.now - sender.seen_at):.1f} s ago"
        return f"its lease ran out {self.now - sender.seen_at - sender.lease_seconds:.1f} s ago"

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON types."""
        data = {
            "flag": self.state.flag,
            "state": self.state.state.value,
            "epoch": self.state.epoch,
            **self.found.as_dict(),
            "stopped": self.is_complete,
            "note": self.note,
        }
        others = [each.as_dict() for each in self.others]
        return {**data, "others": others, "failed": list(self.failed)}


def _of_others(others: Sequence[Stopped], failed: Sequence[str]) -> list[str]:
    """Say of each other rollout how far it has come, and of which it could not be told."""
    lines = []
    for other in others:
        first = "Also stopped" if other.is_complete else "Also told"
        lines.append(f"{first}: {other.state.flag} is {other.state.state}: {other.found}.")
        lines += [other.note] if other.note else []
    lines += [f"NOT STOPPED: {each}." for each in failed]
    return [*lines, _ONE_BY_ONE] if others else lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What the other rollouts of the environment made of a command.

    Args:
        made: Where each stands that has followed, and what a person must know of its row.
        failed: Those that have not, each with why.
    """

    made: tuple[tuple[RolloutState, str], ...] = ()
    failed: tuple[str, ...] = ()

    def lines(self, store: DjangoRolloutStore) -> list[str]:
        """Say it for a person, as *store* tells now. Never raises: what was done is told all the same."""
        found = []
        for state, note in self.made:
            try:
                found += _of_others([replace(look(store, state), note=note)], ())[:-1]
            except Exception as error:  # noqa: BLE001 - it is written; only who has heard of it is not known
                why = type(error).__name__
                found.append(
                    f"Also told: {state.flag} is {state.state}; who has stopped is not known ({why})."
                )
        return [*found, *_of_others((), self.failed), *([_ONE_BY_ONE] if self.made else [])]


def tell_others(
    command: Kill | RollBack, others: Callable[[], Mapping[FlagKey, Runner]], *, store: DjangoRolloutStore
) -> Beside:
    """Have each of *others* follow. Never raises: one that fails keeps no other from stopping."""
    made, failed = [], []
    try:
        for flag, runner in others().items():
            try:
                made.append(unreadable.obeyed(command, store=store, flag=flag, runner=runner))
            except Exception as error:  # noqa: BLE001 - one that fails must not keep the rest from stopping
                failed.append(f"{flag} ({type(error).__name__})")
    except Exception as error:  # noqa: BLE001 - which there are is not known, and that is told
        failed.append(f"{_OTHERS} ({type(error).__name__})")
    return Beside(made=tuple(made), failed=tuple(failed))


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The senders of one rollout, as a command reaches them.

    Args:
        store: Where the rollout is kept.
        flag: The flag's key.
        runner: What follows the command.
        seconds: How long database and senders may take together.
        waits: Whether to wait for the senders at all.
        others: Returns what follows the command for each other rollout, by its flag; None: for no other.
    """

    store: DjangoRolloutStore
    flag: FlagKey
    runner: Runner
    seconds: float
    waits: bool
    others: Callable[[], Mapping[FlagKey, Runner]] | None = None
    last: Stopped | None = field(default=None, init=False)
    beside: Beside = field(default=Beside(), init=False)

    def stop(self, command: Kill | RollBack) -> Stopped:
        """Have *command* followed, and wait until every live sender has stopped or the time is over.

        Raises:
            TookTooLong: Not even the database answered in time.
            Exception: What the database, or others that write, raised before the command was written;
                `beside` has what the other rollouts made of it.
        """
        alias = self.store.database.alias
        try:
            return within(self.seconds + GRACE_SECONDS, lambda: self._stop(command), alias=alias)
        except Exception:
            if self.last is None:
                raise
            return self.last

    def _stop(self, command: Kill | RollBack) -> Stopped:
        until = time.monotonic() + self.seconds
        try:
            own = unreadable.obeyed(command, store=self.store, flag=self.flag, runner=self.runner)
        except Exception:
            self._tell_others(command)  # which fail for no reason of this one's
            raise
        self._look([own], () if self.others is None else (f"{_OTHERS} (no time was left)",))
        self._tell_others(command)
        made, failed = [own, *self.beside.made], self.beside.failed
        found = self._look(made, failed)
        while self.waits and not found.is_complete and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            found = self._look(made, failed)
        if found.found.is_complete and found.state.state is State.ROLLING_BACK:
            with suppress(Exception):  # a runner that is at work writes it down within its interval
                running.once(lease_seconds=_LEASE_SECONDS)
                made[0] = (self.store.load(self.flag), "")
                found = self._look(made, failed)
        return found

    def _tell_others(self, command: Kill | RollBack) -> None:
        if self.others is not None:
            self.beside = tell_others(command, self.others, store=self.store)

    def _look(self, made: Sequence[tuple[RolloutState, str]], failed: tuple[str, ...]) -> Stopped:
        own, *others = [replace(look(self.store, state), note=note) for state, note in made]
        self.last = replace(own, others=tuple(others), failed=failed)
        return self.last


def look(store: DjangoRolloutStore, state: RolloutState) -> Stopped:
    """Say how far the last change of *state* has come, as *store* tells now."""
    senders, now = tuple(store.senders(state.flag)), store.now()
    found = stopping(senders, epoch=state.epoch, since=state.epoch_at, now=now)
    return Stopped(state=state, found=found, senders=senders, now=now)


def unfinished(store: DjangoRolloutStore, state: RolloutState) -> str:
    """Say what a rollback that is on its way waits for, and what finishes it; empty where none is."""
    if state.state is not State.ROLLING_BACK:
        return ""
    found = look(store, state).found
    remedy = "`rollout run`, or `rollout rollback --reason …`, finishes it, then `rollout start` can begin"
    return f"{found}; {remedy}"


def add_wait(parser: ArgumentParser, *, read: Callable[[str], float] = read_seconds) -> None:
    """Add `--timeout`, read by *read*, and `--no-wait`."""
    about = "how long to wait for database and senders together (default: %(default)s)"
    parser.add_argument("--timeout", type=read, default=WAIT_SECONDS, metavar="SECONDS", help=about)
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the senders")


def told(stopped: Stopped, options: dict[str, Any], *, lines: list[str], data: dict[str, object]) -> Answer:
    """Return the answer: 0 where everybody has stopped, by every rollout, or nobody was waited for; else 1.

    A rollout that could not be told is a failure, also where nobody was waited for.
    """
    is_enough = stopped.is_complete or (options["no_wait"] and not stopped.failed)
    return Answer(
        code=Exit.DONE if is_enough else Exit.FAILED,
        lines=[*lines, *stopped.lines()],
        data={**data, **stopped.as_dict()},
        is_report=True,
    )
