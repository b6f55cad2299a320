"""One run: a seed makes a world, the world runs, the judge watches.

First events are committed and faults happen; then the faults end and everything must come to an end by itself;
then a person releases and re-sends what was left, and everything must arrive. Invariant: a seed is a run, to the
last line of its trace.
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
from webhooks_core.breaker import BreakerPolicy, ForcedMode, Release
from webhooks_core.delivery import Delivery, Permit, PermitVerdict
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.keys import KeyRing
from webhooks_core.outbox.base import Row, State
from webhooks_core.outbox.memory import MemoryOutbox
from webhooks_core.rate import RatePolicy
from webhooks_core.retry import RetryPolicy
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.stores.rates import MemoryRateStore
from webhooks_core.worker.policy import WorkerPolicy

START = 1_763_000_000.0
FAULTS_SECONDS = 45.0
PATIENCE_SECONDS = 4_000.0  # the longest honest wait: a row twenty times refused, waits of a minute, retries
MOST_STEPS = 20_000  # more events than this in one run is a loop that eats a processor
KEYS = {name: KeyRing.of(f"{name}-simulation-secret-".ljust(48, name)) for name in "abc"}
RETRY = RetryPolicy(max_attempts=3, retry_after_cap_seconds=90.0)
BREAKER = BreakerPolicy(window_seconds=120.0, max_fails=2, open_seconds=10.0, max_open_seconds=40.0)
ENDPOINTS = {
    EndpointId(name): Endpoint(id=EndpointId(name), url=f"https://{name}.example/in", keys=keys)
    for name, keys in KEYS.items()
}
ENDS = frozenset({State.DELIVERED, State.DEAD, State.DROPPED, State.HELD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to; `violation` is empty where all held."""

    seed: int
    violation: str = ""
    steps: int = 0
    events: int = 0
    trace: tuple[str, ...] = ()


