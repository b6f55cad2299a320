"""Celery's tasks, where `app.autodiscover_tasks()` finds them: `webhooks.deliver` and `webhooks.sweep`.

Other queues look for a module of this name, too: without Celery it can be imported, and has no task.
Invariants: a task claims and sends as any worker does (`waking.py`) and is acknowledged when it has ended, so
that one whose process is killed comes again; it has no `eta`, no `countdown`, no retry and no result.
Explained in docs/how-to/use-celery.md.
"""

from __future__ import annotations

from importlib.util import find_spec

from webhooks_core.django import hinting, waking
from webhooks_core.engines.celery import DELIVER, STRATEGY, SWEEP, SWEEP_EXPIRES_SECONDS

# Longer than a shift and the longest attempt. A project's own limits are for its own tasks.
SOFT_LIMIT_SECONDS = 180
LIMIT_SECONDS = 200

# No queue: Celery 6 takes it from whoever sends. Ours name it; of beat, the how-to does.
_OPTIONS = {
    "acks_late": True,
    "reject_on_worker_lost": True,
    "ignore_result": True,
    "serializer": "json",
    "Strategy": STRATEGY,
    "max_retries": 0,
    "soft_time_limit": SOFT_LIMIT_SECONDS,
    "time_limit": LIMIT_SECONDS,
}


def _deliver(webhook_id: str) -> None:
    """Send what is due, where the delivery *webhook_id* waits."""
    _wake(webhook_id)


def _sweep() -> None:
    """Send what is due: retries, and what a lost message left behind. For beat, every second or so."""
    _wake(None)


def _wake(webhook_id: str | None) -> None:
    hint = hinting.wanted()
    if hint is None:
        return  # another engine by now: the message is of before
    if waking.wake(webhook_id):
        hint(())


if find_spec("celery") is not None:
    from celery import shared_task  # type: ignore[import-untyped]

    deliver = shared_task(name=DELIVER, **_OPTIONS)(_deliver)
    sweep = shared_task(name=SWEEP, expires=SWEEP_EXPIRES_SECONDS, **_OPTIONS)(_sweep)
