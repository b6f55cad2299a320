"""What the worker's tests are set up with: one clock, a memory outbox, a fake transport, some endpoints.

One `Bench` is one world with one worker; a test moves its clock and looks at its rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from webhooks_core.breaker import BreakerPolicy
from webhooks_core.delivery import Sender, SendPermit, always_send
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.envelope import seal
from webhooks_core.keys import KeyRing
from webhooks_core.outbox.base import Outbox, Row, State
from webhooks_core.outbox.memory import MemoryOutbox, MemoryRows
from webhooks_core.settlement import Delivery
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.testing.observer import RecordingObserver
from webhooks_core.testing.transport import Answer, FakeTransport
from webhooks_core.worker.claiming import Claiming, RateOf, no_rate
from webhooks_core.worker.policy import WorkerPolicy
from webhooks_core.worker.service import Heartbeat, Worker

NOW = 1_763_000_000.0
BOOT = 5_000.0  # what the monotonic clock shows at NOW
KEYS = {name: KeyRing.of(name * 40) for name in "abc"}
ENDPOINTS = {
    EndpointId(name): Endpoint(id=EndpointId(name), url=f"https://{name}.example/in", keys=keys)
    for name, keys in KEYS.items()
}
A, B, C = (EndpointId(name) for name in "abc")


def policy_of(**changes: float) -> WorkerPolicy:
    """Return a small worker's policy; what is settled waits for company for a microsecond only."""
    small = WorkerPolicy(threads=4, ahead=0, batch=8, settle_within_seconds=1e-6)
    return replace(small, **changes)  # type: ignore[arg-type]


class FlakyOutbox:
    """An outbox whose calls raise while `is_down`; those in `applied` raise after they were carried out."""

    def __init__(self, real: Outbox) -> None:
        self.is_down = False
        self.applied: set[str] = set()
        self.calls: list[str] = []
        self._real = real

    def __getattr__(self, name: str) -> object:
        """Return the real method, guarded."""
        real = getattr(self._real, name)

        def call(*args: object, **named: object) -> object:
            self.calls.append(name)
            if self.is_down:
                raise ConnectionError("no outbox")
            answer = real(*args, **named)
            if name in self.applied:
                raise ConnectionError("nobody knows")
            return answer

        return call


class Bench:
    """One world."""

    def __init__(
        self,
        script: Iterable[Answer] = (),
        *,
        endpoints: str = "a",
        policy: WorkerPolicy | None = None,
        permit: SendPermit = always_send,
        max_fails: int = 5,
        rate_of: RateOf = no_rate,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self.now = NOW
        self.clock_ahead = 0.0
        self.rows = MemoryRows()
        self.outbox = MemoryOutbox(rows=self.rows, clock=lambda: self.now)
        self.flaky = FlakyOutbox(self.outbox)
        self.transport = FakeTransport(script)
        self.breakers = MemoryBreakerStore(BreakerPolicy(max_fails=max_fails))
        self.seen = RecordingObserver()
        self.endpoints = {EndpointId(name): ENDPOINTS[EndpointId(name)] for name in endpoints}
        self.policy = policy_of() if policy is None else policy
        self.sender = Sender(
            self.transport,
            self.breakers,
            permit=permit,
            observer=self.seen,
            max_age_seconds=self.policy.max_age_seconds,
            clock=lambda: self.now + self.clock_ahead,
            monotonic=self.monotonic,
            rng=lambda: 0.0,
        )
        self.claiming = Claiming(
            self.endpoints, self.breakers, self.policy, clock=self.sender.clock, rate_of=rate_of
        )
        self.worker = Worker(
            self.flaky,  # type: ignore[arg-type]
            self.sender,
            self.endpoints,
            breakers=self.breakers,
            name="w1",
            policy=self.policy,
            claiming=self.claiming,
            heartbeat=heartbeat,
            observer=self.seen,
            monotonic=self.monotonic,
        )

    def monotonic(self) -> float:
        """Seconds since boot."""
        return BOOT + self.now - NOW

    def add(
        self, number: int, *, endpoint: EndpointId = A, unit: str = "101", body: bytes | None = None
    ) -> str:
        """Commit an event and return its id."""
        webhook_id = f"00000000-0000-4000-8000-{number:012d}"
        written = seal("tested", {"number": number}, webhook_id=webhook_id).body
        delivery = Delivery(
            webhook_id=webhook_id,
            event="tested",
            body=written if body is None else body,
            created_at=self.now,
            endpoint_id=endpoint,
            unit="101",
        )
        self.outbox.add(delivery)
        return webhook_id

    def row(self, webhook_id: str) -> Row:
        """Return a row that must be there."""
        row = self.outbox.find(webhook_id)
        assert row is not None
        return row

    def states(self) -> list[State]:
        """Return the states of all rows, oldest first."""
        return [row.state for row in self.outbox.rows()]

    def turn(self) -> float:
        """Step, hand out, attempt and take back, once; return when to turn again (monotonic)."""
        wake_at = self.worker.step()
        jobs = self.worker.hand_out()
        for job in jobs:
            self.worker.came_back(job, self.worker.attempt(job) if self.worker.begin(job) else None)
        return self.monotonic() if jobs else wake_at

    def work(self, *, turns: int = 40) -> None:
        """Turn until the worker would sleep for longer than it waits for company of a settlement."""
        for _ in range(turns):
            wait = self.turn() - self.monotonic()
            if wait > 2 * self.policy.settle_within_seconds:
                return
            self.now += max(0.0, wait)
        raise AssertionError("the worker never sleeps")