class World:
    """Everything there is in one run."""

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.trace: list[str] | None = [] if trace else None
        rng = self.rng = Random(seed)
        self.start = START
        self.loop = Loop(START)
        self.faults = Faults.drawn(rng)
        self.judge = Judge(max_attempts=RETRY.max_attempts)
        names = [EndpointId(name) for name in "abc"[: rng.choice((1, 1, 2, 3))]]
        self.endpoints = {name: ENDPOINTS[name] for name in names}
        self.retry = RETRY
        self.policy = WorkerPolicy(
            threads=rng.choice((1, 2, 4)), ahead=rng.choice((0, 2)), batch=rng.choice((1, 3, 16)),
            poll_seconds=rng.choice((10.0, 60.0)), sweep_seconds=50.0, max_age_seconds=rng.choice((60.0, 86_400.0)),
            drain_seconds=5.0,
        )  # fmt: skip
        self.is_killed = False
        self.outage_until = 0.0
        self.store_ahead = 0.0
        self._tokens = 0
        self.outbox = MemoryOutbox(clock=self.store_clock, new_token=self._token)
        self.breakers = MemoryBreakerStore(BREAKER)
        self.rates = MemoryRateStore()
        self._rate = RatePolicy(per_second=2.0, burst=3.0) if rng.random() < 0.2 else None
        self._granted: dict[EndpointId, int] = {}
        self.network = Network(
            self.loop, rng, self.faults, list(self.endpoints.values()), effect=self.judge.effect
        )
        self.processes: list[Process] = []
        self._started = 0

    # --- what others ask --------------------------------------------------------------------------------

    def store_clock(self) -> float:
        """The clock of the shared store."""
        return self.loop.now + self.store_ahead

    def row(self, webhook_id: str) -> Row:
        row = self.outbox.find(webhook_id)
        require(row is not None, "an event vanished")
        assert row is not None
        return row

    def rows(self) -> dict[str, Row]:
        return {row.delivery.webhook_id: row for row in self.outbox.rows()}

    def permit(self) -> Permit:
        if self.is_killed:
            return Permit(verdict=PermitVerdict.HOLD, reason="kill switch")
        if self.faults.permit_fails and self.rng.random() < self.faults.permit_fails:
            raise ConnectionError("the flag's state cannot be learnt")
        return Permit(verdict=PermitVerdict.SEND)

    def provider_is_away(self) -> bool:
        return self.faults.provider_fails > 0 and self.rng.random() < self.faults.provider_fails

    def rate_of(self, name: EndpointId) -> RatePolicy | None:
        return self._rate

    def granted(self, name: EndpointId, count: int) -> None:
        """Watch the rate cap, as long as nobody set the store's clock."""
        total = self._granted[name] = self._granted.get(name, 0) + count
        rate = self._rate
        if rate is not None and not self.faults.store_jump:
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

    def _token(self) -> str:
        self._tokens += 1
        return f"t{self._tokens}"

    # --- the run ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the three parts; a `Violation` ends it."""
        self._plan_events()
        self._plan_faults()
        for number in range(self.rng.choice((1, 2, 2, 3))):
            self.boot(f"w{number}")
        self._let_pass(FAULTS_SECONDS)
        self._heal()
        self._let_pass(PATIENCE_SECONDS, stop=self._all_in(ENDS))
        self.judge.ended(self.rows(), allowed=ENDS)
        self._clear_up()
        self._let_pass(PATIENCE_SECONDS, stop=self._all_in(frozenset({State.DELIVERED, State.DROPPED})))
        self.judge.ended(self.rows(), allowed=frozenset({State.DELIVERED, State.DROPPED}))

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
            return self.judge.is_at_rest(self.rows(), allowed=states)

        return stop

    def _plan_events(self) -> None:
        rng = self.rng
        names = list(self.endpoints)
        keyed = rng.random() < 0.4
        for number in range(rng.choice((3, 6, 10))):
            name = rng.choice(names)
            key = f"match:{rng.randrange(2)}" if keyed and rng.random() < 0.7 else None
            unit = str(rng.randrange(3))
            self.loop.at(
                START + rng.random() ** 2 * 30,
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
            created_at=self.store_clock(),
            endpoint_id=name,
            unit=unit,
        )
        self.outbox.add(delivery, ordering_key=key)
        self.judge.added(delivery, key)
        self.note(f"event {webhook_id[:4]} for {name} unit {unit} key {key}")
        if self.rng.random() < 0.5:
            for process in self.processes:
                process.hint()

    def _plan_faults(self) -> None:
        for name, happen in self._happenings().items():
            rate: float = getattr(self.faults, name)
            for _ in range(3):
                if rate and self.rng.random() < rate:
                    self.loop.at(START + self.rng.random() * FAULTS_SECONDS, happen)

    def _happenings(self) -> dict[str, Callable[[], None]]:
        return {
            "outage": self._outage, "pause": self._pause, "clock_jump": self._clock_jump, "store_jump": self._store_jump,
            "kill": self._kill, "sigterm": self._sigterm, "operator": self._operate,
        }  # fmt: skip

    def _outage(self) -> None:
        self.outage_until = self.loop.now + self.rng.random() * 25
        self.note("outbox down")

    def _pause(self) -> None:
        """A process freezes; perhaps its supervisor starts another one under the same name meanwhile."""
        if self.processes:
            process = self.rng.choice(self.processes)
            process.is_paused_until = self.loop.now + self.rng.random() * 40
            self.note(f"{process.label} pauses")
            if self.rng.random() < 0.5 and len(self.processes) < 4:
                self.boot(process.name)

    def _clock_jump(self) -> None:
        if self.processes:
            process = self.rng.choice(self.processes)
            process.clock_ahead = self.rng.choice((-3600.0, -12.0, -3.0, 3.0, 12.0, 400.0, 3600.0))
            self.note(f"{process.label} clock {process.clock_ahead:+.0f}")

    def _store_jump(self) -> None:
        self.store_ahead = self.rng.choice((-60.0, -10.0, 10.0, 60.0))
        self.note(f"store clock {self.store_ahead:+.0f}")

    def _kill(self) -> None:
        self.is_killed = not self.is_killed
        self.note(f"kill switch {'on' if self.is_killed else 'off'}")

    def _sigterm(self) -> None:
        if self.processes:
            process = self.rng.choice(self.processes)
            self.note(f"{process.label} SIGTERM")
            process.act(process.drain)

    def _operate(self) -> None:
        """A person looks after the outbox in the middle of it all."""
        rows = self.outbox.rows()
        if rows:
            row = self.rng.choice(rows)
            verb = self.rng.choice(("release", "resend", "hold", "drop"))
            self._move(verb, [row.delivery.webhook_id])

    def _move(self, verb: str, webhook_ids: list[str]) -> None:
        moved = getattr(self.outbox, verb)(webhook_ids, reason="by hand")
        self.judge.changes += 1
        for webhook_id in sorted(moved):
            self.note(f"{verb} {webhook_id[:4]}")
            if verb in ("release", "resend"):
                self.judge.resent(webhook_id, verb, store_now=self.store_clock())

    def _heal(self) -> None:
        """The faults end: clocks are right, the store answers, the kill switch is off, breakers are let go."""
        self.note("faults end")
        for name in self.faults.__slots__:
            setattr(self.faults, name, 0.0)
        self.outage_until = self.store_ahead = 0.0
        self.is_killed = False
        for process in self.processes:
            process.clock_ahead = 0.0
        for name in self.endpoints:
            forced = self.breakers.state(name, now=self.store_clock()).forced
            if forced is not None and forced.mode is ForcedMode.FORCED_OPEN:
                self.breakers.apply(name, Release(actor="op", reason="repaired"), now=self.store_clock())

    def _clear_up(self) -> None:
        """A person releases what was held and sends again what was given up."""
        rows = self.outbox.rows()
        self._move("release", [row.delivery.webhook_id for row in rows if row.state is State.HELD])
        self._move("resend", [row.delivery.webhook_id for row in rows if row.state is State.DEAD])


def simulate(seed: int, *, trace: bool = False) -> Outcome:
    """Run one seed."""
    world = World(seed, trace=trace)
    violation = ""
    try:
        world.run()
    except Violation as found:
        violation = str(found)
        world.note(f"VIOLATION {violation}")
    return Outcome(
        seed=seed,
        violation=violation,
        steps=world.loop.steps,
        events=len(world.judge.events),
        trace=tuple(world.trace or ()),
    )
