"""Facts about workers as log lines, on the logger `webhooks` beside those about deliveries.

What must not be here: any decision. Invariant: every value passes `safe`, as in `log.py`. The lines are
listed in docs/reference/log-lines.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from webhooks_core.events import Fact, Observer
from webhooks_core.observers.safe import safe, words
from webhooks_core.worker import events
from webhooks_core.worker.events import WorkerFact


class WorkerLogObserver:
    """Write facts about workers to the logger `webhooks`, and hand the others on.

    Args:
        deliveries: Who writes the facts about deliveries.
        logger: Another logger, if it must be.
    """

    def __init__(self, deliveries: Observer, logger: logging.Logger | None = None) -> None:
        self._deliveries = deliveries
        self._logger = logging.getLogger("webhooks") if logger is None else logger

    def __call__(self, fact: Fact | WorkerFact) -> None:
        """Write the line of *fact*."""
        form = _FORMS.get(type(fact))
        if form is None:
            self._deliveries(fact)  # type: ignore[arg-type]
            return
        level, line = form(fact)
        self._logger.log(level, "%s", line)


def _started(fact: events.WorkerStarted) -> tuple[int, str]:
    return logging.INFO, f"Webhook worker started: worker={safe(fact.worker)}, threads={fact.threads}"


def _stopped(fact: events.WorkerStopped) -> tuple[int, str]:
    level = logging.WARNING if fact.left else logging.INFO
    return level, f"Webhook worker stopped: worker={safe(fact.worker)}, left={fact.left}"


def _failed(fact: events.OutboxFailed) -> tuple[int, str]:
    wait = round(fact.retry_seconds * 1000)
    return logging.ERROR, (
        f"Webhook outbox failed: worker={safe(fact.worker)}, operation={safe(fact.operation)}, "
        f"error={safe(fact.error)}, again_in={wait}ms"
    )


def _recovered(fact: events.OutboxRecovered) -> tuple[int, str]:
    return logging.INFO, f"Webhook outbox recovered: worker={safe(fact.worker)}, failures={fact.failures}"


def _stuck(fact: events.OutboxStuck) -> tuple[int, str]:
    return logging.ERROR, (
        f"Webhook outbox stuck: worker={safe(fact.worker)}, operation={safe(fact.operation)}, "
        f"since={round(fact.seconds)}s"
    )


def _lost(fact: events.ClaimLost) -> tuple[int, str]:
    return logging.WARNING, (
        f"Webhook claim lost: worker={safe(fact.worker)}, endpoint={safe(fact.endpoint)}, "
        f"webhook_id={safe(fact.webhook_id)}"
    )


def _foreign(fact: events.ForeignRows) -> tuple[int, str]:
    return logging.WARNING, (
        f"Webhook rows of another environment: worker={safe(fact.worker)}, "
        f"environment={safe(fact.environment)}, count={fact.count}"
    )


def _clock_off(fact: events.ClockOff) -> tuple[int, str]:
    off = words(f"{fact.seconds:.0f}s")
    return logging.WARNING, f"Webhook worker's clock is off: worker={safe(fact.worker)}, behind={off}"


_FORMS: dict[type, Callable[..., tuple[int, str]]] = {
    events.WorkerStarted: _started,
    events.WorkerStopped: _stopped,
    events.OutboxFailed: _failed,
    events.OutboxRecovered: _recovered,
    events.OutboxStuck: _stuck,
    events.ClaimLost: _lost,
    events.ForeignRows: _foreign,
    events.ClockOff: _clock_off,
}
