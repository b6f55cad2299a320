"""Redis is killed and comes back empty while senders and receivers are at work: they go on, nothing twice."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer, own_server
from webhooks_core.breaker import (
    Admit,
    BreakerPolicy,
    BreakerState,
    Command,
    Force,
    ForcedMode,
    Refused,
    Step,
)
from webhooks_core.delivery import Delivered, Delivery, Retrying, Sender
from webhooks_core.endpoint import Endpoint
from webhooks_core.envelope import seal
from webhooks_core.keys import KeyRing
from webhooks_core.receiving import Receiver
from webhooks_core.stores.redis_breakers import RedisBreakerStore
from webhooks_core.stores.redis_connection import RedisConnection
from webhooks_core.stores.redis_replay import RedisReplayStore
from webhooks_core.transport.base import Request, Response
from webhooks_core.verifier import Verified, Verifier

pytestmark = [pytest.mark.network, pytest.mark.redis, pytest.mark.slow]

SENDERS = 4
BOUND_SECONDS = 0.1
BUSY_SECONDS = 0.4  # what four threads on a busy machine add to the longest of thousands of measurements
DOWN = "down"  # an endpoint that a person has forced open


class Timed:
    """The breakers, and how long each answer took."""

    def __init__(self, store: RedisBreakerStore) -> None:
        self.policy = store.policy
        self.spent: list[float] = []
        self._store = store

    def apply(self, endpoint_id: str, command: Command, *, now: float, jitter_value: float = 0.0) -> Step:
        """Ask the store."""
        begun = time.perf_counter()
        step = self._store.apply(endpoint_id, command, now=now, jitter_value=jitter_value)
        self.spent.append(time.perf_counter() - begun)
        return step

    def state(self, endpoint_id: str, *, now: float) -> BreakerState:
        """Ask the store."""
        return self._store.state(endpoint_id, now=now)


class Line:
    """A transport that leads to a receiver in this process, and keeps what it carried."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.carried: list[Request] = []

    def send(self, request: Request) -> Response:
        """Hand the request over."""
        self.carried.append(request)
        answer = self.receiver.receive(request.headers, request.body)
        return Response(status=answer.status)

    def close(self) -> None:
        """Nothing is open."""


class Load:
    """Senders with their breakers, and a receiver with its replay guard, all on one Redis."""

    def __init__(self, url: str, secret: str) -> None:
        keys = KeyRing.of(secret)
        self.effects: Counter[str] = Counter()
        self.delivered: list[str] = []
        self.refused: list[bool] = []
        self.connections = [RedisConnection(url, environment="load") for _ in range(2)]
        replays = RedisReplayStore(self.connections[0])
        self.line = Line(Receiver(Verifier(keys), replays, self._take_effect))
        policy = BreakerPolicy(max_fails=9_999)  # what the receiver refuses for want of Redis opens nothing
        self.breakers = Timed(RedisBreakerStore(self.connections[1], policy))
        self.sender = Sender(self.line, self.breakers)
        self.endpoint = Endpoint(url="https://receiver.example/in", keys=keys)
        self.breakers.apply(
            DOWN, Force(mode=ForcedMode.FORCED_OPEN, actor="ops", reason="down", until=time.time() + 900),
            now=time.time(),
        )  # fmt: skip
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each sender finish what it has begun."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(20)

    def close(self) -> None:
        """Let go of Redis."""
        for connection in self.connections:
            connection.close()

    def until(self, more: int) -> None:
        """Wait for so many more deliveries."""
        wanted, end = len(self.delivered) + more, time.monotonic() + 20
        while len(self.delivered) < wanted:
            assert time.monotonic() < end, "the senders do not go on"
            time.sleep(0.01)

    def _take_effect(self, verified: Verified) -> None:
        self.effects[verified.webhook_id] += 1

    def _work(self) -> None:
        while not self._stopped.is_set():
            envelope = seal("payment_verified", {"tournament_id": 1}, webhook_id=str(uuid.uuid4()))
            delivery = Delivery(
                webhook_id=envelope.webhook_id,
                event=envelope.event,
                body=envelope.body,
                created_at=time.time(),
            )
            while isinstance(settlement := self.sender.attempt(delivery, self.endpoint), Retrying):
                time.sleep(0.05)  # and again as the first attempt, as long as it takes
            assert isinstance(settlement, Delivered)
            self.delivered.append(delivery.webhook_id)
            answer = self.breakers.apply(DOWN, Admit(token="probe"), now=time.time()).answer
            self.refused.append(isinstance(answer, Refused))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with own_server() as running:
        yield running


def test_senders_go_on_and_nothing_happens_twice_when_redis_loses_everything(
    server: RedisServer, secret: str
) -> None:
    """Killed twice, empty each time: the forced breaker stays forced, captured requests are refused."""
    load = Load(server.url, secret)
    try:
        load.until(100)
        for _ in range(2):
            server.kill()
            time.sleep(0.4)
            server.start()
            load.until(100)
    finally:
        load.stop()
    delivered, handled = set(load.delivered), dict(load.effects)
    captured = [request for request in load.line.carried if request.headers["X-Webhook-Id"] in handled]

    for request in captured:
        load.line.receiver.receive(request.headers, request.body)
    load.close()

    assert set(handled) == delivered
    assert set(handled.values()) == {1}
    assert load.effects == Counter(handled)
    assert all(load.refused)
    assert max(load.breakers.spent) < BOUND_SECONDS + BUSY_SECONDS
    slow = [spent for spent in load.breakers.spent if spent > BOUND_SECONDS]
    assert len(slow) < len(load.breakers.spent) / 50
