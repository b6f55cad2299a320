"""The lines of the contract §9, to the letter."""

from __future__ import annotations

import logging
import typing

import pytest

from rollout.testing import ManualClock
from webhooks_core import events
from webhooks_core.observers import log
from webhooks_core.observers.log import LogObserver, lines
from webhooks_core.outcome import Outcome

ID = "550e8400-e29b-41d4-a716-446655440000"
NAMES = {"event": "payment_verified", "endpoint": "default", "webhook_id": ID}
TAIL = f"endpoint=default, webhook_id={ID}"

LINES: list[tuple[events.Fact, list[tuple[int, str]]]] = [
    (
        events.AttemptStarted(**NAMES, attempt=1, max_attempts=3),
        [(logging.INFO, f"Attempting webhook delivery (attempt 1/3): event=payment_verified, {TAIL}")],
    ),
    (
        events.Delivered(**NAMES, status=200, attempt=1, latency_seconds=0.1424, elapsed_seconds=6.1426),
        [
            (
                logging.INFO,
                "Webhook delivered successfully: event=payment_verified, status=200, attempt=1, "
                f"latency=142ms, elapsed=6143ms, {TAIL} (Webhook delivery successful)",
            )
        ],
    ),
    (
        events.AttemptFailed(**NAMES, attempt=1, outcome=Outcome.SERVER_ERROR, error="HTTP 503", status=503),
        [
            (
                logging.WARNING,
                "Webhook attempt failed: event=payment_verified, status=503, outcome=server_error, "
                "error=HTTP 503",
            )
        ],
    ),
    (
        events.AttemptFailed(**NAMES, attempt=1, outcome=Outcome.TIMEOUT, error="timed out"),
        [
            (
                logging.WARNING,
                "Webhook attempt failed: event=payment_verified, status=-, outcome=timeout, error=timed out",
            )
        ],
    ),
    (
        events.RetryPlanned(**NAMES, attempt=2, wait_seconds=2.0),
        [(logging.WARNING, "Retrying in 2 seconds...")],
    ),
    (
        events.RetryPlanned(**NAMES, attempt=4, wait_seconds=600.0, slow_retry=1, slow_retries=6),
        [(logging.WARNING, "Retrying in 600 seconds... (slow tier 1/6)")],
    ),
    (
        events.RetryPlanned(**NAMES, attempt=2, wait_seconds=10.5),
        [(logging.WARNING, "Retrying in 10,5 seconds...")],
    ),
    (
        events.NotRetried(**NAMES, status=400, error="HTTP 400"),
        [
            (
                logging.WARNING,
                "Client errors (4xx) are not retried: event=payment_verified, status=400, error=HTTP 400, "
                + TAIL,
            )
        ],
    ),
    (
        events.GivenUp(**NAMES, attempts=3, outcome=Outcome.SERVER_ERROR, error="HTTP 503"),
        [
            (
                logging.ERROR,
                "Webhook delivery failed after 3 attempts: event=payment_verified, outcome=server_error, "
                f"error=HTTP 503, {TAIL}",
            )
        ],
    ),
    (
        events.EndpointGone(endpoint="default", webhook_id=ID),
        [
            (
                logging.ERROR,
                f"Webhook endpoint disabled: endpoint=default, reason=HTTP 410, webhook_id={ID}",
            )
        ],
    ),
    (
        events.BreakerOpened(endpoint="default", failures=5, window_seconds=120.0),
        [(logging.ERROR, "Circuit breaker OPENED: endpoint=default, failures=5, window=120s")],
    ),
    (
        events.BreakerReopened(endpoint="default", open_for_seconds=110.4),
        [
            (
                logging.WARNING,
                "Circuit breaker OPEN again: endpoint=default, reason=probe failed, next_probe_in=110,4s",
            )
        ],
    ),
    (
        events.BreakerHalfOpened(endpoint="default"),
        [(logging.INFO, "Circuit breaker HALF_OPEN: endpoint=default")],
    ),
    (
        events.BreakerClosed(endpoint="default"),
        [(logging.INFO, "Circuit breaker CLOSED: endpoint=default")],
    ),
    (
        events.BreakerForced(endpoint="default", mode="forced_open", actor="ops", reason="planned work"),
        [
            (
                logging.WARNING,
                "Circuit breaker FORCED: endpoint=default, mode=forced_open, actor=ops, reason=planned work",
            )
        ],
    ),
    (
        events.Skipped(event="payment_verified", reason="percentage 5"),
        [
            (
                logging.DEBUG,
                "Webhook skipped by rollout: event=payment_verified, reason=percentage 5",
            )
        ],
    ),
    (
        events.Held(**NAMES, reason="kill switch"),
        [(logging.WARNING, f"Webhook held: event=payment_verified, {TAIL}, reason=kill switch")],
    ),
    (
        events.Waiting(**NAMES, reason="circuit open"),
        [(logging.WARNING, f"Webhook waiting: event=payment_verified, {TAIL}, reason=circuit open")],
    ),
    (
        events.Blocked(event="payment_verified", kind="address", path="data.*"),
        [
            (
                logging.WARNING,
                "Webhook blocked: event=payment_verified, kind=address, path=data.*",
            )
        ],
    ),
    (
        events.Blocked(event="test", kind="key", path="data.email", endpoint="eu"),
        [(logging.WARNING, "Webhook blocked: event=test, endpoint=eu, kind=key, path=data.e%6Dail")],
    ),
    (
        events.Received(event="payment_verified", webhook_id=ID),
        [(logging.INFO, f"Received webhook: event=payment_verified, webhook_id={ID}")],
    ),
    (
        events.SignatureChecked(age_seconds=1.2),
        [(logging.INFO, "Signature valid: True"), (logging.INFO, "Timestamp age: 1s (fresh)")],
    ),
    (events.SignatureChecked(), [(logging.INFO, "Signature valid: True")]),
    (
        events.DuplicateSeen(webhook_id=ID),
        [(logging.WARNING, f"Duplicate webhook: webhook_id={ID}")],
    ),
    (
        events.HandlerFailed(event="payment_verified", webhook_id=ID, error="ValueError"),
        [
            (
                logging.ERROR,
                f"Webhook handler failed: event=payment_verified, webhook_id={ID}, error=ValueError",
            )
        ],
    ),
    (
        events.ReceivedHeaders(
            signature="a3c8f7e2d1b45699" * 4, timestamp="1700000000123", webhook_id=ID, event="test"
        ),
        [
            (logging.DEBUG, "X-Webhook-Signature: a3c8f7e2d1b456..."),
            (logging.DEBUG, "X-Webhook-Timestamp: 1700000000123"),
            (logging.DEBUG, f"X-Webhook-Id: {ID}"),
            (logging.DEBUG, "X-Webhook-Event: test"),
        ],
    ),
    (
        events.ReceivedHeaders(signature="a3c8f7e2d1b410ff", timestamp=None, webhook_id=None, event="a\nb"),
        [
            (logging.DEBUG, "X-Webhook-Signature: a3c8f7e2d1b41%30..."),
            (logging.DEBUG, "X-Webhook-Timestamp: -"),
            (logging.DEBUG, "X-Webhook-Id: -"),
            (logging.DEBUG, "X-Webhook-Event: a%0Ab"),
        ],
    ),
    (
        events.ReceivedHeaders(signature=None, timestamp=None, webhook_id=None, event=None),
        [
            (logging.DEBUG, "X-Webhook-Signature: -"),
            (logging.DEBUG, "X-Webhook-Timestamp: -"),
            (logging.DEBUG, "X-Webhook-Id: -"),
            (logging.DEBUG, "X-Webhook-Event: -"),
        ],
    ),
    (
        events.HintFailed(engine="celery", error="OperationalError", retry_seconds=5.0),
        [
            (
                logging.WARNING,
                "Webhook hint not sent: engine=celery, error=OperationalError, retry_in=5000ms",
            )
        ],
    ),
    (
        events.ObserverFailed(observer="Counter.<locals>.tell", fact="Delivered", error="ValueError"),
        [
            (
                logging.ERROR,
                "Webhook observer failed: observer=Counter.%3Clocals%3E.tell, fact=Delivered, "
                "error=ValueError",
            )
        ],
    ),
    (events.Rejected(reason="Invalid signature"), []),
]


