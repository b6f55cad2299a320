r"""Facts as log lines, exactly those of the contract §9, on the logger `webhooks`.

What must not be here: any decision. Invariants: one fact, the same line each time; every value passes
`safe`, so no line can be forged, and none of them trips the runbook's own checks for personal data
(`@|email|username|192\.168|10\.|172\.`, dotted addresses). Explained in docs/reference/log-lines.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from webhooks_core import events
from webhooks_core.observers.safe import place, safe, words

REJECTED_EVERY_SECONDS = 10.0  # anybody can send rubbish: at most one line in ten seconds says so


class LogObserver:
    """Write facts to the logger `webhooks`.

    Args:
        logger: Another logger, if it must be.
        rejected_every_seconds: At most one `Webhook rejected` line in so many seconds; the next one says how
            many were left out.
        monotonic: Seconds for measuring.
    """

    def __init__(
        self,
        logger: logging.Logger | None = None,
        *,
        rejected_every_seconds: float = REJECTED_EVERY_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logging.getLogger("webhooks") if logger is None else logger
        self._every = rejected_every_seconds
        self._monotonic = monotonic
        self._rejected_at: float | None = None
        self._left_out = 0

    def __call__(self, fact: events.Fact) -> None:
        """Write the line or lines of *fact*."""
        if isinstance(fact, events.Rejected):
            self._rejected(fact)
            return
        for level, text in lines(fact):
            self._logger.log(level, "%s", text)

    def _rejected(self, fact: events.Rejected) -> None:
        now = self._monotonic()
        if self._rejected_at is not None and now - self._rejected_at < self._every:
            self._left_out += 1
            return
        more = f", left_out={self._left_out}" if self._left_out else ""
        self._rejected_at, self._left_out = now, 0
        self._logger.warning("%s", f"Webhook rejected: reason={words(fact.reason)}{more}")


def lines(fact: events.Fact) -> tuple[tuple[int, str], ...]:
    """Return the lines of *fact*, each with its level. `Rejected`, which is rate-limited, has none here."""
    return _FORMS[type(fact)](fact)


Lines = tuple[tuple[int, str], ...]


def _milliseconds(seconds: float) -> str:
    return f"{max(0, round(seconds * 1000))}ms"


def _seconds(seconds: float) -> str:
    """Write whole seconds plainly and fractions after a comma: `10.5` would look like an address to the
    checks.
    """
    return f"{seconds:.3f}".rstrip("0").rstrip(".").replace(".", ",")


def _attempt_started(fact: events.AttemptStarted) -> Lines:
    text = (
        f"Attempting webhook delivery (attempt {fact.attempt}/{fact.max_attempts}): "
        f"event={safe(fact.event)}, endpoint={safe(fact.endpoint)}, webhook_id={safe(fact.webhook_id)}"
    )
    return ((logging.INFO, text),)


def _delivered(fact: events.Delivered) -> Lines:
    text = (
        f"Webhook delivered successfully: event={safe(fact.event)}, status={fact.status}, "
        f"attempt={fact.attempt}, latency={_milliseconds(fact.latency_seconds)}, "
        f"elapsed={_milliseconds(fact.elapsed_seconds)}, endpoint={safe(fact.endpoint)}, "
        f"webhook_id={safe(fact.webhook_id)} (Webhook delivery successful)"
    )
    return ((logging.INFO, text),)


def _attempt_failed(fact: events.AttemptFailed) -> Lines:
    status = "-" if fact.status is None else fact.status
    text = (
        f"Webhook attempt failed: event={safe(fact.event)}, status={status}, "
        f"outcome={fact.outcome}, error={words(fact.error)}"
    )
    return ((logging.WARNING, text),)


def _retry_planned(fact: events.RetryPlanned) -> Lines:
    tier = f" (slow tier {fact.slow_retry}/{fact.slow_retries})" if fact.slow_retry else ""
    return ((logging.WARNING, f"Retrying in {_seconds(fact.wait_seconds)} seconds...{tier}"),)


def _not_retried(fact: events.NotRetried) -> Lines:
    text = (
        f"Client errors (4xx) are not retried: event={safe(fact.event)}, status={fact.status}, "
        f"error={words(fact.error)}, endpoint={safe(fact.endpoint)}, webhook_id={safe(fact.webhook_id)}"
    )
    return ((logging.WARNING, text),)


def _given_up(fact: events.GivenUp) -> Lines:
    text = (
        f"Webhook delivery failed after {fact.attempts} attempts: event={safe(fact.event)}, "
        f"outcome={fact.outcome}, error={words(fact.error)}, endpoint={safe(fact.endpoint)}, "
        f"webhook_id={safe(fact.webhook_id)}"
    )
    return ((logging.ERROR, text),)


def _endpoint_gone(fact: events.EndpointGone) -> Lines:
    text = (
        f"Webhook endpoint disabled: endpoint={safe(fact.endpoint)}, reason=HTTP 410, "
        f"webhook_id={safe(fact.webhook_id)}"
    )
    return ((logging.ERROR, text),)


def _opened(fact: events.BreakerOpened) -> Lines:
    text = (
        f"Circuit breaker OPENED: endpoint={safe(fact.endpoint)}, failures={fact.failures}, "
        f"window={_seconds(fact.window_seconds)}s"
    )
    return ((logging.ERROR, text),)


def _reopened(fact: events.BreakerReopened) -> Lines:
    # Not the word OPENED: the runbook counts that one, and a failed probe is not another opening.
    text = (
        f"Circuit breaker OPEN again: endpoint={safe(fact.endpoint)}, reason=probe failed, "
        f"next_probe_in={_seconds(fact.open_for_seconds)}s"
    )
    return ((logging.WARNING, text),)


def _half_opened(fact: events.BreakerHalfOpened) -> Lines:
    return ((logging.INFO, f"Circuit breaker HALF_OPEN: endpoint={safe(fact.endpoint)}"),)


def _closed(fact: events.BreakerClosed) -> Lines:
    return ((logging.INFO, f"Circuit breaker CLOSED: endpoint={safe(fact.endpoint)}"),)


def _forced(fact: events.BreakerForced) -> Lines:
    text = (
        f"Circuit breaker FORCED: endpoint={safe(fact.endpoint)}, mode={safe(fact.mode)}, "
        f"actor={safe(fact.actor)}, reason={words(fact.reason)}"
    )
    return ((logging.WARNING, text),)


def _skipped(fact: events.Skipped) -> Lines:
    text = f"Webhook skipped by rollout: event={safe(fact.event)}, reason={words(fact.reason)}"
    return ((logging.DEBUG, text),)


def _kept_back(fact: events.Held | events.Waiting) -> Lines:
    word = "held" if isinstance(fact, events.Held) else "waiting"
    text = (
        f"Webhook {word}: event={safe(fact.event)}, endpoint={safe(fact.endpoint)}, "
        f"webhook_id={safe(fact.webhook_id)}, reason={words(fact.reason)}"
    )
    return ((logging.WARNING, text),)


def _blocked(fact: events.Blocked) -> Lines:
    endpoint = "" if fact.endpoint is None else f"endpoint={safe(fact.endpoint)}, "
    found = f"kind={safe(fact.kind)}, path={place(fact.path)}"
    text = f"Webhook blocked: event={safe(fact.event)}, {endpoint}{found}"
    return ((logging.WARNING, text),)


def _received(fact: events.Received) -> Lines:
    text = f"Received webhook: event={safe(fact.event)}, webhook_id={safe(fact.webhook_id)}"
    return ((logging.INFO, text),)


def _signature_checked(fact: events.SignatureChecked) -> Lines:
    signature = (logging.INFO, "Signature valid: True")
    if fact.age_seconds is None:
        return (signature,)
    return (signature, (logging.INFO, f"Timestamp age: {round(fact.age_seconds)}s (fresh)"))


def _duplicate_seen(fact: events.DuplicateSeen) -> Lines:
    return ((logging.WARNING, f"Duplicate webhook: webhook_id={safe(fact.webhook_id)}"),)


def _handler_failed(fact: events.HandlerFailed) -> Lines:
    text = (
        f"Webhook handler failed: event={safe(fact.event)}, webhook_id={safe(fact.webhook_id)}, "
        f"error={words(fact.error)}"
    )
    return ((logging.ERROR, text),)


def _received_headers(fact: events.ReceivedHeaders) -> Lines:
    signature = None if fact.signature is None else f"{fact.signature[: events.SIGNATURE_SHOWN]}..."
    return (
        (logging.DEBUG, f"X-Webhook-Signature: {safe(signature)}"),
        (logging.DEBUG, f"X-Webhook-Timestamp: {safe(fact.timestamp)}"),
        (logging.DEBUG, f"X-Webhook-Id: {safe(fact.webhook_id)}"),
        (logging.DEBUG, f"X-Webhook-Event: {safe(fact.event)}"),
    )


def _hint_failed(fact: events.HintFailed) -> Lines:
    text = (
        f"Webhook hint not sent: engine={safe(fact.engine)}, error={safe(fact.error)}, "
        f"retry_in={_milliseconds(fact.retry_seconds)}"
    )
    return ((logging.WARNING, text),)


def _observer_failed(fact: events.ObserverFailed) -> Lines:
    text = (
        f"Webhook observer failed: observer={safe(fact.observer)}, fact={safe(fact.fact)}, "
        f"error={safe(fact.error)}"
    )
    return ((logging.ERROR, text),)


def _nothing(fact: events.Rejected) -> Lines:  # noqa: ARG001 - written by the observer itself
    return ()


_FORMS: dict[type, Callable[..., Lines]] = {
    events.AttemptStarted: _attempt_started,
    events.Delivered: _delivered,
    events.AttemptFailed: _attempt_failed,
    events.RetryPlanned: _retry_planned,
    events.NotRetried: _not_retried,
    events.GivenUp: _given_up,
    events.EndpointGone: _endpoint_gone,
    events.BreakerOpened: _opened,
    events.BreakerReopened: _reopened,
    events.BreakerHalfOpened: _half_opened,
    events.BreakerClosed: _closed,
    events.BreakerForced: _forced,
    events.Skipped: _skipped,
    events.Held: _kept_back,
    events.Waiting: _kept_back,
    events.Blocked: _blocked,
    events.Received: _received,
    events.SignatureChecked: _signature_checked,
    events.DuplicateSeen: _duplicate_seen,
    events.Rejected: _nothing,
    events.HandlerFailed: _handler_failed,
    events.ReceivedHeaders: _received_headers,
    events.HintFailed: _hint_failed,
    events.ObserverFailed: _observer_failed,
}
