"""Celery's task `rollout.tick`, where `app.autodiscover_tasks()` finds it: a runner for who has a beat.

One pass each time it is called, by whichever process gets it; the fence is given back after each, so that the
next one may be another. Without Celery the module can be imported and has no task. Explained in
docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from importlib.util import find_spec

from rollout.django import driving, running

__all__ = ["TICK"]

#: The task's name, for beat's schedule.
TICK = "rollout.tick"
#: A call that nobody took for so long is not worth making: the next one is on its way.
EXPIRES_SECONDS = 30


def _tick() -> None:
    """Make one pass; nothing where no setting asks for a rollout."""
    if driving.driving().store is not None:
        running.once()


if find_spec("celery") is not None:
    from celery import shared_task  # type: ignore[import-untyped]

    tick = shared_task(
        name=TICK, ignore_result=True, serializer="json", max_retries=0, expires=EXPIRES_SECONDS
    )(_tick)
