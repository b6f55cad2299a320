"""The breaker in Redis when Redis is not as it should be: gone, empty, silent, slow; and many at once."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fault_proxy import FaultProxy, fault_proxy
from tests.redis_server import URL, RedisServer, bounded, connection, forget, own_server, patient
from webhooks_core.breaker import (
    Admit,
    BreakerPolicy,
    Cause,
    Failed,
    Force,
    ForcedMode,
    Refused,
    Release,
    State,
    Step,
    Succeeded,
    Ticket,
)
from webhooks_core.stores.redis_breakers import RedisBreakerStore
from webhooks_core.stores.redis_connection import RedisConnection, StoreClock

pytestmark = [pytest.mark.network, pytest.mark.redis]

NOW = 1_763_000_000.0
BOUND_SECONDS = 0.1 + 0.15  # the contract's bound, and what a busy machine adds to any measurement


class Skipping:
    """A monotonic clock that can be moved on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with own_server() as running:
        yield running


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[FaultProxy]:
    with fault_proxy(server.port) as running:
        yield running


def store_at(url: str, ticks: Skipping, *, environment: str = "test") -> RedisBreakerStore:
    used = patient(RedisConnection(url, environment=environment, monotonic=ticks))
    return RedisBreakerStore(used, clock=StoreClock.CALLER)


def ask(store: RedisBreakerStore, *, now: float = NOW, token: str = "") -> Ticket | Refused:
    answer = store.apply("a", Admit(token=token), now=now).answer
    assert answer is not None
    return answer


def fail(store: RedisBreakerStore, times: int = 5) -> None:
    for _ in range(times):
        ticket = ask(store)
        assert isinstance(ticket, Ticket)
        store.apply("a", Failed(ticket=ticket), now=NOW)


def test_what_one_process_opens_another_refuses(server: RedisServer) -> None:
    """Five failures told by one store open the breaker of the other."""
    ticks = Skipping()
    one, other = (store_at(server.url, ticks, environment="shared") for _ in range(2))
    before = ask(other)

    fail(one)
    ticks.ahead += 0.25

    assert isinstance(before, Ticket)
    assert ask(other) == Refused(retry_at=NOW + 60)


def test_a_snapshot_answers_for_a_quarter_of_a_second_without_redis(proxy: FaultProxy) -> None:
    """Within 250 ms of the last exchange nothing is asked; counted successes are told once a second."""
    ticks = Skipping()
    store = store_at(proxy.url, ticks, environment="snapshot")
    ticket = ask(store)
    assert isinstance(ticket, Ticket)
    proxy.silent = True

    begun = time.perf_counter()
    for _ in range(1000):
        assert ask(store) is ticket
        store.apply("a", Succeeded(ticket=ticket), now=NOW + 0.5)

    assert time.perf_counter() - begun < 0.2  # half of it is what one that asks would wait alone


def test_a_black_hole_costs_a_tenth_of_a_second_once(proxy: FaultProxy) -> None:
    """The last known state answers in time; for the next 250 ms nobody even tries."""
    ticks = Skipping()
    store = store_at(proxy.url, ticks, environment="hole")
    fail(store)
    bounded(store._redis)
    proxy.silent = True
    ticks.ahead += 1.0

    spent, answers = [], []
    for _ in range(3):
        begun = time.perf_counter()
        answers.append(ask(store))
        spent.append(time.perf_counter() - begun)

    assert answers == [Refused(retry_at=NOW + 60)] * 3
    assert spent[0] < BOUND_SECONDS
    assert max(spent[1:]) < 0.05  # half of what one that tries would wait at least


def test_threads_that_wait_for_each_other_keep_the_bound_too(proxy: FaultProxy) -> None:
    """Twenty threads ask into a black hole at once: each has its answer in time."""
    ticks = Skipping()
    store = store_at(proxy.url, ticks, environment="threads")
    ask(store)
    bounded(store._redis)
    proxy.silent = True
    ticks.ahead += 1.0

    def timed(_: int) -> float:
        begun = time.perf_counter()
        ask(store)
        return time.perf_counter() - begun

    with ThreadPoolExecutor(20) as pool:
        spent = list(pool.map(timed, range(20)))

    assert max(spent) < 0.5  # 0.1 s each, two in a row; the rest is for a busy machine with twenty threads


def test_a_slow_redis_is_waited_for_no_longer_than_the_bound(proxy: FaultProxy) -> None:
    """Replies that take 60 ms: connecting and asking together still end in time."""
    proxy.delay_seconds = 0.06
    used = RedisConnection(proxy.url, environment="slow")
    store = RedisBreakerStore(used, clock=StoreClock.CALLER)

    begun = time.perf_counter()
    answer = ask(store)

    assert isinstance(answer, Ticket)
    assert time.perf_counter() - begun < BOUND_SECONDS


