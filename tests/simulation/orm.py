"""The same world over the product's stores on a database: SQLite, one file, one connection, one thread.

The scheduler has one thread, so two calls never overlap; what overlaps are the steps of the workers. Trouble
comes where it does in life: a statement that is refused, a line that is cut in the middle of a transaction, a
COMMIT that fails, an answer that is lost, a process that dies with its transaction open (and what it had
written is rolled back by the database itself). Invariant: what the judge and the world ask never fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from django.db import Error, connections

from tests.simulation.database import ALIAS, MOST_STATEMENTS, STRIKES, Wire
from tests.simulation.journal import Crashed
from tests.simulation.stores import HOME, SharedBreakers, StoreDown, hits
from webhooks_core.breaker import BreakerPolicy, BreakerState, Command, Step
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.django.outbox.stored import COLUMNS, Stored
from webhooks_core.django.stores.breakers import DatabaseBreakerStore
from webhooks_core.django.stores.line import DatabaseLine
from webhooks_core.django.stores.rates import DatabaseRateStore
from webhooks_core.django.stores.replay import DatabaseReplayStore
from webhooks_core.endpoint import Endpoint
from webhooks_core.errors import StoreUnavailable
from webhooks_core.outbox.base import Row, State
from webhooks_core.stores.breaker_text import load_state
from webhooks_core.stores.rates import RateStore
from webhooks_core.stores.replay import ReplayStore

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

T = TypeVar("T")
ELSEWHERE = "elsewhere"
TABLES = (
    "webhooks_delivery",
    "webhooks_attempt",
    "webhooks_breaker",
    "webhooks_ratebucket",
    "webhooks_seenwebhook",
    "webhooks_seensignature",
    "simulation_effect",
    "sqlite_sequence",
)
_ROWS = f"SELECT {COLUMNS} FROM webhooks_delivery WHERE environment = %s ORDER BY id"
_ROW = f"SELECT {COLUMNS} FROM webhooks_delivery WHERE environment = %s AND webhook_id = %s"
_STATES = "SELECT webhook_id, state FROM webhooks_delivery WHERE environment = %s ORDER BY id"
_BREAKER = "SELECT content FROM webhooks_breaker WHERE environment = %s AND endpoint_id = %s"


class OrmStores:
    """The stores of one world on the database, which is emptied first."""

    def __init__(self, world: World, policy: BreakerPolicy) -> None:
        self._world = world
        self._policy = policy
        self._last_effect = 0
        with Wire.safe() as cursor:
            cursor.execute("BEGIN")
            for table in TABLES:
                cursor.execute(f"DELETE FROM {table}")
            cursor.execute("COMMIT")
        self.outbox = DjangoOutbox(
            environment=HOME, using=ALIAS, clock=world.store_clock, new_token=world.new_token
        )
        self.foreign = DjangoOutbox(environment=ELSEWHERE, using=ALIAS, clock=world.store_clock)
        self.breakers = Breakers(world, policy, Line(lambda call: call()), monotonic=lambda: world.loop.now)

    def rows(self) -> Sequence[Row]:
        """Return every row of our environment."""
        return self._rows(HOME)

    def row(self, webhook_id: str) -> Row | None:
        """Return one row of our environment."""
        with Wire.safe() as cursor:
            cursor.execute(_ROW, [HOME, webhook_id])
            columns = cursor.fetchone()
        return None if columns is None else Stored.of(columns).shown(())

    def states(self) -> dict[str, State]:
        """Return the state of every row of our environment."""
        with Wire.safe() as cursor:
            cursor.execute(_STATES, [HOME])
            return {webhook_id: State(state) for webhook_id, state in cursor.fetchall()}

    def foreign_rows(self) -> Sequence[Row]:
        """Return every row of the other environment."""
        return self._rows(ELSEWHERE)

    def breakers_of(self, process: Process) -> SharedBreakers:
        """Return a store of the process's own, with what it remembers, over the shared table."""
        line = Line(lambda call: self.carried(process, "breaker", call))
        return Breakers(self._world, self._policy, line, monotonic=process.monotonic)

    def rates(self) -> RateStore:
        """Return the product's store over the shared table."""
        return DatabaseRateStore(self.outbox.database, environment=HOME)

    def replay_of(self, endpoint: Endpoint) -> ReplayStore:
        """Return the one table that receivers share: ids are unique."""
        return DatabaseReplayStore(using=ALIAS, new_token=self._world.new_number)

    def breaker(self, endpoint_id: str) -> BreakerState:
        """Return what the table holds."""
        with Wire.safe() as cursor:
            cursor.execute(_BREAKER, [HOME, endpoint_id])
            row = cursor.fetchone()
        return BreakerState() if row is None else load_state(row[0])

    def acted(self, webhook_id: str) -> None:
        """Keep an effect where it commits with its claim."""
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("INSERT INTO simulation_effect (webhook_id) VALUES (%s)", [webhook_id])

    def effects(self) -> Sequence[str]:
        """Return the effects that were committed since last time."""
        with Wire.safe() as cursor:
            query = "SELECT id, webhook_id FROM simulation_effect WHERE id > %s ORDER BY id"
            cursor.execute(query, [self._last_effect])
            found = cursor.fetchall()
        self._last_effect = found[-1][0] if found else self._last_effect
        return [webhook_id for _, webhook_id in found]

    def received(self, receive: Callable[[], T]) -> T:
        """Have a receiver do its part; its database fails as often as the sender's."""
        faults, rng = self._world.faults, self._world.rng
        if hits(faults.outbox_before, rng.random):
            with Wire.armed(rng.choice(STRIKES), rng.randrange(3 * MOST_STATEMENTS)):
                return receive()
        return receive()

    def carried(self, process: Process, name: str, call: Callable[[], T]) -> T:
        """Fail before the call, at any statement of it, at its COMMIT, or after it."""
        world = self._world
        faults, rng = world.faults, world.rng
        process.maybe_crash()
        if world.loop.now < world.outage_until:
            raise StoreDown(name)
        answer = self._struck(process, call)
        process.maybe_crash()
        if hits(faults.outbox_after, rng.random):
            world.note(f"{process.label} unknown {name}")
            raise StoreDown(name)
        return answer

    def _struck(self, process: Process, call: Callable[[], T]) -> T:
        faults, rng = self._world.faults, self._world.rng
        strike: Callable[[], NoReturn] | None = None
        if hits(faults.outbox_before, rng.random):
            strike = rng.choice(STRIKES)
        elif hits(faults.crash, rng.random):
            strike = partial(_killed, process)
        if strike is None:
            return call()
        with Wire.armed(strike, rng.randrange(MOST_STATEMENTS)):
            try:
                return call()
            except BaseException:
                if not process.is_dead:
                    raise
                Wire.dead = None
                connections[ALIAS].close()
                raise Crashed from None  # whatever Django makes of a connection that its process took along

    def _rows(self, environment: str) -> Sequence[Row]:
        with Wire.safe() as cursor:
            cursor.execute(_ROWS, [environment])
            return [Stored.of(columns).shown(()) for columns in cursor.fetchall()]


