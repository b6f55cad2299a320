"""What a world keeps its rows in: the stores of one run, and how a process's call to them can fail.

`MemoryStores` has the product's stores in memory; `orm.py` has those on a database. Invariant: a call that
fails either was carried out whole or not at all, and the judge is told of what was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from webhooks_core.breaker import BreakerPolicy, BreakerState, Command, Step
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.outbox.base import Operations, Outbox, Row, State
from webhooks_core.outbox.memory import MemoryOutbox, MemoryRows
from webhooks_core.rate import Grant, RatePolicy
from webhooks_core.stores.breakers import BreakerStore, MemoryBreakerStore, told
from webhooks_core.stores.rates import MemoryRateStore, RateStore
from webhooks_core.stores.replay import MemoryReplayStore, ReplayStore

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

T = TypeVar("T")
HOME = "home"


class StoreDown(Exception):
    """The connection is gone; whether the last statement was carried out, nobody knows."""


class Kept(Outbox, Operations, Protocol):
    """An outbox with both of its sides."""


class SharedBreakers(BreakerStore, Protocol):
    """The breakers as one process sees them; `was_away` says whether the last command may have been lost."""

    was_away: bool


class Stores(Protocol):
    """The shared stores of one world. What is asked for without a process never fails."""

    outbox: Kept
    foreign: Outbox
    breakers: BreakerStore

    def rows(self) -> Sequence[Row]:
        """Return every row of our environment, oldest first."""
        ...

    def row(self, webhook_id: str) -> Row | None:
        """Return one row of our environment."""
        ...

    def states(self) -> dict[str, State]:
        """Return the state of every row of our environment, oldest first."""
        ...

    def foreign_rows(self) -> Sequence[Row]:
        """Return every row of another environment."""
        ...

    def breakers_of(self, process: Process) -> SharedBreakers:
        """Return the door of one process to the shared breakers."""
        ...

    def rates(self) -> RateStore:
        """Return the shared rates."""
        ...

    def replay_of(self, endpoint: Endpoint) -> ReplayStore:
        """Return the memory of one endpoint's receiver."""
        ...

    def breaker(self, endpoint_id: str) -> BreakerState:
        """Return what the store holds of a breaker, whatever any process believes."""
        ...

    def acted(self, webhook_id: str) -> None:
        """Keep an effect of a receiver's handler."""
        ...

    def effects(self) -> Sequence[str]:
        """Return the ids of the effects that were kept since this was asked last."""
        ...

    def received(self, receive: Callable[[], T]) -> T:
        """Have a receiver do its part, unless its store fails meanwhile."""
        ...

    def carried(self, process: Process, name: str, call: Callable[[], T]) -> T:
        """Carry out a call of *process*, unless it dies or the store fails, before the call or after it."""
        ...


class MemoryStores:
    """The stores in this process's memory."""

    def __init__(self, world: World, policy: BreakerPolicy) -> None:
        self._world = world
        table = self._table = MemoryRows()
        clock, new_token = world.store_clock, world.new_token
        self.outbox: Kept = MemoryOutbox(rows=table, environment=HOME, clock=clock, new_token=new_token)
        self.foreign: Outbox = MemoryOutbox(rows=table, environment="elsewhere", clock=clock)
        self._breakers = MemoryBreakerStore(policy)
        self.breakers: BreakerStore = self._breakers
        self._rates = _RatesByStoreClock(MemoryRateStore(), world)
        self._effects: list[str] = []

    def rows(self) -> Sequence[Row]:
        """Return every row of our environment."""
        return self.outbox.rows()  # type: ignore[attr-defined,no-any-return]

    def row(self, webhook_id: str) -> Row | None:
        """Return one row of our environment."""
        return self.outbox.find(webhook_id)

    def states(self) -> dict[str, State]:
        """Return the state of every row of our environment."""
        rows = self._table.by_id.items()
        return {webhook_id: row.state for webhook_id, row in rows if row.environment == HOME}

    def foreign_rows(self) -> Sequence[Row]:
        """Return every row of another environment."""
        return self.foreign.rows()  # type: ignore[attr-defined,no-any-return]

    def breakers_of(self, process: Process) -> SharedBreakers:
        """Return the one store that all share."""
        return _ByStoreClock(self.breakers, self._world)

    def rates(self) -> RateStore:
        """Return the one store that all share."""
        return self._rates

    def replay_of(self, endpoint: Endpoint) -> ReplayStore:
        """Return a store of its own for each receiver."""
        return MemoryReplayStore()

    def breaker(self, endpoint_id: str) -> BreakerState:
        """Return the one state there is, as it is kept: to ask for it would count what was not told yet."""
        kept = self._breakers._kept.get(endpoint_id)
        return BreakerState() if kept is None else kept.state

    def acted(self, webhook_id: str) -> None:
        """Keep an effect."""
        self._effects.append(webhook_id)

    def effects(self) -> Sequence[str]:
        """Return the effects since last time."""
        found, self._effects = self._effects, []
        return found

    def received(self, receive: Callable[[], T]) -> T:
        """Memory does not fail."""
        return receive()

    def carried(self, process: Process, name: str, call: Callable[[], T]) -> T:
        """Fail before the call or after it."""
        world = self._world
        faults, chance = world.faults, world.rng.random
        if faults.crash:
            process.maybe_crash()
        if world.loop.now < world.outage_until or hits(faults.outbox_before, chance):
            raise StoreDown(name)
        answer = call()
        if faults.crash:
            process.maybe_crash()
        if hits(faults.outbox_after, chance):
            world.note(f"{process.label} unknown {name}")
            raise StoreDown(name)
        return answer


class _ByStoreClock:
    """Shared breakers that go by a clock of their own, and tell by the caller's, as those in Redis do."""

    def __init__(self, real: BreakerStore, world: World) -> None:
        self._real = real
        self._world = world
        self.policy = real.policy
        self.was_away = False

    def apply(self, endpoint_id: str, command: Command, *, now: float, jitter_value: float = 0.0) -> Step:
        """Apply it now, by the store's clock."""
        store_now = self._world.store_clock()
        step = self._real.apply(endpoint_id, command, now=store_now, jitter_value=jitter_value)
        return told(step, ahead=store_now - now)

    def state(self, endpoint_id: str, *, now: float) -> BreakerState:
        """Return the state now, by the store's clock."""
        store_now = self._world.store_clock()
        state = self._real.state(endpoint_id, now=store_now)
        return told(Step(state=state), ahead=store_now - now).state


class _RatesByStoreClock:
    """The same for rates."""

    def __init__(self, real: RateStore, world: World) -> None:
        self._real = real
        self._world = world

    def take(self, endpoint_id: EndpointId, wanted: int, *, policy: RatePolicy, now: float) -> Grant:
        """Take now, by the store's clock."""
        store_now = self._world.store_clock()
        grant = self._real.take(endpoint_id, wanted, policy=policy, now=store_now)
        if grant.retry_at is None:
            return grant
        return replace(grant, retry_at=grant.retry_at - store_now + now)

    def give_back(self, endpoint_id: EndpointId, unused: int, *, policy: RatePolicy, now: float) -> None:
        """Give back now, by the store's clock."""
        self._real.give_back(endpoint_id, unused, policy=policy, now=self._world.store_clock())


def hits(rate: float, chance: Callable[[], float]) -> bool:
    """Return whether a fault of *rate* happens; chance is asked only where there is such a fault."""
    return rate > 0 and chance() < rate
