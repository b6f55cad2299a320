"""The way to Redis, as far as it goes without one: names of keys, bounds, and what it never shows."""

from __future__ import annotations

import pytest

from webhooks_core.errors import ConfigError
from webhooks_core.stores.redis_connection import RedisConnection, Script

PASSWORD = "correct-horse-battery-staple"
URL = f"redis://worker:{PASSWORD}@redis.example:6380/2"


def test_every_key_names_the_environment_and_has_one_hash_tag() -> None:
    """All keys of one kind and tag lie in one slot of a cluster."""
    used = RedisConnection(URL, environment="production")

    keys = [used.key("replay", "default", "id", "x"), used.key("breaker", "eu")]

    assert keys == ["{production:replay:default}:id:x", "{production:breaker:eu}"]
    assert all(key.count("{") == key.count("}") == 1 for key in keys)


def test_a_brace_in_a_tag_is_refused() -> None:
    """It would be a second hash tag."""
    with pytest.raises(ConfigError, match="no brace"):
        RedisConnection(URL, environment="production").key("breaker", "a}b")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://redis.example",
        "redis.example:6379",
        "redis://h/0?ssl_ca_certs=/x",
        "redis://h/0?x=y",
        None,
    ],
)
def test_what_is_no_address_is_refused_without_quoting_it(url: object) -> None:
    """At once, and not at the first call."""
    with pytest.raises(ConfigError, match="redis://"):
        RedisConnection(url, environment="production")  # type: ignore[arg-type]


@pytest.mark.parametrize("environment", ["", "Prod", "a b", "{x}", "x" * 33])
def test_an_environment_is_a_short_plain_name(environment: str) -> None:
    """It stands in every key."""
    with pytest.raises(ConfigError, match="ENVIRONMENT"):
        RedisConnection(URL, environment=environment)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.11, 5.0])
def test_a_call_is_bounded_by_a_tenth_of_a_second(seconds: float) -> None:
    """Less is allowed, more is not (the contract §7)."""
    with pytest.raises(ConfigError, match="call_seconds"):
        RedisConnection(URL, environment="production", call_seconds=seconds)


def test_an_address_cannot_loosen_the_bounds() -> None:
    """Options in the address are overruled: no long time-out, no retries by the client."""
    used = RedisConnection(f"{URL}?socket_timeout=30&retry_on_timeout=yes", environment="production")

    options = used._pool().connection_kwargs

    assert options["socket_timeout"] == options["socket_connect_timeout"] == pytest.approx(0.03)
    assert options["retry_on_timeout"] is False
    assert options["retry"].get_retries() == 0


def test_nothing_shows_the_password() -> None:
    """Neither the connection nor its error."""
    used = RedisConnection(URL, environment="production")

    assert PASSWORD not in repr(used)
    assert PASSWORD not in str(used)


def test_a_script_is_known_by_the_digest_of_its_text() -> None:
    """SHA-1, as EVALSHA wants it."""
    assert Script("return 1").digest == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