def test_goes_on_by_itself_after_a_reset(proxy: FaultProxy) -> None:
    """A connection that is reset costs at most one answer from memory; then Redis is asked again."""
    ticks = Skipping()
    store = store_at(proxy.url, ticks, environment="reset")
    ask(store)
    proxy.reset()
    time.sleep(0.12)
    ticks.ahead += 1.0
    ask(store)

    ticks.ahead += 1.0
    fail(store)

    assert store.state("a", now=NOW).state is State.OPEN
    assert ask(store_at(proxy.url, ticks, environment="reset")) == Refused(retry_at=NOW + 60)


def test_without_redis_a_store_goes_on_alone() -> None:
    """Nothing listens: closed at first, five failures open, the open time ends in a probe of its own."""
    store = store_at("redis://127.0.0.1:1/0", Skipping())
    fail(store)

    refused = ask(store)
    probe = ask(store, now=NOW + 60)
    other = ask(store, now=NOW + 60)
    assert isinstance(probe, Ticket)
    store.apply("a", Succeeded(ticket=probe), now=NOW + 61)

    assert refused == Refused(retry_at=NOW + 60)
    assert probe.is_probe
    assert probe.generation < 0
    assert isinstance(other, Refused)
    assert isinstance(ask(store, now=NOW + 61), Ticket)


def test_what_was_decided_alone_is_forgotten_once_redis_is_back(proxy: FaultProxy) -> None:
    """A breaker that opened during the outage is closed again by the shared state; its tickets are stale."""
    ticks = Skipping()
    store = store_at(proxy.url, ticks, environment="alone")
    ask(store)
    bounded(store._redis)
    proxy.silent = True
    ticks.ahead += 1.0
    fail(store)
    alone = ask(store)
    probe = ask(store, now=NOW + 60)
    proxy.silent = False
    patient(store._redis)
    ticks.ahead += 1.0

    back = ask(store, now=NOW + 61)
    assert isinstance(probe, Ticket)
    store.apply("a", Failed(ticket=probe), now=NOW + 61)

    assert alone == Refused(retry_at=NOW + 60)
    assert isinstance(back, Ticket)
    assert not back.is_probe
    assert store.state("a", now=NOW + 61).failures == ()


def test_a_redis_that_comes_back_empty_is_told_what_was_open() -> None:
    """Killed and empty: whoever remembers the open breaker puts it back, for those too who know nothing."""
    ticks = Skipping()
    with own_server() as server:
        store = store_at(server.url, ticks)
        store.apply(
            "a", Force(mode=ForcedMode.FORCED_OPEN, actor="ops", reason="down", until=NOW + 900), now=NOW
        )
        server.kill()
        ticks.ahead += 1.0
        away = ask(store)
        server.start()
        ticks.ahead += 1.0

        back = ask(store)
        stranger = ask(store_at(server.url, ticks))
        store.apply("a", Release(actor="ops", reason="up"), now=NOW + 1)
        ticks.ahead += 1.0
        after = ask(store, now=NOW + 1)

    assert away == back == stranger == Refused(retry_at=NOW + 900)
    assert isinstance(after, Ticket)
    assert after.is_probe


def test_a_redis_that_comes_back_empty_finds_a_closed_breaker_closed() -> None:
    """Failures that were counted are forgotten with it, and their tickets are stale."""
    ticks = Skipping()
    with own_server() as server:
        store = store_at(server.url, ticks)
        fail(store, 4)
        late = ask(store)
        server.kill()
        server.start()
        ticks.ahead += 1.0

        assert isinstance(late, Ticket)
        store.apply("a", Failed(ticket=late), now=NOW)
        store.apply("a", Failed(ticket=late), now=NOW)

        assert store.state("a", now=NOW).failures == ()


def test_a_script_that_redis_has_forgotten_is_sent_again(server: RedisServer) -> None:
    """SCRIPT FLUSH costs one longer call and nothing else."""
    import redis

    store = store_at(server.url, Skipping(), environment="flush")
    fail(store, 4)
    with redis.Redis.from_url(server.url) as client:
        client.script_flush()

    fail(store, 1)

    assert store.state("a", now=NOW).state is State.OPEN


def test_a_log_that_somebody_spoiled_is_left_alone(server: RedisServer) -> None:
    """An entry that is none of ours: the store goes on alone and never raises."""
    import redis

    ticks = Skipping()
    store = store_at(server.url, ticks, environment="spoilt")
    fail(store, 4)
    with redis.Redis.from_url(server.url) as client:
        client.rpush("{spoilt:breaker:a}", "0 nonsense")
    ticks.ahead += 1.0

    fail(store, 1)

    assert ask(store) == Refused(retry_at=NOW + 60)


