"""Stateful: the breaker in Redis takes the walk of the memory store, alone and as a fleet of three.

The model and its rules are those of test_breaker.py, so that all stores answer to one text.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings

from tests.redis_server import connection, forget
from tests.stateful.test_breaker import POLICY, BreakerMachine
from webhooks_core.breaker import Admit, BreakerState, Command, Force, Release, Step, Ticket
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.stores.redis_breakers import RedisBreakerStore
from webhooks_core.stores.redis_connection import StoreClock

pytestmark = [pytest.mark.network, pytest.mark.redis, pytest.mark.slow]


class RedisMachine(BreakerMachine):
    """One process, as it is used."""

    processes = 1
    snapshot_seconds = 0.25

    def __init__(self) -> None:
        super().__init__()
        self.used = connection()
        self.stores = [
            RedisBreakerStore(
                self.used, POLICY, clock=StoreClock.CALLER, snapshot_seconds=self.snapshot_seconds
            )
            for _ in range(self.processes)
        ]
        self.turn = 0
        self.memory = MemoryBreakerStore(POLICY)
        self.first = self.stores[0].state("main", now=self.now).generation

    def tell(self, command: Command) -> Step:
        """One command through the store whose turn it is."""
        self.turn += 1
        store = self.stores[self.turn % self.processes]
        step = store.apply("main", command, now=self.now)
        self.state = step.state
        self.compare(command, step, store.state("main", now=self.now))
        return step

    def compare(self, command: Command, step: Step, state: BreakerState) -> None:
        """The memory store, given the same command, answers the same; only its generations begin at 0."""
        if not isinstance(command, Admit | Force | Release):
            ticket = command.ticket
            command = replace(command, ticket=replace(ticket, generation=ticket.generation - self.first))
        twin = self.memory.apply("main", command, now=self.now)
        answer = step.answer
        if isinstance(answer, Ticket):
            answer = replace(answer, generation=answer.generation - self.first)
        assert answer == twin.answer
        assert step.changes == twin.changes
        shifted = replace(state, generation=state.generation - self.first)
        assert shifted == self.memory.state("main", now=self.now)

    def teardown(self) -> None:
        """An endpoint that was never used is closed."""
        assert self.stores[0].state("other", now=self.now).state == "closed"
        forget(self.used)


class FleetMachine(RedisMachine):
    """Three processes that take turns; each tells at once what it counted, so that the model can be exact."""

    processes = 3
    snapshot_seconds = 0.0

    def tell(self, command: Command) -> Step:
        """One command, and the successes that this process has counted."""
        self.turn += 1
        store = self.stores[self.turn % self.processes]
        step = store.apply("main", command, now=self.now)
        self.state = store.state("main", now=self.now)
        self.compare(command, step, self.state)
        return step


class RedisBreakerStoreTest(RedisMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk through one process's store; see RedisMachine."""

    settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


class FleetOfRedisBreakerStoresTest(FleetMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk through three stores over one Redis; see FleetMachine."""

    settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
