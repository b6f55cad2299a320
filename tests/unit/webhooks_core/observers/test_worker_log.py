"""Worker facts as lines: what they say, and that they pass the runbook's own checks."""

from __future__ import annotations

import logging
import re

import pytest

from webhooks_core.events import Skipped
from webhooks_core.observers.worker_log import WorkerLogObserver, line
from webhooks_core.worker.events import (
    ClaimLost,
    ClockOff,
    ForeignRows,
    OutboxFailed,
    OutboxRecovered,
    OutboxStuck,
    WorkerFact,
    WorkerStarted,
    WorkerStopped,
)

LINES: list[tuple[WorkerFact, int, str]] = [
    (WorkerStarted(worker="w1", threads=8), logging.INFO, "Webhook worker started: threads=8, worker=w1"),
    (WorkerStopped(worker="w1", left=2), logging.INFO, "Webhook worker stopped: left=2, worker=w1"),
    (
        OutboxFailed(worker="w1", operation="settle", error="OperationalError", retry_seconds=0.25),
        logging.ERROR,
        "Webhook worker outbox failed: operation=settle, error=OperationalError, retry_in=250ms, worker=w1",
    ),
    (
        OutboxRecovered(worker="w1", failures=3),
        logging.WARNING,
        "Webhook worker outbox recovered: failures=3, worker=w1",
    ),
    (
        OutboxStuck(worker="w1", operation="claim", seconds=20.4),
        logging.ERROR,
        "Webhook worker outbox stuck: operation=claim, seconds=20, worker=w1",
    ),
    (
        ClaimLost(worker="w1", endpoint="eu", webhook_id="550e8400"),
        logging.WARNING,
        "Webhook worker claim lost: endpoint=eu, webhook_id=550e8400, worker=w1",
    ),
    (
        ForeignRows(worker="w1", environment="production", count=7),
        logging.WARNING,
        "Webhook worker leaves rows alone: environment=production, count=7, worker=w1",
    ),
    (ClockOff(worker="w1", seconds=-6.6), logging.WARNING, "Webhook worker clock off: seconds=-7, worker=w1"),
]


@pytest.mark.parametrize(("fact", "level", "text"), LINES, ids=lambda value: type(value).__name__)
def test_each_fact_has_its_line(fact: WorkerFact, level: int, text: str) -> None:
    """One fact, one line, always the same."""
    assert line(fact) == (level, text)


def test_a_hostname_cannot_forge_a_line_or_trip_the_checks() -> None:
    """A worker is named after its host: line breaks and addresses are encoded or masked."""
    _, text = line(WorkerStarted(worker="10.1.2.3\nINFO forged @x", threads=1))

    assert "\n" not in text
    assert not re.search(r"@|email|username|192\.168|10\.|172\.", text)


def test_writes_worker_facts_and_leaves_the_others_to_the_deliveries_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One observer for both kinds, on the logger `webhooks`."""
    observer = WorkerLogObserver()

    with caplog.at_level(logging.DEBUG, "webhooks"):
        observer(WorkerStarted(worker="w1", threads=8))
        observer(Skipped(event="tested", reason="percentage 5"))

    assert [record.getMessage() for record in caplog.records] == [
        "Webhook worker started: threads=8, worker=w1",
        "Webhook skipped by rollout: event=tested, reason=percentage 5",
    ]
