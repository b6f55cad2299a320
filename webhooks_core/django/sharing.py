"""Where the stores that processes share are built from the settings: breakers, and ids that were seen.

Built when first asked for, once per process, and again after a fork or when a setting changes under a test;
the way to Redis is one for all of them, and is closed with them. Invariant: what is in memory is one for all
who ask in this process. Explained in docs/how-to/share-state-in-redis.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps

from webhooks_core.breaker import BreakerPolicy
from webhooks_core.django import conf
from webhooks_core.django.shared_state import DATABASE, MEMORY, REDIS
from webhooks_core.errors import ConfigError
from webhooks_core.per_process import PerProcess
from webhooks_core.stores.breakers import BreakerStore, MemoryBreakerStore
from webhooks_core.stores.replay import MemoryReplayStore, ReplayStore
from webhooks_core.verifier import SKEW_SECONDS

if TYPE_CHECKING:
    from webhooks_core.stores.redis_connection import RedisConnection

APP = "webhooks_core.django"
_RECEIVING = ('WEBHOOKS["REPLAY_STORE"]', 'WEBHOOKS["REDIS"]')


def _connect() -> RedisConnection:
    from webhooks_core.stores.redis_connection import RedisConnection  # only where Redis is chosen

    found = conf.current()
    if found.shared.redis is None:
        raise ConfigError('WEBHOOKS["REDIS"]', "is not set")
    return RedisConnection(found.shared.redis, environment=found.environment)


redis: PerProcess[RedisConnection] = PerProcess(_connect, close=lambda connection: connection.close())
_replays: PerProcess[dict[str, ReplayStore]] = PerProcess(dict)


def breakers(found: conf.WebhookSettings) -> BreakerStore:
    """Return the breakers in force, by the settings *found*."""
    policy = breaker_policy(found)
    if found.shared.breakers == REDIS:
        from webhooks_core.stores.redis_breakers import RedisBreakerStore

        return RedisBreakerStore(redis(), policy)
    if found.shared.breakers == DATABASE:
        from webhooks_core.django.stores.breakers import DatabaseBreakerStore

        return DatabaseBreakerStore(policy, environment=found.environment, using=found.database)
    return MemoryBreakerStore(policy)


def breaker_policy(found: conf.WebhookSettings) -> BreakerPolicy:
    """Return when breakers open, by the settings *found*."""
    return BreakerPolicy(
        window_seconds=found.breaker_window_seconds,
        max_fails=found.breaker_max_fails,
        open_seconds=found.breaker_open_seconds,
    )


def replays(found: conf.WebhookSettings, endpoint: str) -> ReplayStore:
    """Return the memory of a receiver of *endpoint*, by the settings *found*: the same one at each call.

    Raises:
        ConfigError: A bad value, or the database without our app, whose tables it needs.
    """
    for problem in found.problems:
        if problem.setting in _RECEIVING:
            raise ConfigError(problem.setting, problem.allowed)
    kept = _replays()
    store = kept.get(endpoint)
    if store is None:
        store = kept.setdefault(endpoint, _new_replays(found, endpoint))
    return store


def replay_store(found: conf.WebhookSettings) -> str:
    """Return which store the ids are kept in; by default the database, where our app is installed."""
    return found.shared.replays or (DATABASE if apps.is_installed(APP) else MEMORY)


def _new_replays(found: conf.WebhookSettings, endpoint: str) -> ReplayStore:
    chosen = replay_store(found)
    signature_seconds = found.replay_window_seconds + SKEW_SECONDS
    if chosen == REDIS:
        from webhooks_core.stores.redis_replay import RedisReplayStore

        return RedisReplayStore(redis(), endpoint=endpoint, signature_seconds=signature_seconds)
    if chosen == DATABASE:
        if not apps.is_installed(APP):
            raise ConfigError('WEBHOOKS["REPLAY_STORE"]', f'"database" needs {APP} in INSTALLED_APPS')
        from webhooks_core.django.stores.replay import DatabaseReplayStore

        return DatabaseReplayStore(using=found.database, signature_seconds=signature_seconds)
    return MemoryReplayStore(signature_seconds=signature_seconds)


def forget() -> None:
    """Let go of what was built, and of the connections to Redis; the next call builds again."""
    _replays.forget()
    redis.forget()
