"""System checks of the Redis that the settings name, with `manage.py check --deploy`: it is asked, once.

Invariants: a check that asks returns within a call's bound (100 ms) and never raises; no message holds an
address. That the store itself refuses the same at run time is `stores/redis_replay.py`'s business.
docs/reference/checks.md lists each id.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.core.checks import CheckMessage, Error, Warning

from webhooks_core.django import conf, sharing
from webhooks_core.django.shared_state import REDIS
from webhooks_core.errors import StoreUnavailable

KEEPS = "noeviction"


def check_redis(**_kwargs: object) -> list[CheckMessage]:
    """Ask the Redis in use whether it is there, and whether it keeps what it is given."""
    found = conf.current()
    if found.problems:
        return []
    remembers = sharing.replay_store(found) == REDIS
    if not remembers and found.shared.breakers != REDIS:
        return []
    try:
        return list(_asked(remembers=remembers))
    except Exception as error:  # noqa: BLE001 - told by its type; what stands in the way here is told below
        kind = error.problem if isinstance(error, StoreUnavailable) else type(error).__name__
        return [
            Warning(
                f'The Redis of WEBHOOKS["REDIS"] could not be asked ({kind}).',
                hint="Without it receivers answer 503, and each process judges its endpoints alone.",
                id="webhooks.W011",
            )
        ]


def _asked(*, remembers: bool) -> Iterator[CheckMessage]:
    policy = sharing.redis().info("memory").get("maxmemory_policy", "unknown")
    if remembers and policy != KEEPS:
        yield Error(
            f'The Redis of WEBHOOKS["REDIS"] may forget ids: its maxmemory-policy is {policy}.',
            hint=f"Set it to {KEEPS}; until then receivers refuse everything with 503.",
            id="webhooks.E047",
        )
