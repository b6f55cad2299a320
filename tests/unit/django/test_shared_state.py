"""`REDIS`, `BREAKER_STORE` and `REPLAY_STORE`: what they may say, and what is never shown of them."""

from __future__ import annotations

import importlib.util
import pprint
from typing import Any

import pytest

from webhooks_core.django import conf, shared_state
from webhooks_core.django.shared_state import CACHE_BACKEND, RedisAddress

PASSWORD = "hunter2hunter2"
ADDRESS = f"rediss://:{PASSWORD}@redis.example.com:6380/2"


def load(caches: object = None, **table: Any) -> conf.WebhookSettings:
    """Parse a `WEBHOOKS` table beside Django's `CACHES`."""
    return conf.load({"WEBHOOKS": {"ENVIRONMENT": "test", **table}, "CACHES": caches}.get, debug=False)


def cache(location: object = ADDRESS, backend: str = CACHE_BACKEND, **more: object) -> dict[str, object]:
    """Django's `CACHES` with one cache, *shared*."""
    return {"shared": {"BACKEND": backend, "LOCATION": location, **more}}


@pytest.mark.parametrize(("engine", "store"), [("inline", "memory"), ("worker", "database")])
def test_workers_share_their_breakers_unless_told_otherwise(engine: str, store: str) -> None:
    """A breaker of one process alone would let every worker find out for itself."""
    found = load(ENGINE=engine).shared

    assert (found.breakers, found.replays, found.redis) == (store, None, None)


@pytest.mark.parametrize("store", shared_state.STORES)
@pytest.mark.parametrize("engine", ["inline", "worker"])
def test_each_store_may_be_chosen_with_each_engine(engine: str, store: str) -> None:
    """Three stores that behave alike."""
    found = load(ENGINE=engine, REDIS=ADDRESS, BREAKER_STORE=store, REPLAY_STORE=store)

    assert found.problems == ()
    assert (found.shared.breakers, found.shared.replays) == (store, store)


@pytest.mark.parametrize(
    "address",
    [
        "redis://127.0.0.1",
        "redis://127.0.0.1:6379/0",
        "redis://user:p%40ss@[::1]:6379/15",
        "rediss://redis.example.com:6380/2?ssl_cert_reqs=required",
        "unix:///var/run/redis.sock?db=3",
        "unix://:secret@/var/run/redis.sock",
    ],
)
def test_an_address_of_redis_is_taken(address: str) -> None:
    """All three kinds, each as redis-py reads it."""
    found = load(REDIS=address)

    assert (found.problems, found.shared.redis) == ((), address)


BAD = [
    "",
    "127.0.0.1:6379",
    "http://127.0.0.1:6379/0",
    "redis://",
    "redis:///0",
    "redis://127.0.0.1:port/0",
    "redis://127.0.0.1:99999/0",
    "redis://127.0.0.1:0/0",
    "redis://127.0.0.1/zero",
    "redis://127.0.0.1/0#1",
    "redis://127.0.0.1/0?socket_timeout=60",
    "redis://127.0.0.1/0?ssl_ca_certs=/etc/ca.pem",
    "redis://127.0.0.1/0\n",
    "redis://[::1/0",
    "unix://",
    "redis://" + "x" * 3000,
    7,
    b"redis://127.0.0.1/0",
    ["redis://127.0.0.1/0"],
    {},
    {"CACHE": 7},
    {"CACHE": "shared", "KEY": 1},
    {"URL": "redis://127.0.0.1/0"},
]


@pytest.mark.parametrize("raw", BAD, ids=range(len(BAD)))
def test_anything_else_is_a_problem(raw: object) -> None:
    """It names what is allowed."""
    (problem,) = load(cache(), REDIS=raw).problems

    assert (problem.id, problem.setting) == ("webhooks.E040", 'WEBHOOKS["REDIS"]')
    assert problem.allowed.startswith("must be a redis://, rediss:// or unix:// address")


@pytest.mark.parametrize(
    "location",
    [
        ADDRESS,
        [ADDRESS, "redis://replica/2"],
        (ADDRESS,),
        f"{ADDRESS};redis://replica",
        f"{ADDRESS},redis://r",
    ],
    ids=range(5),
)
def test_the_address_may_be_that_of_a_cache_in_redis(location: object) -> None:
    """Of several servers the first, to which Django writes."""
    found = load(cache(location, TIMEOUT=60, OPTIONS={"max_connections": 4}), REDIS={"CACHE": "shared"})

    assert (found.problems, found.shared.redis) == ((), ADDRESS)