@pytest.mark.parametrize(("fact", "wanted"), LINES)
def test_a_fact_is_these_lines(fact: events.Fact, wanted: list[tuple[int, str]]) -> None:
    """Text and level."""
    assert list(lines(fact)) == wanted


def test_every_fact_has_its_lines() -> None:
    """No fact is forgotten, in the observer or in this table."""
    union = set(typing.get_args(events.Fact))

    assert set(log._FORMS) == union
    assert {type(fact) for fact, _ in LINES} == union


def test_the_logger_is_webhooks(caplog: pytest.LogCaptureFixture) -> None:
    """And the line is all there is: a formatter that writes a record's extras finds none."""
    caplog.set_level(logging.DEBUG, logger="webhooks")
    fact = events.BreakerClosed(endpoint="default")

    LogObserver()(fact)

    [record] = caplog.records
    assert (record.name, record.levelno) == ("webhooks", logging.INFO)
    assert record.getMessage() == "Circuit breaker CLOSED: endpoint=default"
    plain = logging.makeLogRecord({})
    # pytest's own handler has asked for the message.
    assert set(vars(record)) - set(vars(plain)) <= {"message", "asctime", "taskName"}


def test_another_logger_can_be_given(caplog: pytest.LogCaptureFixture) -> None:
    """For those who must."""
    LogObserver(logging.getLogger("audit"))(events.DuplicateSeen(webhook_id=ID))

    assert caplog.records[0].name == "audit"


