"""Telling the engine that rows were committed, where it wants to be told: the engine `celery`.

Built when first asked for, once per process. Invariants: a hint changes no row, never raises and is bounded
in time; without one the rows are found by a sweep. The app is the one that the project has made current, as
its `celery.py` does. Explained in docs/how-to/use-celery.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.core.signals import setting_changed

from webhooks_core.django import conf, wiring
from webhooks_core.engines.celery import CeleryHint, queue_name
from webhooks_core.events import HintFailed, emit
from webhooks_core.per_process import PerProcess

CELERY = "celery"
Hint = Callable[[Sequence[str]], None]


def _build() -> CeleryHint | None:
    found = conf.current()
    if found.engine != CELERY:
        return None
    try:
        from celery.app import app_or_default  # type: ignore[import-untyped]
    except ImportError as error:
        name = type(error).__name__  # a check says so, too; rows are kept until it is there
        emit(wiring.observer(), HintFailed(engine=CELERY, error=name, retry_seconds=0.0))
        return None
    queue = queue_name(found.environment)
    return CeleryHint(app_or_default(), queue=queue, observer=wiring.observer())


def _close(hint: CeleryHint | None) -> None:
    if hint is not None:
        hint.close()


_hint: PerProcess[CeleryHint | None] = PerProcess(_build, close=_close)


def wanted() -> Hint | None:
    """Return what to call with the ids of rows once they are committed; None where nobody wants to know.

    Called without ids it says that something may be due.
    """
    return _hint()


def _forget(**_signal: object) -> None:
    _hint.forget()


setting_changed.connect(_forget, dispatch_uid="webhooks_core.django.hinting")