@pytest.mark.parametrize(
    "backend",
    [
        *(
            f"django.core.cache.backends.{name}"
            for name in (
                "locmem.LocMemCache",
                "filebased.FileBasedCache",
                "db.DatabaseCache",
                "dummy.DummyCache",
                "memcached.PyMemcacheCache",
            )
        ),
        "example.cache.Own",
    ],
)
def test_a_cache_that_is_not_in_redis_is_refused(backend: str) -> None:
    """LocMem, file and database caches lose updates (DESIGN §5)."""
    (problem,) = load(cache(backend=backend), REDIS={"CACHE": "shared"}).problems

    assert problem.id == "webhooks.E040"
    assert problem.allowed.startswith('the cache "shared" is not in Redis')


@pytest.mark.parametrize(
    ("caches", "said"),
    [
        (None, "is not the alias of a cache"),
        ([], "is not the alias of a cache"),
        ({"default": {}}, "is not the alias of a cache"),
        ({"shared": 3}, "is not the alias of a cache"),
        (cache(location=None), "the LOCATION of the cache"),
        (cache(location=[]), "the LOCATION of the cache"),
        (cache(location=[7]), "the LOCATION of the cache"),
        (cache(location="127.0.0.1:6379"), "the LOCATION of the cache"),
        (cache(OPTIONS={"db": 3}), "must say what its OPTIONS say"),
        (cache(OPTIONS={"password": PASSWORD}), "must say what its OPTIONS say"),
    ],
    ids=range(10),
)
def test_a_cache_whose_address_is_not_whole_is_refused(caches: object, said: str) -> None:
    """What we would connect to must be what the project means."""
    (problem,) = load(caches, REDIS={"CACHE": "shared"}).problems

    assert problem.id == "webhooks.E040"
    assert said in problem.allowed
    assert PASSWORD not in str(problem)


@pytest.mark.parametrize(
    ("key", "id_"), [("BREAKER_STORE", "webhooks.E041"), ("REPLAY_STORE", "webhooks.E042")]
)
@pytest.mark.parametrize("raw", ["", "rediss", "REDIS", 3, True, ["redis"]], ids=range(6))
def test_a_store_that_is_none_is_a_problem(key: str, id_: str, raw: object) -> None:
    """The three are named."""
    (problem,) = load(REDIS=ADDRESS, **{key: raw}).problems

    assert (problem.id, problem.setting) == (id_, f'WEBHOOKS["{key}"]')
    assert problem.allowed == "must be one of memory, database, redis"


@pytest.mark.parametrize("key", ["BREAKER_STORE", "REPLAY_STORE"])
def test_redis_without_an_address_is_a_problem(key: str) -> None:
    """Named at the store that asks for it."""
    (problem,) = load(**{key: "redis"}).problems

    assert (problem.id, problem.setting) == ("webhooks.E043", f'WEBHOOKS["{key}"]')
    assert problem.allowed == 'needs WEBHOOKS["REDIS"]: the address of a Redis'


def test_redis_without_an_environment_is_a_problem() -> None:
    """Contract §1: every key begins with it; in DEBUG it may be left out elsewhere."""
    found = conf.load({"WEBHOOKS": {"REDIS": ADDRESS, "REPLAY_STORE": "redis"}}.get, debug=True)

    assert [problem.id for problem in found.problems] == ["webhooks.E043"]
    assert "ENVIRONMENT" in found.problems[0].allowed


def test_redis_without_its_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    real = importlib.util.find_spec
    monkeypatch.setattr(shared_state, "find_spec", lambda name: None if name == "redis" else real(name))

    (problem,) = load(REDIS=ADDRESS, REPLAY_STORE="redis").problems

    assert problem.id == "webhooks.E043"
    assert "pip install 'rollout-webhooks[redis]'" in problem.allowed


def test_a_password_is_never_shown() -> None:
    """Not by a repr, nor by what Django's pages make of one, nor by a problem."""
    good, bad = load(REDIS=ADDRESS), load(REDIS=ADDRESS + "/x", BREAKER_STORE="redis")

    shown = (
        repr(good),
        pprint.pformat(good),
        repr(RedisAddress(ADDRESS)),
        repr(bad),
        *map(str, bad.problems),
    )

    assert bad.problems != ()
    assert [text for text in shown if PASSWORD in text or "redis.example.com" in text] == []
