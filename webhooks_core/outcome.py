"""What came of an attempt: the classes of the contract §6 and the one function that assigns them.

Pure: a status, a body and the number of the attempt go in, an `Outcome` comes out. What to do about it is
`retry.py`'s business, what it means for the endpoint is `breaker.py`'s. Invariant: every result has exactly
one outcome, and every text produced here is made of our own words, so that it may be logged.
Explained in docs/reference/outcomes.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from webhooks_core.errors import AddressBlocked, ConnectFailed, TimedOut, TlsFailed, TransportError

# RFC 9110 §15.5.9 (408), RFC 8470 §5.2 (425), RFC 6585 §4 (429): the client errors that ask to be tried
# again.
RETRIED_STATUSES = frozenset({408, 425, 429})
# RFC 9110 §15.5.11: the resource is no longer there and the condition is likely to be permanent.
GONE = 410
# The seeds' receiver answers "Duplicate webhook (replay detected)"; only as much of a body is read as a
# transport keeps.
DUPLICATE_WORD = b"duplicate"
DUPLICATE_STATUSES = frozenset({401, 403, 409})
SEARCHED_BYTES = 16_384


class Outcome(StrEnum):
    """Name what came of an attempt (or why there was none), by class. The values reach metrics and
    databases.
    """

    SUCCESS = "success"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION_ERROR = "connection_error"
    TLS_ERROR = "tls_error"
    REDIRECT = "redirect"
    BLOCKED_ADDRESS = "blocked_address"
    CIRCUIT_OPEN = "circuit_open"
    PII_BLOCKED = "pii_blocked"
    SIGNATURE_REJECTED = "signature_rejected"
    DUPLICATE_UNCONFIRMED = "duplicate_unconfirmed"


_RETRIED = frozenset({Outcome.SERVER_ERROR, Outcome.TIMEOUT, Outcome.CONNECTION_ERROR, Outcome.TLS_ERROR})
# A 3xx is a failure (contract §4). A blocked address, an open breaker and PII never reached the receiver,
# and an unconfirmed duplicate shows a receiver that works: these four say nothing against the endpoint.
_COUNTED = _RETRIED | {Outcome.CLIENT_ERROR, Outcome.REDIRECT, Outcome.SIGNATURE_REJECTED}
_PHASES = frozenset({"dns", "connect", "proxy", "tls", "send", "headers", "body"})  # those of TransportError


class Answer(Protocol):
    """The part of a response that classification reads."""

    @property
    def status(self) -> int:
        """HTTP status code."""
        ...

    @property
    def body(self) -> bytes:
        """The first bytes of the response body, as sent."""
        ...


def classify(result: Answer | Exception, *, attempt: int, sent_before: bool = False) -> Outcome:
    """Assign one outcome to the *result* of an attempt.

    Args:
        result: The response, or the exception that the transport raised. An exception of a foreign kind
            counts as a connection error: nothing is known to have arrived.
        attempt: Number of this attempt, from 1. Only a later request can meet the mark that an earlier one
            left.
        sent_before: An earlier request may have been sent that *attempt* does not count: its sender died, or
            a person sends the delivery again.
    Source: contract §6. A status outside 200–599 is no answer to a POST and counts as a broken connection.
    """
    if isinstance(result, Exception):
        return _classify_error(result)
    status = result.status
    if 200 <= status < 300:
        return Outcome.SUCCESS
    if (
        (attempt > 1 or sent_before)
        and status in DUPLICATE_STATUSES
        and DUPLICATE_WORD in result.body[:SEARCHED_BYTES].lower()
    ):
        return Outcome.DUPLICATE_UNCONFIRMED
    if status in (401, 403):
        return Outcome.SIGNATURE_REJECTED
    if 300 <= status < 400:
        return Outcome.REDIRECT
    if 400 <= status < 500:
        return Outcome.CLIENT_ERROR
    if 500 <= status < 600:
        return Outcome.SERVER_ERROR
    return Outcome.CONNECTION_ERROR


def _classify_error(error: Exception) -> Outcome:
    if isinstance(error, AddressBlocked):
        return Outcome.BLOCKED_ADDRESS
    if isinstance(error, TimedOut):
        return Outcome.TIMEOUT
    if isinstance(error, TlsFailed):
        return Outcome.TLS_ERROR
    return Outcome.CONNECTION_ERROR


def describe(result: Answer | Exception) -> str:
    """Say in our own words what *result* was: no host, no text of a library or a receiver."""
    if not isinstance(result, Exception):
        return f"HTTP {result.status}"
    if isinstance(result, AddressBlocked):
        return f"address blocked: {result.rule}"
    if isinstance(result, TlsFailed):
        return "TLS failed"
    if isinstance(result, TransportError):
        kinds = ((TimedOut, "timed out"), (ConnectFailed, "connection failed"))
        what = next((words for kind, words in kinds if isinstance(result, kind)), "response broken")
        return f"{what}: {result.phase}" if result.phase in _PHASES else what
    return f"unexpected {type(result).__name__}"


def is_success(outcome: Outcome) -> bool:
    """Return whether the delivery has arrived."""
    return outcome is Outcome.SUCCESS


def is_retried(outcome: Outcome, *, status: int | None = None) -> bool:
    """Return whether another attempt may help: a class that passes, or a *status* that asks for one."""
    return outcome in _RETRIED or (outcome is Outcome.CLIENT_ERROR and status in RETRIED_STATUSES)


def counts_for_breaker(outcome: Outcome) -> bool:
    """Return whether a delivery that ended so speaks against the endpoint (once per delivery)."""
    return outcome in _COUNTED
