"""`wake`: send what is due, in this process, for a while; the body of a task, whichever queue carries it.

Celery's tasks (`tasks.py`) are this function; so is a task of Procrastinate's or of `django.tasks`.
Invariant: an argument chooses nothing. It says that one row may wait; what is claimed, and in which order, is
decided by the outbox as for any worker, so that a forged or a stale message costs one look. Explained in
docs/how-to/use-celery.md and docs/how-to/wake-with-procrastinate-or-django-tasks.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.signals import setting_changed
from django.db import Error

from webhooks_core.django import wiring
from webhooks_core.outbox.states import State
from webhooks_core.per_process import PerProcess

if TYPE_CHECKING:
    from webhooks_core.engines.shift import Shift

MOST_ID_CHARACTERS = 64


def _build() -> Shift:
    from webhooks_core.django import working  # models: only where the app is installed

    return working.shift()


_shift: PerProcess[Shift] = PerProcess(_build, close=lambda shift: shift.close())


def wake(webhook_id: object = None) -> bool:
    """Send what is due until nothing is, or for ten seconds.

    Args:
        webhook_id: A delivery that may wait to be sent; where it does not, nothing is done. Without one,
            whatever is due is sent.

    Returns:
        Whether rows may be left that are due: wake again.

    Raises:
        ConfigError: The engine keeps no rows, or a setting is bad.
    """
    if webhook_id is not None and not _waits(webhook_id):
        return False
    shift = _shift()
    try:
        return shift.wake()
    except BaseException:  # a time limit of the queue's, say: what was going on is not known
        _shift.forget()
        raise


def _waits(webhook_id: object) -> bool:
    """Return whether the row is pending, in our environment; True where that cannot be found out."""
    if not isinstance(webhook_id, str) or not 0 < len(webhook_id) <= MOST_ID_CHARACTERS:
        return False
    outbox = wiring.sending().outbox
    if outbox is None:
        return True  # what is wrong is told when the worker is built
    from webhooks_core.django.models import Delivery

    pending = Delivery.objects.using(outbox.database.alias).filter(
        environment=outbox.environment, webhook_id=webhook_id, state=State.PENDING.value
    )
    try:
        return pending.exists()
    except Error:  # the worker backs off, and tells
        return True


def _forget(**_signal: object) -> None:
    _shift.forget()


setting_changed.connect(_forget, dispatch_uid="webhooks_core.django.waking")
