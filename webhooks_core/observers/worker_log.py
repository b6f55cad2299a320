"""Facts about workers as log lines, and all others as `LogObserver` writes them.

What must not be here: any decision. Invariant: each value from outside passes `safe`, as in `log.py`. They
are explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

import logging

from webhooks_core.events import Fact
from webhooks_core.observers.log import LogObserver
from webhooks_core.observers.safe import safe
from webhooks_core.worker import events
from webhooks_core.worker.events import WorkerFact


class WorkerLogObserver:
    """Write the facts of a worker and of its deliveries to the logger `webhooks`.

    Args:
        deliveries: Writes what is no fact about the worker itself.
        logger: Another logger, if it must be.
    """

    def __init__(
        self, deliveries: LogObserver | None = None, *, logger: logging.Logger | None = None
    ) -> None:
        self._logger = logging.getLogger("webhooks") if logger is None else logger
        self._deliveries = LogObserver(self._logger) if deliveries is None else deliveries

    def __call__(self, fact: Fact | WorkerFact) -> None:
        """Write the line of *fact*."""
        if isinstance(fact, WorkerFact):
            level, text = line(fact)
            self._logger.log(level, "%s", text, extra={"fact": fact})
        else:
            self._deliveries(fact)


def line(fact: WorkerFact) -> tuple[int, str]:
    """Return the line of *fact* with its level."""
    level, text = _told(fact)
    return level, f"Webhook worker {text}, worker={safe(fact.worker)}"


def _told(fact: WorkerFact) -> tuple[int, str]:
    if isinstance(fact, events.WorkerStarted):
        return logging.INFO, f"started: threads={fact.threads}"
    if isinstance(fact, events.WorkerStopped):
        return logging.INFO, f"stopped: left={fact.left}"
    if isinstance(fact, events.OutboxFailed):
        wait = f"{round(fact.retry_seconds * 1000)}ms"
        return (
            logging.ERROR,
            f"outbox failed: operation={safe(fact.operation)}, error={safe(fact.error)}, retry_in={wait}",
        )
    if isinstance(fact, events.OutboxRecovered):
        return logging.WARNING, f"outbox recovered: failures={fact.failures}"
    if isinstance(fact, events.OutboxStuck):
        return (
            logging.ERROR,
            f"outbox stuck: operation={safe(fact.operation)}, seconds={round(fact.seconds)}",
        )
    if isinstance(fact, events.ClaimLost):
        return (
            logging.WARNING,
            f"claim lost: endpoint={safe(fact.endpoint)}, webhook_id={safe(fact.webhook_id)}",
        )
    if isinstance(fact, events.ForeignRows):
        return (
            logging.WARNING,
            f"leaves rows alone: environment={safe(fact.environment)}, count={fact.count}",
        )
    return logging.WARNING, f"clock off: seconds={round(fact.seconds)}"