def test_the_log_stays_short_and_lives_two_days(server: RedisServer) -> None:
    """Whatever happens, some thirty entries; a person's word for a century is kept for a century."""
    import redis

    store = store_at(server.url, Skipping(), environment="short")
    for _ in range(500):
        store.apply("a", Succeeded(ticket=Ticket(generation=10**15)), now=NOW)
    with redis.Redis.from_url(server.url) as client:
        entries, lives = client.llen("{short:breaker:a}"), client.ttl("{short:breaker:a}")
        century = NOW + 100 * 365 * 86_400
        store.apply(
            "a", Force(mode=ForcedMode.FORCED_OPEN, actor="gone", reason="410", until=century), now=NOW
        )
        store.apply("a", Admit(), now=NOW)
        forced = client.ttl("{short:breaker:a}")

    assert entries <= 3 + 33
    assert 86_400 < lives <= 2 * 86_400
    assert forced > 100 * 365 * 86_400


def test_goes_by_the_clock_of_redis_unless_told() -> None:
    """Whatever a caller's clock says, the open time begins at Redis's; it is told by the caller's."""
    used = connection()
    try:
        store = RedisBreakerStore(used)
        for _ in range(5):
            ticket = store.apply("a", Admit(), now=0.0).answer
            assert isinstance(ticket, Ticket)
            store.apply("a", Failed(ticket=ticket), now=0.0)

        answer = store.apply("a", Admit(), now=9e9).answer

        assert isinstance(answer, Refused)
        assert abs(answer.retry_at - 60 - 9e9) < 5
        assert abs(store.state("a", now=time.time() - 3_600).retry_at - 60 - time.time() + 3_600) < 5
    finally:
        forget(used)


def _fails_together(environment: str, barrier: object, found: object) -> None:
    store = RedisBreakerStore(connection(environment=environment), BreakerPolicy(max_fails=50))
    barrier.wait()  # type: ignore[attr-defined]

    def one(_: int) -> Step:
        ticket = store.apply("a", Admit(), now=0.0).answer
        assert isinstance(ticket, Ticket)
        return store.apply("a", Failed(ticket=ticket), now=0.0)

    with ThreadPoolExecutor(10) as pool:
        for step in pool.map(one, range(10)):
            found.put([change.cause for change in step.changes])  # type: ignore[attr-defined]


def _asks_together(environment: str, barrier: object, found: object) -> None:
    store = RedisBreakerStore(connection(environment=environment), clock=StoreClock.CALLER)
    barrier.wait()  # type: ignore[attr-defined]
    with ThreadPoolExecutor(10) as pool:
        for answer in pool.map(lambda number: ask(store, now=NOW + 60, token=str(number)), range(10)):
            found.put(isinstance(answer, Ticket))  # type: ignore[attr-defined]


def _together(work: object, environment: str) -> list[object]:
    """Run *work* in five processes of ten threads, and return what the fifty found."""
    spawn = multiprocessing.get_context("spawn")
    barrier, found = spawn.Barrier(5), spawn.Queue()
    processes = [
        spawn.Process(target=work, args=(environment, barrier, found))  # type: ignore[arg-type]
        for _ in range(5)
    ]
    for process in processes:
        process.start()
    answers = [found.get(timeout=60) for _ in range(50)]
    for process in processes:
        process.join(10)
    return answers


@pytest.mark.slow
def test_fifty_workers_that_fail_at_once_are_fifty_failures() -> None:
    """Five processes of ten threads: the fiftieth failure opens, and one of them is told that it did."""
    used = connection()
    try:
        causes = _together(_fails_together, used.environment)

        assert sorted(causes, key=str) == [[Cause.TOO_MANY_FAILURES]] + [[]] * 49
    finally:
        forget(used)


@pytest.mark.slow
def test_fifty_workers_that_ask_at_once_get_one_probe() -> None:
    """The open time is over for five processes of ten threads: one of the fifty is let through."""
    used = connection()
    try:
        fail(RedisBreakerStore(used, clock=StoreClock.CALLER))

        answers = _together(_asks_together, used.environment)

        assert sorted(answers) == [False] * 49 + [True]  # type: ignore[type-var]
    finally:
        forget(used)


def _forked(store: RedisBreakerStore, found: object) -> None:
    found.put(store.apply("a", Admit(), now=NOW).answer)  # type: ignore[attr-defined]


def test_a_fork_has_a_connection_of_its_own() -> None:
    """Children of a process that has used its store get their own answers, and so does it afterwards."""
    used = connection()
    try:
        store = RedisBreakerStore(used, clock=StoreClock.CALLER, snapshot_seconds=0)
        fail(store)
        fork = multiprocessing.get_context("fork")
        found = fork.Queue()

        children = [fork.Process(target=_forked, args=(store, found)) for _ in range(4)]
        for child in children:
            child.start()
        answers = [found.get(timeout=20) for _ in children]
        for child in children:
            child.join(10)

        assert answers == [Refused(retry_at=NOW + 60)] * 4
        assert ask(store) == Refused(retry_at=NOW + 60)
    finally:
        forget(used)


def test_the_shared_address_is_the_one_that_tests_are_given() -> None:
    """A look at the server that the other tests use: it answers."""
    assert connection(URL).info("server")["redis_version"]
