"""The replay store in Redis when Redis is not as it should be; and sixteen processes that race for ids."""

from __future__ import annotations

import multiprocessing
import os
import time
import uuid
from collections.abc import Iterator

import pytest
import redis

from rollout.testing import ManualClock
from tests.fault_proxy import fault_proxy
from tests.redis_server import URL, RedisServer, bounded, connection, forget, own_server, patient
from webhooks_core.envelope import seal
from webhooks_core.errors import ConfigError
from webhooks_core.keys import KeyRing
from webhooks_core.receiving import Answer, Receiver
from webhooks_core.signer import sign
from webhooks_core.stores.redis_connection import RedisConnection, StoreClock
from webhooks_core.stores.redis_replay import RedisReplayStore
from webhooks_core.stores.replay import ClaimOutcome
from webhooks_core.verifier import Verified, Verifier

pytestmark = [pytest.mark.network, pytest.mark.redis]

NOW = 1_763_000_000.0
ID = "550e8400-e29b-41d4-a716-446655440000"
PROCESSES = 16
IDS = int(os.environ.get("ROLLOUT_RACE_IDS", "500"))


class Counter:
    """A handler that counts."""

    def __init__(self) -> None:
        self.handled: list[str] = []

    def __call__(self, verified: Verified) -> None:
        self.handled.append(verified.webhook_id)


class Receiving:
    """A receiver over a Redis store, and the sender whose deliveries it gets."""

    def __init__(self, url: str, keys: KeyRing) -> None:
        self.ahead = 0.0
        self.clock = ManualClock(NOW)
        self.keys = keys
        self.handler = Counter()
        self.used = RedisConnection(url, environment="test", monotonic=lambda: time.monotonic() + self.ahead)
        store = RedisReplayStore(patient(self.used), clock=StoreClock.CALLER)
        self.receiver = Receiver(Verifier(keys), store, self.handler, clock=self.clock)

    def request(self, webhook_id: str = ID) -> tuple[dict[str, str], bytes]:
        """An attempt that is signed now."""
        envelope = seal("payment_verified", {"tournament_id": 101}, webhook_id=webhook_id)
        headers = sign(
            envelope.body,
            event="payment_verified",
            webhook_id=webhook_id,
            keys=self.keys,
            now=self.clock(),
        )
        return headers, envelope.body

    def receive(self, request: tuple[dict[str, str], bytes]) -> Answer:
        """What the receiver answers."""
        return self.receiver.receive(*request)

    def settle(self) -> None:
        """Let the store's birth lie in the past: the first request of all makes it."""
        self.receive(self.request(str(uuid.UUID(int=1, version=4))))
        self.clock.advance(1)
        self.handler.handled.clear()


@pytest.fixture
def keys(secret: str) -> KeyRing:
    return KeyRing.of(secret)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with own_server() as running:
        yield running


def test_without_redis_nothing_is_handled(keys: KeyRing) -> None:
    """Fail closed: 503 with Retry-After, and the handler is not called."""
    receiving = Receiving("redis://127.0.0.1:1/0", keys)

    answer = receiving.receive(receiving.request())

    assert answer.status == 503
    assert dict(answer.headers)["Retry-After"] == "5"
    assert receiving.handler.handled == []


def test_a_black_hole_is_answered_in_time_and_goes_by_itself(server: RedisServer, keys: KeyRing) -> None:
    """503 within a tenth of a second; once Redis answers, the next attempt is handled, once."""
    with fault_proxy(server.port) as proxy:
        receiving = Receiving(proxy.url, keys)
        receiving.settle()
        bounded(receiving.used)
        proxy.silent = True
        begun = time.perf_counter()
        away = receiving.receive(receiving.request())
        spent = time.perf_counter() - begun
        proxy.silent = False
        patient(receiving.used)
        receiving.ahead += 1.0
        receiving.clock.advance(20)

        back = receiving.receive(receiving.request())
        again = receiving.receive(receiving.request())

    assert (away.status, back.status, again.status) == (503, 200, 200)
    assert spent < 0.25  # 0.1 s; the rest is for a busy machine
    assert receiving.handler.handled == [ID]
    assert again.body == b'{"status": "duplicate"}'


def test_a_redis_that_comes_back_empty_handles_nothing_from_before(
    server: RedisServer, keys: KeyRing
) -> None:
    """A captured request is refused with 503 although its id is unknown; a later attempt is handled."""
    receiving = Receiving(server.url, keys)
    receiving.settle()
    captured = receiving.request()
    handled = receiving.receive(captured)
    server.kill()
    server.start()
    receiving.ahead += 1.0
    receiving.clock.advance(5)

    replayed = [receiving.receive(captured) for _ in range(3)]
    receiving.clock.advance(1)
    other = receiving.receive(receiving.request(str(uuid.UUID(int=7, version=4))))

    assert handled.status == 200
    assert [answer.status for answer in replayed] == [503, 503, 503]
    assert other.status == 200
    assert receiving.handler.handled == [ID, str(uuid.UUID(int=7, version=4))]


