"""Stop the fleet through the database, and see who has stopped: what `kill` and `rollback` share.

Invariants: a sender has stopped when it acknowledged the epoch or its lease ran out, and in no other case is
said to have; what was committed is told although the waiting failed. Explained in
docs/how-to/stop-everything.md.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rollout.commands import Kill, RollBack
from rollout.django import running
from rollout.django.management.bounded import within
from rollout.django.store import DjangoRolloutStore
from rollout.flags import FlagKey
from rollout.fleet import Sender, Stopping, stopping
from rollout.rollout_state import RolloutState, State
from rollout.runner import Runner
from webhooks_core.django.answer import Answer, Exit

__all__ = ["Fleet", "Stopped", "add_wait", "look", "told", "unfinished"]

#: How often the heartbeats are looked at while somebody is waited for.
LOOK_SECONDS = 0.05
#: A call that does not come back is left alone so long after its time.
GRACE_SECONDS = 0.5
_NOBODY = (
    "No sender that tells its heartbeat was alive. Whatever sends by itself (`record_outcome`) is not seen"
    " here: it stops at its next question to the gate."
)
# Under this lease everybody's acknowledgement is written down, where no runner is at work.
_LEASE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """How far a stop has come, at one moment of the store's clock."""

    state: RolloutState
    found: Stopping
    senders: tuple[Sender, ...]
    now: float

    def lines(self) -> list[str]:
        """Say it for a person: all in one line, then each sender that was alive."""
        shown = [each for each in self.senders if each.is_alive(now=self.state.epoch_at)]
        if not shown:
            return [f"{self.state.flag} is {self.state.state}. {_NOBODY}"]
        first = f"{self.state.flag} is {self.state.state}: {self.found}."
        return [first, *(f"  {each.name}: {self._how(each)}" for each in shown)]

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
        return {
            "flag": self.state.flag,
            "state": self.state.state.value,
            "epoch": self.state.epoch,
            "stopped": self.found.is_complete,
            "total": self.found.total,
            "acknowledged": self.found.acknowledged,
            "ran_out": self.found.ran_out,
            "not_reached": list(self.found.waiting_for),
            "slowest_seconds": self.found.slowest_seconds,
        }


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The senders of one rollout, as a command reaches them.

    Args:
        store: Where the rollout is kept.
        flag: The flag's key.
        runner: What follows the command.
        seconds: How long database and senders may take together.
        waits: Whether to wait for the senders at all.
    """

    store: DjangoRolloutStore
    flag: FlagKey
    runner: Runner
    seconds: float
    waits: bool
    last: Stopped | None = field(default=None, init=False)

    def stop(self, command: Kill | RollBack) -> Stopped:
        """Have *command* followed, and wait until every live sender has stopped or the time is over.

        Raises:
            TookTooLong: Not even the database answered in time.
            Exception: What the database raises before the command was written.
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
        state = self.runner.obey(command).state
        found = self._look(state)
        while self.waits and not found.found.is_complete and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            found = self._look(state)
        if found.found.is_complete and state.state is State.ROLLING_BACK:
            with suppress(Exception):  # a runner that is at work writes it down within its interval
                running.once(lease_seconds=_LEASE_SECONDS)
                found = self._look(self.store.load(self.flag))
        return found

    def _look(self, state: RolloutState) -> Stopped:
        self.last = look(self.store, state)
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


def add_wait(parser: ArgumentParser) -> None:
    """Add `--timeout` and `--no-wait`."""
    about = "how long to wait for database and senders together (default: %(default)s)"
    parser.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS", help=about)
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the senders")


def told(stopped: Stopped, options: dict[str, Any], *, lines: list[str], data: dict[str, object]) -> Answer:
    """Return the answer: 0 where everybody has stopped or nobody was waited for, 1 where not."""
    is_enough = stopped.found.is_complete or options["no_wait"]
    return Answer(
        code=Exit.DONE if is_enough else Exit.FAILED,
        lines=[*lines, *stopped.lines()],
        data={**data, **stopped.as_dict()},
        is_report=True,
    )
