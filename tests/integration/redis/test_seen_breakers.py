"""Many breakers asked for at once: what the fleet has told of each, in few round trips and one bound."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from tests.fault_proxy import fault_proxy
from tests.redis_server import RedisServer, bounded, own_server, patient
from webhooks_core.breaker import Admit, Failed, Force, ForcedMode, State, Succeeded, Ticket
from webhooks_core.stores.redis_breakers import AT_ONCE, RedisBreakerStore
from webhooks_core.stores.redis_connection import RedisConnection, StoreClock

pytestmark = [pytest.mark.network, pytest.mark.redis]

NOW = 1_763_000_000.0
MANY = [f"endpoint-{number}" for number in range(2 * AT_ONCE + 1)]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with own_server() as running:
        yield running


def store_at(url: str, *, environment: str) -> RedisBreakerStore:
    return RedisBreakerStore(
        patient(RedisConnection(url, environment=environment)), clock=StoreClock.CALLER, snapshot_seconds=0
    )


def open_breaker(store: RedisBreakerStore, endpoint_id: str, *, now: float = NOW) -> None:
    """Let five attempts fail."""
    for _ in range(5):
        ticket = store.apply(endpoint_id, Admit(), now=now).answer
        assert isinstance(ticket, Ticket)
        store.apply(endpoint_id, Failed(ticket=ticket), now=now)


def test_each_is_told_as_the_fleet_knows_it(server: RedisServer) -> None:
    """What another process has opened is open, over the edges of the batches too; all others are closed."""
    one, other = (store_at(server.url, environment="many") for _ in range(2))
    opened = {MANY[0], MANY[AT_ONCE - 1], MANY[AT_ONCE], MANY[-1]}
    before = other.seen(MANY, now=NOW)
    for endpoint_id in opened:
        open_breaker(one, endpoint_id)

    after = other.seen(MANY, now=NOW)

    assert [each.state for each in before.values()] == [State.CLOSED] * len(MANY)
    assert list(after) == MANY
    assert {name for name, each in after.items() if each.state is State.OPEN} == opened
    assert after == {name: one.state(name, now=NOW) for name in MANY}


def test_looking_moves_no_success_into_another_minute(server: RedisServer) -> None:
    """Successes of five minutes ago that were not told yet keep no breaker closed that fails now."""
    store = store_at(server.url, environment="looking")
    ticket = store.apply("a", Admit(), now=NOW).answer
    assert isinstance(ticket, Ticket)
    for _ in range(20):
        store.apply("a", Succeeded(ticket=ticket), now=NOW)

    store.seen(["a"], now=NOW + 300)

    open_breaker(store, "a", now=NOW + 300)
    assert store.state("a", now=NOW + 300).state is State.OPEN


def test_an_empty_redis_is_told_what_was_open(server: RedisServer) -> None:
    """Looking notices that the log is lost, and gives back what a person has said."""
    store = store_at(server.url, environment="lost")
    store.apply("a", Force(mode=ForcedMode.FORCED_OPEN, actor="ops", reason="down", until=NOW + 900), now=NOW)
    with redis.Redis.from_url(server.url) as client:
        client.flushdb()

    found = store.seen(["a", "b"], now=NOW)

    other = store_at(server.url, environment="lost")
    assert {name: each.forced is not None for name, each in found.items()} == {"a": True, "b": False}
    assert other.seen(["a"], now=NOW)["a"].forced == found["a"].forced


def test_one_log_that_somebody_spoiled_leaves_out_one(server: RedisServer) -> None:
    """The others are told; of that one nothing is known."""
    store = store_at(server.url, environment="spoiled")
    open_breaker(store, "a")
    with redis.Redis.from_url(server.url) as client:
        client.rpush("{spoiled:breaker:a}", "1.0 nonsense")

    found = store_at(server.url, environment="spoiled").seen(["a", "b"], now=NOW)

    assert list(found) == ["b"]


def test_a_script_that_redis_has_forgotten_is_sent_again(server: RedisServer) -> None:
    """One of the batch is sent in full, and the rest by its digest."""
    store = store_at(server.url, environment="forgotten")
    with redis.Redis.from_url(server.url) as client:
        client.script_flush()

    assert list(store.seen(MANY, now=NOW)) == MANY


def test_a_slow_redis_is_waited_for_once_for_many() -> None:
    """Answers that take 20 ms: one by one, 201 breakers would be four seconds."""
    with own_server() as server, fault_proxy(server.port) as proxy:
        store = store_at(proxy.url, environment="slow")
        proxy.delay_seconds = 0.02

        begun = time.perf_counter()
        found = store.seen(MANY, now=NOW)
        spent = time.perf_counter() - begun

    assert list(found) == MANY
    assert spent < 1.0


def test_a_redis_that_goes_away_leaves_what_it_told(server: RedisServer) -> None:
    """What Redis told just now is still known while it answers nobody."""
    with fault_proxy(server.port) as proxy:
        store = store_at(proxy.url, environment="hole")
        store.seen(MANY, now=NOW)
        bounded(store._redis)
        proxy.silent = True

        found = store.seen(MANY, now=NOW)

    assert list(found) == MANY
