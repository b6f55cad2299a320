"""System checks of the engine `celery`: whether the project's app would carry our messages.

Settings only: no broker is asked, and no module of tasks is imported. Invariant: none of these keeps the gate
closed; rows are kept whatever becomes of the messages. docs/reference/checks.md lists each id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Warning

from webhooks_core.django import conf
from webhooks_core.django.hinting import CELERY
from webhooks_core.engines.celery import queue_name

NO_APP = "default"  # the name of the app that Celery makes up where there is none
JSON = frozenset({"json", "application/json"})
IN_PROCESS = ("memory", "filesystem")


def check_celery(**_kwargs: object) -> list[CheckMessage]:
    """Report what would keep messages from a worker."""
    found = conf.current()
    if found.engine != CELERY:
        return []
    try:
        from celery import current_app  # type: ignore[import-untyped]
    except ImportError:
        return [
            Error(
                'WEBHOOKS["ENGINE"] is "celery", and Celery is not installed.',
                hint="Install rollout-webhooks[celery]; until then nobody sends what is recorded.",
                id="webhooks.E050",
            )
        ]
    return list(_of(current_app, queue=queue_name(found.environment)))


def _of(app: Any, *, queue: str) -> Iterator[CheckMessage]:
    if app.main == NO_APP:
        yield Error(
            'WEBHOOKS["ENGINE"] is "celery", and no Celery app of the project is loaded.',
            hint='Import it in the __init__.py of the project: "from .celery import app as celery_app".',
            id="webhooks.E051",
        )
        return
    if JSON.isdisjoint(app.conf.accept_content):
        yield Error(
            "Celery's accept_content has no json: a worker would throw our messages away.",
            hint='Add "json" to CELERY_ACCEPT_CONTENT.',
            id="webhooks.E052",
        )
    if not app.conf.task_create_missing_queues and queue not in app.amqp.queues:
        yield Error(
            f"Celery's task_queues has no {queue}, and task_create_missing_queues is off.",
            hint="Add the queue, or let Celery make it; until then no message can be sent.",
            id="webhooks.E053",
        )
    if app.conf.task_always_eager:
        yield Warning(
            "Celery's task_always_eager is on: no message is sent, so that nobody is woken up.",
            hint="For tests; recorded events wait for a worker or a sweep.",
            id="webhooks.W050",
        )
    transport = str(app.conf.broker_write_url or "").partition(":")[0]
    if transport in IN_PROCESS:
        yield Warning(
            f"Celery's broker is {transport}: it is for trying things out, and loses messages.",
            hint="Use RabbitMQ (amqp://) or Redis (redis://).",
            id="webhooks.W051",
        )