def test_a_restart_with_data_is_a_new_birth_too(keys: KeyRing) -> None:
    """A snapshot on disk may lack the last moments: what was signed before the restart is refused."""
    with own_server() as server:
        receiving = Receiving(server.url, keys)
        receiving.settle()
        with redis.Redis.from_url(server.url) as client:
            client.save()
        captured = receiving.request()
        receiving.receive(captured)
        server.kill()
        server.start()
        receiving.ahead += 1.0
        with redis.Redis.from_url(server.url) as client:
            kept = client.exists("{test:replay:default}:birth")
        receiving.clock.advance(5)

        replayed = receiving.receive(captured)

    assert kept == 1
    assert replayed.status == 503
    assert receiving.handler.handled == [ID]


def test_the_first_request_of_all_is_asked_to_come_again(server: RedisServer, keys: KeyRing) -> None:
    """Nobody knows whether an empty Redis is new or has lost its data."""
    receiving = Receiving(server.url, keys)
    first = receiving.request()
    receiving.clock.advance(0.5)

    answer = receiving.receive(first)
    receiving.clock.advance(2)
    retried = receiving.receive(receiving.request())

    assert (answer.status, retried.status) == (503, 200)
    assert receiving.handler.handled == [ID]


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_may_evict_is_refused(policy: str) -> None:
    """It would forget ids that were handled."""
    with own_server("--maxmemory-policy", policy) as server:
        store = RedisReplayStore(connection(server.url, environment="test"))

        with pytest.raises(ConfigError, match=f'must be "noeviction", not "{policy}"'):
            store.claim(ID, None, now=NOW)


def test_a_policy_that_is_changed_later_is_noticed(server: RedisServer, keys: KeyRing) -> None:
    """Within a minute: 503 from then on."""
    receiving = Receiving(server.url, keys)
    receiving.settle()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    receiving.ahead += 61.0

    answer = receiving.receive(receiving.request())

    assert answer.status == 503
    assert receiving.handler.handled == []


def test_a_redis_that_refuses_to_write_is_away(server: RedisServer, keys: KeyRing) -> None:
    """Out of memory, or a replica after a fail-over: an error is no answer."""
    receiving = Receiving(server.url, keys)
    receiving.settle()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")

    answer = receiving.receive(receiving.request())

    assert answer.status == 503


def test_keys_run_out_and_only_the_birth_stays(server: RedisServer) -> None:
    """Ids live as long as they are remembered, signatures and claims for minutes."""
    store = RedisReplayStore(connection(server.url, environment="test"))
    store.done(store.claim(ID, "ab" * 32, now=0.0), now=0.0)
    store.claim("x" * 36, None, now=0.0)

    with redis.Redis.from_url(server.url) as client:
        lives = {key.decode().partition("}:")[2]: client.ttl(key) for key in client.scan_iter()}

    assert lives["birth"] == -1
    assert 7 * 86_400 <= lives[f"id:{ID}"] <= 7 * 86_400 + 60
    assert 330 <= lives["signature:" + "ab" * 32] <= 330 + 60
    assert 330 <= lives["id:" + "x" * 36] <= 330 + 60


def test_goes_by_the_clock_of_redis_unless_told() -> None:
    """Whatever a caller's clock says."""
    used = connection()
    try:
        claim = RedisReplayStore(used).claim(ID, None, now=0.0)

        assert claim.outcome is ClaimOutcome.NEW
        assert abs(claim.not_before - time.time()) < 5
    finally:
        forget(used)


def test_odd_ids_and_signatures_become_plain_keys() -> None:
    """A brace or a line end in a header never reaches a key."""
    used = connection()
    try:
        store = RedisReplayStore(used, clock=StoreClock.CALLER)
        odd = "msg_{x}\n*"

        first, second = (store.claim(odd, "v1,AbC/+=", now=NOW).outcome for _ in range(2))
        with redis.Redis.from_url(URL) as client:
            keys = [key.decode() for key in client.scan_iter(match=f"{{{used.environment}:*")]

        assert (first, second) == (ClaimOutcome.NEW, ClaimOutcome.BUSY)
        assert all(key.count("{") == 1 and "\n" not in key for key in keys)
    finally:
        forget(used)


def _race(environment: str, number: int, barrier: object, found: object) -> None:
    """Claim every id, handle the new ones; begin at a place of one's own, so that all meet all the time."""
    store = RedisReplayStore(connection(environment=environment))
    store.check()
    barrier.wait()  # type: ignore[attr-defined]
    effects = []
    for step in range(IDS):
        webhook_id = str(uuid.UUID(int=(step + number % 2 * IDS // 2) % IDS))
        claim = store.claim(webhook_id, None, now=0.0)
        if claim.is_mine:
            effects.append(webhook_id)
            assert store.done(claim, now=0.0)
    found.put(effects)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_sixteen_processes_that_race_have_one_effect_for_each_id() -> None:
    """Sixteen processes claim the same ids: each id is handled once, none twice, none never.

    500 ids in the gate; `ROLLOUT_RACE_IDS=10000` by hand takes a minute (docs/contributing/crash.md).
    """
    used = connection()
    spawn = multiprocessing.get_context("spawn")
    barrier, found = spawn.Barrier(PROCESSES), spawn.Queue()
    try:
        processes = [
            spawn.Process(target=_race, args=(used.environment, number, barrier, found))
            for number in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        effects = [effect for _ in processes for effect in found.get(timeout=300)]
        for process in processes:
            process.join(10)

        assert len(effects) == IDS
        assert len(set(effects)) == IDS
    finally:
        forget(used)
