"""One run: a seed makes a world, the world runs, the judge watches.

First events are committed and faults happen; then the faults end and everything must come to an end by
itself; then a person releases and re-sends what was left, and everything must arrive. Invariant: a seed is a
run, to the last line of its trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.simulation.faults import Faults
from tests.simulation.judge import Judge, Violation, require
from tests.simulation.loop import Loop
from tests.simulation.network import Network
from tests.simulation.process import Process
from tests.simulation.stores import MemoryStores, Stores
from tests.simulation.trouble import TROUBLE_SECONDS, Trouble
from webhooks_core.breaker import BreakerPolicy, ForcedMode, Release
from webhooks_core.delivery import Delivery, Permit, PermitVerdict
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.keys import KeyRing
from webhooks_core.outbox.base import Row, State
from webhooks_core.rate import RatePolicy
from webhooks_core.retry import RetryPolicy
from webhooks_core.worker.policy import WorkerPolicy

START = 1_763_000_000.0
BACKLOG_SECONDS = 600.0  # how old the events of some runs are when they come in: nobody worked for a while
RECEIVER_SECONDS = 16.0  # a claim of a receiver that died with it lasts 15
PATIENCE_SECONDS = 4_000.0  # the longest honest wait: a row twenty times refused, waits of a minute, retries
MOST_STEPS = 5_000  # more events than this in one run is a loop that eats a processor; honest runs have 80
KEYS = {name: KeyRing.of(f"{name}-simulation-secret-".ljust(48, name)) for name in "abc"}
ENDPOINTS = {
    EndpointId(name): Endpoint(id=EndpointId(name), url=f"https://{name}.example/in", keys=keys)
    for name, keys in KEYS.items()
}
ENDS = frozenset({State.DELIVERED, State.DEAD, State.DROPPED, State.HELD})
GOOD_ENDS = frozenset({State.DELIVERED, State.DROPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to; `violation` is empty where all held."""

    seed: int
    violation: str = ""
    steps: int = 0
    events: int = 0
    trace: tuple[str, ...] = ()


MakeStores = Callable[["World", BreakerPolicy], Stores]


