"""Racing writers: of two that went by one version one wins, and nobody ever reads a version that goes back.

1,000 writes in the gate; ROLLOUT_TEST_WRITES=10000 asks for more.
"""

from __future__ import annotations

import os
import threading

import pytest
from django.db import connections

from rollout.actor import Actor
from rollout.commands import Command, Kill, Pause, Resume, Start, Unkill
from rollout.controller import step
from rollout.django.own_connection import OwnConnection
from rollout.django.polling import DatabasePoll
from rollout.django.store import DjangoRolloutStore
from rollout.errors import StoreConflict, TransitionError
from rollout.flags import FlagKey
from rollout.journal import replay, verify
from rollout.plan import Plan
from rollout.situation import Situation
from webhooks_core.django.outbox.database import Database

WRITES = int(os.environ.get("ROLLOUT_TEST_WRITES", "1000"))
WRITERS = 8
FLAG = FlagKey("tournament-webhooks")
PLAN = Plan(flag=FLAG)
ANNA = Actor(name="user:17", authenticated=True)
COMMANDS: tuple[Command, ...] = (
    Start(by=ANNA, reason="go"),
    Pause(by=ANNA, reason="wait"),
    Resume(by=ANNA, reason="on"),
    Kill(by=ANNA, reason="stop"),
    Unkill(by=ANNA, reason="on"),
)
pytestmark = [pytest.mark.network, pytest.mark.slow]


class Writer(threading.Thread):
    """Write until the share of writes is done; count what was refused."""

    def __init__(self, store: DjangoRolloutStore, number: int) -> None:
        super().__init__()
        self._store = store
        self._number = number
        self.written = self.refused = 0
        self.errors: list[Exception] = []

    def run(self) -> None:
        """Write."""
        try:
            turn = self._number
            while self.written < WRITES // WRITERS:
                turn += 1
                self._write(COMMANDS[turn % len(COMMANDS)])
        except Exception as error:
            self.errors.append(error)
        finally:
            connections[self._store.database.alias].close()

    def _write(self, command: Command) -> None:
        state = self._store.load(FLAG)
        try:
            made = step(state, command, Situation(now=self._store.now(), plan=PLAN))
            self._store.swap(made.state, made.entry, expected_version=state.version)
        except TransitionError:
            return
        except StoreConflict:
            self.refused += 1
            return
        self.written += 1


def test_racing_writers_apply_no_stale_version(database: Database, alias: str) -> None:
    """Every write is one version and one journal entry; the chain holds and replays to what is there."""
    store = DjangoRolloutStore(database, environment="test")
    poll = DatabasePoll(OwnConnection(alias, timeout_seconds=2.0), environment="test", refresh_seconds=0)
    writers = [Writer(store, number) for number in range(WRITERS)]
    seen = []
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        polled = poll.look(strictly=True)
        seen.append((polled.controls[FLAG].version if FLAG in polled.controls else 0, polled.problem))

    for writer in writers:
        writer.join()

    entries = store.journal(FLAG)
    state = store.load(FLAG)
    written = sum(writer.written for writer in writers)
    assert [error for writer in writers for error in writer.errors] == []
    assert sum(writer.refused for writer in writers) > 0  # they did race
    assert (len(entries), state.version) == (written, written)
    assert verify(entries, head=state.head) == state.head
    assert replay(FLAG, entries).ceiling == state.ceiling
    assert [version for version, _ in seen] == sorted(version for version, _ in seen)
    assert not any("went back" in problem for _, problem in seen)
