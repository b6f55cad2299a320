"""Where breakers and seen ids are kept, as the settings say it: `REDIS`, `BREAKER_STORE`, `REPLAY_STORE`.

Values only; `sharing.py` builds what they name. Invariants: no problem and no repr repeats the address of a
Redis, which may hold a password; a cache of Django's is taken for its address alone, and only where that is a
Redis: LocMem, file and database caches lose updates. Explained in docs/how-to/share-state-in-redis.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import parse_qsl, urlsplit

from webhooks_core.django.values import BadValue, Reading, Spot, one_of, shown

MEMORY, DATABASE, REDIS = "memory", "database", "redis"
STORES = (MEMORY, DATABASE, REDIS)
CACHE_BACKEND = "django.core.cache.backends.redis.RedisCache"

_ALLOWED = 'must be a redis://, rediss:// or unix:// address, or {"CACHE": alias} of a cache in Redis'
_PRINTABLE = re.compile(r"[!-~]{1,2048}")
_NUMBER = re.compile(r"[0-9]{1,4}")
_OPTIONS = ("db", "username", "password")  # of an address, beside those of TLS; others are ours to set
_read_store = one_of(STORES)


class RedisAddress(str):
    """The address of a Redis: text whose repr says nothing, because a traceback shows locals."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "RedisAddress(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedState:
    """Which stores are in force; `replays` None: the database where our app is installed, else memory."""

    redis: RedisAddress | None
    breakers: str
    replays: str | None


def read_shared_state(
    reading: Reading,
    spot: Callable[[int, str], Spot],
    *,
    caches: object,
    engine: str,
    environment: str,
) -> SharedState:
    """Read the three settings.

    Args:
        reading: Gathers what is wrong.
        spot: A key of `WEBHOOKS` where it was found.
        caches: Django's `CACHES`.
        engine: The engine in force: one that has workers shares its breakers.
        environment: What keys begin with; empty where it is not set.
    """
    where, breakers, replays = spot(40, "REDIS"), spot(41, "BREAKER_STORE"), spot(42, "REPLAY_STORE")
    address = reading.value(where, lambda raw: _address(raw, caches), default=None)
    found = SharedState(
        redis=address,
        breakers=reading.value(breakers, _read_store, default=MEMORY if engine == "inline" else DATABASE),
        replays=reading.value(replays, _read_store, default=None),
    )
    for chosen, place in ((found.breakers, breakers), (found.replays, replays)):
        missing = _missing(where.raw, environment) if chosen == REDIS else ""
        if missing:
            reading.add(Spot(id="webhooks.E043", setting=place.setting, raw=place.raw), missing)
    return found


def _missing(redis: object, environment: str) -> str:
    """Return what a store on Redis lacks, or nothing."""
    if redis is None:
        return 'needs WEBHOOKS["REDIS"]: the address of a Redis'
    if not environment:
        return 'needs WEBHOOKS["ENVIRONMENT"]: every key in Redis begins with it'
    if find_spec("redis") is None:
        return "needs the package redis: pip install 'rollout-webhooks[redis]'"
    return ""


def _address(raw: object, caches: object) -> RedisAddress:
    if isinstance(raw, Mapping):
        return _of_cache(raw, caches)
    if not isinstance(raw, str) or not _is_address(raw):
        raise BadValue(_ALLOWED)
    return RedisAddress(raw)


def _of_cache(raw: Mapping[object, object], caches: object) -> RedisAddress:
    """Return the address of one of Django's caches: of several servers the first, to which it writes."""
    alias = raw.get("CACHE")
    if set(raw) != {"CACHE"} or not isinstance(alias, str):
        raise BadValue(_ALLOWED)
    cache = caches.get(alias) if isinstance(caches, Mapping) else None
    if not isinstance(cache, Mapping):
        raise BadValue(f"{shown(alias)} is not the alias of a cache in CACHES")
    if cache.get("BACKEND") != CACHE_BACKEND:
        raise BadValue(
            f"the cache {shown(alias)} is not in Redis (its BACKEND is not {CACHE_BACKEND}): LocMem, file, "
            "database and dummy caches lose updates, so that several processes cannot share them"
        )
    options = cache.get("OPTIONS")
    if isinstance(options, Mapping) and set(options).intersection(_OPTIONS):
        raise BadValue(
            f"the LOCATION of the cache {shown(alias)} must say what its OPTIONS say: db, password"
        )
    location = cache.get("LOCATION")
    first = re.split("[;,]", location)[0] if isinstance(location, str) else _first(location)
    if not isinstance(first, str) or not _is_address(first):
        raise BadValue(
            f"the LOCATION of the cache {shown(alias)} is no redis://, rediss:// or unix:// address"
        )
    return RedisAddress(first)


def _is_option(name: str, scheme: str) -> bool:
    return name in _OPTIONS or (scheme == "rediss" and name.startswith("ssl_"))


def _first(location: object) -> object:
    return location[0] if isinstance(location, (list, tuple)) and location else None


def _is_address(text: str) -> bool:
    if not _PRINTABLE.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    if any(not _is_option(name, parts.scheme) for name, _ in parse_qsl(parts.query)):
        return False
    if parts.scheme == "unix":
        return bool(parts.path)
    database = parts.path.removeprefix("/")
    return (
        parts.scheme in ("redis", "rediss")
        and bool(parts.hostname)
        and (port is None or port > 0)
        and (not database or _NUMBER.fullmatch(database) is not None)
        and not parts.fragment
    )
