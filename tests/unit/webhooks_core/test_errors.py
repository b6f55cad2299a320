"""The error tree: facts, words, and that every error survives a pickle and a copy."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from webhooks_core import errors
from webhooks_core.errors import (
    AddressBlocked,
    BodyTooLarge,
    BreakerOpen,
    ConfigError,
    Duplicate,
    EnvelopeError,
    KeyFormatError,
    MalformedBody,
    MalformedHeader,
    MissingHeader,
    SignatureInvalid,
    StoreUnavailable,
    TimestampTooNew,
    TimestampTooOld,
    VerificationError,
    WebhookError,
)

# The contract §5: what the sender is told, and with which status.
ANSWERS = [
    (BodyTooLarge(262_144), "Body too large", 413),
    (MissingHeader("X-Webhook-Id"), "Missing header", 400),
    (MalformedHeader("X-Webhook-Id", "a UUID is wanted"), "Malformed header", 400),
    (MalformedBody("not JSON"), "Malformed body", 400),
    (TimestampTooOld(age_seconds=301.0, tolerance_seconds=300), "Timestamp too old", 401),
    (TimestampTooNew(age_seconds=-31.0, tolerance_seconds=30), "Timestamp in future", 401),
    (SignatureInvalid(keys_tried=2), "Invalid signature", 401),
    (Duplicate("550e8400-e29b-41d4-a716-446655440000"), "Duplicate webhook (replay detected)", 200),
]


@pytest.mark.parametrize(("error", "text", "status"), ANSWERS)
def test_each_refusal_has_its_short_text_and_status(error: VerificationError, text: str, status: int) -> None:
    """The texts are those of the contract §5, to the letter."""
    assert (error.text, error.status) == (text, status)
    assert str(error).startswith(text)


def test_messages_give_the_numbers_and_the_limits() -> None:
    """Whoever reads the message need not look at the code."""
    assert str(TimestampTooOld(age_seconds=301.5, tolerance_seconds=300)) == (
        "Timestamp too old: 301.5 s old, 300 s are allowed"
    )
    assert str(TimestampTooNew(age_seconds=-31.0, tolerance_seconds=30)) == (
        "Timestamp in future: 31 s ahead, 30 s are allowed"
    )
    assert str(BodyTooLarge(262_144)) == "Body too large: more than 262144 bytes"
    assert str(ConfigError("WEBHOOK_TIMEOUT", "0 is too short")) == "WEBHOOK_TIMEOUT: 0 is too short"
    assert str(AddressBlocked("localhost", "loopback")) == "localhost is blocked by the rule loopback"
    assert str(BreakerOpen("eu", 1_763_000_060.0)) == (
        "the circuit breaker of endpoint eu is open until 1763000060.000"
    )


def test_every_error_of_the_package_has_one_root() -> None:
    """`except WebhookError` catches them all."""
    found = [
        thing for _, thing in inspect.getmembers(errors, inspect.isclass) if issubclass(thing, Exception)
    ]

    assert len(found) >= 18
    assert all(issubclass(thing, WebhookError) for thing in found)
    assert issubclass(KeyFormatError, ConfigError)


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("A", "b"),
        KeyFormatError("A", "b"),
        EnvelopeError("data", "b"),
        AddressBlocked("h", "r"),
        BreakerOpen("eu", 1.5),
        *[error for error, _, _ in ANSWERS],
        StoreUnavailable("Redis", "TimeoutError"),
    ],
)
def test_errors_cross_a_process_and_come_back_equal(error: WebhookError) -> None:
    """A worker process or a test runner may pickle what was raised."""
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