class World:
    """Everything there is in one run."""

    def __init__(self, seed: int, *, trace: bool = False, make_stores: MakeStores) -> None:
        self.trace: list[str] | None = [] if trace else None
        rng = self.rng = Random(seed)
        self.start = START
        self.loop = Loop(START)
        self.faults = Faults.drawn(rng)
        self.retry = RetryPolicy(
            max_attempts=rng.choice((1, 2, 3)),
            retry_after_cap_seconds=90.0,
            slow_seconds=rng.choice(((), (), (5.0, 20.0))),
        )
        names = [EndpointId(name) for name in "abc"[: rng.choice((1, 1, 2, 3))]]
        self.endpoints = {name: ENDPOINTS[name] for name in names}
        self.policy = WorkerPolicy(
            threads=rng.choice((1, 2, 4)),
            ahead=rng.choice((0, 2)),
            batch=rng.choice((1, 3, 16)),
            poll_seconds=rng.choice((10.0, 60.0)),
            sweep_seconds=50.0,
            max_age_seconds=rng.choice((60.0, 86_400.0)),
            drain_seconds=5.0,
        )
        self.judge = Judge(
            max_attempts=self.retry.max_attempts + len(self.retry.slow_seconds),
            max_age_seconds=self.policy.max_age_seconds,
            store_clock_is_right=not self.faults.store_jump,
        )
        self.is_killed = False
        self.outage_until = 0.0
        self.store_ahead = 0.0
        self._tokens = 0
        fails = rng.choice((1, 2, 9999))
        policy = BreakerPolicy(max_fails=fails, open_seconds=rng.choice((3.0, 10.0)), max_open_seconds=40.0)
        self.stores = make_stores(self, policy)
        self.outbox = self.stores.outbox
        self._backlog_seconds = rng.choice((0.0, BACKLOG_SECONDS))
        self._rate = RatePolicy(per_second=2.0, burst=3.0) if rng.random() < 0.2 else None
        self._granted: dict[EndpointId, int] = {}
        self.network = Network(
            self.loop,
            rng,
            self.faults,
            list(self.endpoints.values()),
            stores=self.stores,
            effect=self.judge.effect,
        )
        self.processes: list[Process] = []
        self.trouble = Trouble(self)
        self._started = 0

    # --- what others ask --------------------------------------------------------------------------------

    def store_clock(self) -> float:
        """The clock of the shared store."""
        return self.loop.now + self.store_ahead

    def row(self, webhook_id: str) -> Row:
        row = self.stores.row(webhook_id)
        require(row is not None, "an event vanished")
        assert row is not None
        return row

    def rows(self) -> dict[str, Row]:
        return {row.delivery.webhook_id: row for row in self.stores.rows()}

    def permit(self) -> Permit:
        if self.faults.permit_fails and self.rng.random() < self.faults.permit_fails:
            raise ConnectionError("the flag's state cannot be learnt")
        if self.is_killed:
            return Permit(verdict=PermitVerdict.HOLD, reason="kill switch")
        return Permit(verdict=PermitVerdict.SEND)

    def provider_is_away(self) -> bool:
        return self.faults.provider_fails > 0 and self.rng.random() < self.faults.provider_fails

    def rate_of(self, name: EndpointId) -> RatePolicy | None:
        return self._rate

    def granted(self, name: EndpointId, count: int) -> None:
        """Watch the rate cap, as long as nobody set the store's clock."""
        total = self._granted[name] = self._granted.get(name, 0) + count
        rate = self._rate
        if rate is not None and self.judge.store_clock_is_right:
            most = rate.burst + rate.per_second * (self.loop.now - START)
            require(total <= most + 0.001, "more was granted than the rate allows")

    def note(self, line: str) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.loop.now - START:10.3f} {line}")

    # --- processes --------------------------------------------------------------------------------------

    def boot(self, name: str) -> None:
        """Start a worker process."""
        self._started += 1
        process = Process(self, name, f"{name}#{self._started}")
        self.processes.append(process)
        self.note(f"{process.label} starts")

    def crashed(self, process: Process) -> None:
        """A process died: its supervisor starts it again after a while."""
        self.processes.remove(process)
        self.loop.later(self.rng.random() * 20, lambda: self.boot(process.name))

    def finished(self, process: Process) -> None:
        """A process ended in good order, and is started again: a deployment."""
        if process in self.processes:
            self.note(f"{process.label} ends, {process.worker.left} left")
            process.is_dead = True
            self.processes.remove(process)
            self.loop.later(self.rng.random() * 5, lambda: self.boot(process.name))

    def new_number(self) -> int:
        self._tokens += 1
        return self._tokens

    def new_token(self) -> str:
        return f"t{self.new_number()}"

    # --- the run ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the three parts; a `Violation` ends it."""
        self._plan_events()
        self.trouble.plan()
        for number in range(self.rng.choice((1, 2, 2, 3))):
            self.boot(f"w{number}")
        self._let_pass(TROUBLE_SECONDS)
        self._heal()
        self._let_pass(PATIENCE_SECONDS, stop=self._all_in(ENDS))
        self.judge.ended(self.rows(), allowed=ENDS)
        self._let_pass(RECEIVER_SECONDS)
        self._open_endpoints()  # an answer of 410 may have come late, to a process that was frozen
        self.trouble.clear_up()
        self._let_pass(PATIENCE_SECONDS, stop=self._all_in(ENDS))
        self.judge.ended(self.rows(), allowed=GOOD_ENDS)
        foreign = [(row.state, row.claims) for row in self.stores.foreign_rows()]
        require(all(seen == (State.PENDING, 0) for seen in foreign), "a foreign row was touched")

    def _let_pass(self, seconds: float, *, stop: Callable[[], bool] | None = None) -> None:
        self.loop.run(until=self.loop.now + seconds, stop=stop)
        require(self.loop.steps < MOST_STEPS, "the world spins")

    def _all_in(self, states: frozenset[State]) -> Callable[[], bool]:
        checked = [-1]

        def stop() -> bool:
            require(self.loop.steps < MOST_STEPS, "the world spins")
            if self.judge.changes == checked[0]:
                return False
            checked[0] = self.judge.changes
            return self.judge.is_at_rest(self.stores.states(), allowed=states)

        return stop

    def _plan_events(self) -> None:
        """Commit a few events, one by one or all at once, some of them in order of a match."""
        rng = self.rng
        names = list(self.endpoints)
        keyed, spread = rng.random() < 0.6, rng.choice((0.1, 30.0, 30.0))
        begin = rng.random() * (30.0 - spread)
        for number in range(rng.choice((3, 6, 10))):
            name = rng.choice(names)
            key = f"match:{rng.randrange(2)}" if keyed and rng.random() < 0.7 else None
            unit = str(rng.randrange(3))
            self.loop.at(
                START + begin + rng.random() ** 2 * spread,
                lambda n=number, e=name, k=key, u=unit: self._commit(n, e, k, u),
            )

    def _commit(self, number: int, name: EndpointId, key: str | None, unit: str) -> None:
        webhook_id = f"{number:04x}{self.rng.getrandbits(16):04x}-0000-4000-8000-000000000000"
        body = b'{"event":"tested","data":{"n":%d},"metadata":{"webhook_id":"%s"}}' % (
            number,
            webhook_id.encode(),
        )
        delivery = Delivery(
            webhook_id=webhook_id,
            event="tested",
            body=body,
            created_at=self.store_clock() - self._backlog_seconds,
            endpoint_id=name,
            unit=unit,
        )
        if number == 0 and self.rng.random() < 0.2:
            self.stores.foreign.add(delivery)
            return
        self.outbox.add(delivery, ordering_key=key)
        self.judge.added(delivery, key)
        self.note(f"event {webhook_id[:4]} for {name} unit {unit} key {key}")
        if self.rng.random() < 0.5:
            for process in self.processes:
                process.hint()

    def _heal(self) -> None:
        """End the faults: clocks are right, stores answer, the kill switch is off, breakers are let go."""
        self.note("faults end")
        self.faults.end()
        self.outage_until = self.store_ahead = 0.0
        self.network.down_until.clear()
        self.is_killed = False
        for process in self.processes:
            process.clock_ahead = 0.0
        self._open_endpoints()

    def _open_endpoints(self) -> None:
        """Let go of what a 410 has closed, as a person would."""
        for name in self.endpoints:
            forced = self.stores.breaker(name).forced
            if forced is not None and forced.mode is ForcedMode.FORCED_OPEN:
                self.stores.breakers.apply(
                    name, Release(actor="op", reason="repaired"), now=self.store_clock()
                )


def simulate(
    seed: int,
    *,
    trace: bool = False,
    make_stores: MakeStores = MemoryStores,
) -> Outcome:
    """Run one seed, over the stores that *make_stores* makes."""
    world = World(seed, trace=trace, make_stores=make_stores)
    violation = ""
    try:
        world.run()
    except Violation as found:
        violation = str(found)
    except Exception as error:  # a bug that raises is found too
        violation = f"{type(error).__name__}: {error}"
    if violation:
        world.note(f"VIOLATION {violation}")
    return Outcome(
        seed=seed,
        violation=violation,
        steps=world.loop.steps,
        events=len(world.judge.events),
        trace=tuple(world.trace or ()),
    )