def _killed(process: Process) -> NoReturn:
    """Die with a transaction open: what it had written is rolled back."""
    Wire.cut()
    process.crash()


class Line(DatabaseLine):
    """The line of a breaker store without its thread: the one connection is this thread's."""

    def __init__(self, carried: Callable[[Callable[[], Any]], Any]) -> None:
        super().__init__(ALIAS, wait_seconds=1.0)
        self._carried = carried
        self.was_away = False

    def ask(self, call: Callable[[], T]) -> T:
        """Call, and tell a failure as the real one does."""

        def guarded() -> T:
            try:
                return call()
            except Error:
                connections[ALIAS].close()
                raise

        try:
            answer: T = self._carried(guarded)
        except (Error, StoreDown) as error:
            self.was_away = True
            raise StoreUnavailable("database", type(error).__name__) from error
        return answer


class Breakers(DatabaseBreakerStore):
    """The product's store over such a line."""

    def __init__(
        self, world: World, policy: BreakerPolicy, line: Line, *, monotonic: Callable[[], float]
    ) -> None:
        super().__init__(
            policy,
            environment=HOME,
            using=ALIAS,
            clock=lambda _now: world.store_clock(),
            monotonic=monotonic,
        )
        self._line: Line = line

    @property
    def was_away(self) -> bool:
        """Whether the last command may have been lost."""
        return self._line.was_away

    def apply(self, endpoint_id: str, command: Command, *, now: float, jitter_value: float = 0.0) -> Step:
        """Apply it, and remember whether the database was there."""
        self._line.was_away = False
        return super().apply(endpoint_id, command, now=now, jitter_value=jitter_value)
