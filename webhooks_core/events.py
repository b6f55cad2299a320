"""Facts: what happened, as frozen values, one for each log line of the contract §9.

Logic and services emit facts; observers (log, metrics, a test's list) turn them into something. Nothing
here knows who listens. Invariant: a fact never holds a secret, a body or a URL, and an observer that fails
never breaks what it observes (`emit`). The lines they become are in docs/reference/log-lines.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from webhooks_core.outcome import Outcome

SIGNATURE_SHOWN = 14  # characters that a log may hold: contract §9, as in the seeds `a3c8f7e2d1b456...`


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """An attempt is about to be sent. Attempts are numbered from 1.

    `max_attempts` is how many there are by the end of the tier that this one belongs to.
    """

    event: str
    endpoint: str
    webhook_id: str
    attempt: int
    max_attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The receiver answered 2xx.

    `latency_seconds` is the time spent in attempts, failed ones included; `elapsed_seconds` adds planned
    waits.
    """

    event: str
    endpoint: str
    webhook_id: str
    status: int
    attempt: int
    latency_seconds: float
    elapsed_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """An attempt failed and another one will follow. `status` is None where no answer came."""

    event: str
    endpoint: str
    webhook_id: str
    attempt: int
    outcome: Outcome
    error: str
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlanned:
    """The next attempt (number `attempt`) begins in `wait_seconds`.

    `slow_retry` is its number in the slow tier, which has `slow_retries` of them; 0 in the fast one.
    """

    event: str
    endpoint: str
    webhook_id: str
    attempt: int
    wait_seconds: float
    slow_retry: int = 0
    slow_retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRetried:
    """The receiver answered with a 4xx that no repetition will change."""

    event: str
    endpoint: str
    webhook_id: str
    status: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """A delivery will not be tried again by itself."""

    event: str
    endpoint: str
    webhook_id: str
    attempts: int
    outcome: Outcome
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointGone:
    """The receiver answered 410: the endpoint is to be disabled until a person re-enables it."""

    endpoint: str
    webhook_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOpened:
    """A closed breaker opened: `failures` deliveries had failed within `window_seconds`."""

    endpoint: str
    failures: int
    window_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerReopened:
    """A probe failed: the breaker stays open for `open_for_seconds` more. Not another opening (contract
    §7).
    """

    endpoint: str
    open_for_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerHalfOpened:
    """A breaker lets one probe through."""

    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerClosed:
    """A breaker closed again: its probe succeeded."""

    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerForced:
    """A person changed (or ended) a breaker's forced state."""

    endpoint: str
    mode: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """The gate was closed: nothing was recorded, nothing will be sent."""

    event: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The flag says no at send time: the delivery is kept until a person releases or drops it."""

    event: str
    endpoint: str
    webhook_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The delivery waits without spending an attempt: an open breaker, or a flag whose state is not known."""

    event: str
    endpoint: str
    webhook_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Personal data (or an unknown field) was found at `path`, before anything was stored or sent.

    `kind` is address, handle, network, phone, key, unknown_field or wrong_type; never the value.
    """

    event: str
    kind: str
    path: str
    endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A webhook with a valid signature came in."""

    event: str
    webhook_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureChecked:
    """A signature held. `age_seconds` is None where the scheme signs no timestamp."""

    age_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateSeen:
    """A webhook came in that was handled before, or is being handled right now."""

    webhook_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A webhook was refused; `reason` is the short text of the contract §5."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerFailed:
    """The application's handler raised: the claim is given back, the sender will try again."""

    event: str
    webhook_id: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedHeaders:
    """The four headers of an incoming webhook as they came, for debugging; None where one is missing."""

    signature: str | None
    timestamp: str | None
    webhook_id: str | None
    event: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HintFailed:
    """An engine could not be told that rows were committed: a sweep finds them. `error` is its kind.

    For `retry_seconds` it is not told again.
    """

    engine: str
    error: str
    retry_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverFailed:
    """An observer raised on a fact; told to the observers themselves."""

    observer: str
    fact: str
    error: str


Fact = (
    AttemptStarted
    | Delivered
    | AttemptFailed
    | RetryPlanned
    | NotRetried
    | GivenUp
    | EndpointGone
    | BreakerOpened
    | BreakerReopened
    | BreakerHalfOpened
    | BreakerClosed
    | BreakerForced
    | Skipped
    | Held
    | Waiting
    | Blocked
    | Received
    | SignatureChecked
    | DuplicateSeen
    | Rejected
    | HandlerFailed
    | ReceivedHeaders
    | HintFailed
    | ObserverFailed
)
Observer = Callable[[Fact], None]
F = TypeVar("F")


def emit(observer: Callable[[F | ObserverFailed], None] | None, fact: F) -> None:
    """Tell *observer* a *fact*, one of its own kind; whatever it raises stays here.

    A failure is itself reported: to the observer as `ObserverFailed`, and, where that fails too, in one
    line on standard error; never with the error's text.
    """
    if observer is None:
        return
    try:
        observer(fact)
    except Exception as error:  # noqa: BLE001 - the one place where an observer's error ends; reported below
        _report(observer, fact, error)


def fan_out(*observers: Observer) -> Observer:
    """Join *observers* into one: each is told every fact, and of each one's failure all are told."""

    def tell_all(fact: Fact) -> None:
        failures = []
        for observer in observers:
            try:
                observer(fact)
            except Exception as error:  # noqa: BLE001 - the others must still be told; reported below
                failures.append(_failure(observer, fact, error))
        if not isinstance(fact, ObserverFailed):
            for failure in failures:
                tell_all(failure)

    return tell_all


def _failure(observer: object, fact: object, error: Exception) -> ObserverFailed:
    name = getattr(observer, "__qualname__", type(observer).__qualname__)
    return ObserverFailed(observer=name, fact=type(fact).__name__, error=type(error).__name__)


def _report(observer: Callable[[ObserverFailed], None], fact: object, error: Exception) -> None:
    failure = _failure(observer, fact, error)
    try:
        observer(failure)
    except Exception:  # noqa: BLE001 - nobody is left to tell but whoever reads standard error
        if sys.stderr is not None:
            sys.stderr.write(
                f"webhooks: observer {failure.observer} failed on {failure.fact} with {failure.error}\n"
            )