def test_a_percent_sign_is_not_a_format(caplog: pytest.LogCaptureFixture) -> None:
    """Encoded values hold percent signs."""
    LogObserver()(events.DuplicateSeen(webhook_id="%s %(x)d"))

    assert caplog.messages == ["Duplicate webhook: webhook_id=%25s%20%25%28x%29d"]


def test_rejections_are_limited_and_counted(caplog: pytest.LogCaptureFixture, clock: ManualClock) -> None:
    """One line in ten seconds; the next one says how many were left out."""
    observer = LogObserver(monotonic=clock)
    for _ in range(1_000):
        observer(events.Rejected(reason="Invalid signature"))
    clock.advance(9.9)
    observer(events.Rejected(reason="Timestamp too old"))
    clock.advance(0.1)
    observer(events.Rejected(reason="Timestamp too old"))
    clock.advance(10.0)
    observer(events.Rejected(reason="Missing header"))

    assert caplog.messages == [
        "Webhook rejected: reason=Invalid signature",
        "Webhook rejected: reason=Timestamp too old, left_out=1000",
        "Webhook rejected: reason=Missing header",
    ]


@pytest.mark.parametrize("reason", ["a\nWebhook delivered successfully", "\x1b[2J", "x\r\nGET / HTTP/1.1"])
def test_no_line_can_be_forged(caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """Line breaks and control characters from outside never reach a line."""
    caplog.set_level(logging.DEBUG, logger="webhooks")
    observer = LogObserver()

    observer(events.Rejected(reason=reason))
    observer(events.Held(event=reason, endpoint=reason, webhook_id=reason, reason=reason))
    observer(events.ReceivedHeaders(signature=reason, timestamp=reason, webhook_id=reason, event=reason))
    observer(events.AttemptFailed(**NAMES, attempt=1, outcome=Outcome.TIMEOUT, error=reason))

    assert len(caplog.messages) == 7
    assert all(message.isprintable() for message in caplog.messages)
