"""Every result has one outcome, and every outcome means one thing to the retry policy and to the breaker."""

from __future__ import annotations

import pytest

from webhooks_core.errors import AddressBlocked, ConnectFailed, ResponseBroken, TimedOut, TlsFailed
from webhooks_core.outcome import Outcome, classify, counts_for_breaker, describe, is_retried, is_success
from webhooks_core.transport.base import Response


def answer(status: int, body: bytes = b"") -> Response:
    return Response(status=status, body=body)


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        (answer(200), Outcome.SUCCESS),
        (answer(204), Outcome.SUCCESS),
        (answer(299), Outcome.SUCCESS),
        (answer(300), Outcome.REDIRECT),
        (answer(304), Outcome.REDIRECT),
        (answer(399), Outcome.REDIRECT),
        (answer(400), Outcome.CLIENT_ERROR),
        (answer(401), Outcome.SIGNATURE_REJECTED),
        (answer(403), Outcome.SIGNATURE_REJECTED),
        (answer(404), Outcome.CLIENT_ERROR),
        (answer(409), Outcome.CLIENT_ERROR),
        (answer(410), Outcome.CLIENT_ERROR),
        (answer(429), Outcome.CLIENT_ERROR),
        (answer(499), Outcome.CLIENT_ERROR),
        (answer(500), Outcome.SERVER_ERROR),
        (answer(599), Outcome.SERVER_ERROR),
        (answer(100), Outcome.CONNECTION_ERROR),
        (answer(199), Outcome.CONNECTION_ERROR),
        (answer(600), Outcome.CONNECTION_ERROR),
        (TimedOut(), Outcome.TIMEOUT),
        (ConnectFailed(), Outcome.CONNECTION_ERROR),
        (ResponseBroken(), Outcome.CONNECTION_ERROR),
        (TlsFailed(), Outcome.TLS_ERROR),
        (AddressBlocked("internal", "private"), Outcome.BLOCKED_ADDRESS),
        (RuntimeError("boom"), Outcome.CONNECTION_ERROR),
    ],
)
def test_a_result_has_one_outcome(result: Response | Exception, wanted: Outcome) -> None:
    """The classes of the contract §6, at both ends of each range."""
    assert classify(result, attempt=1) is wanted


@pytest.mark.parametrize("status", [401, 403, 409])
@pytest.mark.parametrize("body", [b"Duplicate webhook (replay detected)", b'{"error":"DUPLICATE"}'])
def test_a_later_attempt_can_meet_the_mark_of_an_earlier_one(status: int, body: bytes) -> None:
    """401, 403 and 409 that name a duplicate are unconfirmed duplicates, from the second attempt on."""
    assert classify(answer(status, body), attempt=2) is Outcome.DUPLICATE_UNCONFIRMED
    assert classify(answer(status, body), attempt=3) is Outcome.DUPLICATE_UNCONFIRMED


@pytest.mark.parametrize("status", [401, 403, 409])
def test_attempt_one_can_meet_the_mark_of_a_request_that_nobody_counted(status: int) -> None:
    """After a crash, or a person's resend, attempts count from 1 and the receiver has seen the id."""
    outcome = classify(answer(status, b"duplicate"), attempt=1, sent_before=True)

    assert outcome is Outcome.DUPLICATE_UNCONFIRMED


@pytest.mark.parametrize(
    ("status", "body", "attempt", "wanted"),
    [
        (401, b"duplicate", 1, Outcome.SIGNATURE_REJECTED),
        (409, b"duplicate", 1, Outcome.CLIENT_ERROR),
        (401, b"Invalid signature", 2, Outcome.SIGNATURE_REJECTED),
        (409, b"conflict", 2, Outcome.CLIENT_ERROR),
        (400, b"duplicate", 2, Outcome.CLIENT_ERROR),
        (500, b"duplicate", 2, Outcome.SERVER_ERROR),
        (200, b"duplicate", 2, Outcome.SUCCESS),
        (401, b"x" * 16_384 + b"duplicate", 2, Outcome.SIGNATURE_REJECTED),
        (401, b"x" * (16_384 - 9) + b"duplicate", 2, Outcome.DUPLICATE_UNCONFIRMED),
    ],
)
def test_nothing_else_is_an_unconfirmed_duplicate(
    status: int, body: bytes, attempt: int, wanted: Outcome
) -> None:
    """A first attempt, another status, another word, or the word beyond 16 KiB is not one."""
    assert classify(answer(status, body), attempt=attempt) is wanted


def test_error_texts_are_our_own_words() -> None:
    """No host, address or text of a library reaches what is logged."""
    told = [
        describe(answer(503, b"secret")),
        describe(TimedOut("10.0.0.1 timed out")),
        describe(ConnectFailed("connection to 10.0.0.1 refused")),
        describe(TlsFailed("certificate of internal.example")),
        describe(ResponseBroken("bad header from 10.0.0.1")),
        describe(AddressBlocked("10.0.0.1", "private")),
        describe(ValueError("10.0.0.1")),
        describe(ConnectFailed("refused", phase="connect")),
        describe(TimedOut("late", phase="dns")),
        describe(ResponseBroken("odd", phase="at 10.0.0.1")),
        describe(TlsFailed("certificate", phase="tls")),
    ]

    assert told == [
        "HTTP 503",
        "timed out",
        "connection failed",
        "TLS failed",
        "response broken",
        "address blocked: private",
        "unexpected ValueError",
        "connection failed: connect",
        "timed out: dns",
        "response broken",
        "TLS failed",
    ]


@pytest.mark.parametrize(
    ("outcome", "status", "retried"),
    [
        (Outcome.SERVER_ERROR, 500, True),
        (Outcome.TIMEOUT, None, True),
        (Outcome.CONNECTION_ERROR, None, True),
        (Outcome.TLS_ERROR, None, True),
        (Outcome.CLIENT_ERROR, 408, True),
        (Outcome.CLIENT_ERROR, 425, True),
        (Outcome.CLIENT_ERROR, 429, True),
        (Outcome.CLIENT_ERROR, 400, False),
        (Outcome.CLIENT_ERROR, 404, False),
        (Outcome.CLIENT_ERROR, 410, False),
        (Outcome.SIGNATURE_REJECTED, 401, False),
        (Outcome.REDIRECT, 302, False),
        (Outcome.BLOCKED_ADDRESS, None, False),
        (Outcome.DUPLICATE_UNCONFIRMED, 409, False),
        (Outcome.CIRCUIT_OPEN, None, False),
        (Outcome.PII_BLOCKED, None, False),
        (Outcome.SUCCESS, 200, False),
    ],
)
def test_what_is_retried(outcome: Outcome, status: int | None, retried: bool) -> None:
    """The contract §6, class by class."""
    assert is_retried(outcome, status=status) is retried


def test_what_counts_against_an_endpoint() -> None:
    """Failures of the receiver count; what never reached it, and an unconfirmed duplicate, do not."""
    counted = {outcome for outcome in Outcome if counts_for_breaker(outcome)}

    assert counted == {
        Outcome.SERVER_ERROR,
        Outcome.TIMEOUT,
        Outcome.CONNECTION_ERROR,
        Outcome.TLS_ERROR,
        Outcome.CLIENT_ERROR,
        Outcome.REDIRECT,
        Outcome.SIGNATURE_REJECTED,
    }


def test_only_success_is_success() -> None:
    """An unconfirmed duplicate is neither success nor signature rejection."""
    assert [outcome for outcome in Outcome if is_success(outcome)] == [Outcome.SUCCESS]
