"""What is signed, and the headers of an attempt (the contract §4)."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from webhooks_core.keys import KeyRing, Secret
from webhooks_core.scheme import Scheme
from webhooks_core.signer import Signer, milliseconds, sign, signature

NOW = 1_763_000_000.123
ID = "550e8400-e29b-41d4-a716-446655440000"
BODY = b'{"event":"payment_verified","data":{"tournament_id":101},"metadata":{}}'


def test_the_headers_are_those_of_the_contract_in_its_order(secret: str) -> None:
    """Six headers; the signature covers the timestamp, a dot and the body."""
    headers = sign(BODY, event="payment_verified", webhook_id=ID, keys=KeyRing.of(secret), now=NOW)

    expected = hmac.new(secret.encode(), b"1763000000123." + BODY, hashlib.sha256).hexdigest()
    assert list(headers.items()) == [
        ("Content-Type", "application/json"),
        ("User-Agent", "DeltaCrown-Webhook/1.0"),
        ("X-Webhook-Event", "payment_verified"),
        ("X-Webhook-Id", ID),
        ("X-Webhook-Timestamp", "1763000000123"),
        ("X-Webhook-Signature", expected),
    ]


def test_the_scheme_body_signs_the_body_alone_and_sends_no_timestamp(secret: str) -> None:
    """The older contract: HMAC-SHA256 over the body; a timestamp nobody signed is not sent."""
    headers = sign(
        BODY, event="payment_verified", webhook_id=ID, keys=KeyRing.of(secret), scheme=Scheme.BODY, now=NOW
    )

    assert headers["X-Webhook-Signature"] == hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()
    assert "X-Webhook-Timestamp" not in headers
    assert headers["X-Webhook-Id"] == ID


def test_the_first_secret_of_the_ring_signs(secret: str) -> None:
    """During a rotation the newest signs, the older ones only verify."""
    both = sign(BODY, event="e", webhook_id=ID, keys=KeyRing.of(secret, "0f" * 32), now=NOW)
    alone = sign(BODY, event="e", webhook_id=ID, keys=KeyRing.of(secret), now=NOW)

    assert both == alone


def test_a_signer_binds_what_an_endpoint_has(secret: str) -> None:
    """`Signer.sign` gives what `sign` gives with the same keys, scheme and user agent."""
    keys = KeyRing.of(secret)
    signer = Signer(keys=keys, scheme=Scheme.BODY, user_agent="Crown/2.0")

    headers = signer.sign(BODY, event="e", webhook_id=ID, now=NOW)

    assert headers == sign(
        BODY, event="e", webhook_id=ID, keys=keys, scheme=Scheme.BODY, now=NOW, user_agent="Crown/2.0"
    )
    assert headers["User-Agent"] == "Crown/2.0"
    assert secret[:8] not in repr(signer)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (0.0, 0),
        (1.0, 1000),
        (1_763_000_000.0, 1_763_000_000_000),
        (1_763_000_000.123, 1_763_000_000_123),
        (1_763_000_000.9994, 1_763_000_000_999),
        (1_763_000_000.9996, 1_763_000_001_000),
    ],
)
def test_milliseconds_are_rounded_to_the_nearest(now: float, expected: int) -> None:
    """A float of seconds holds milliseconds exactly for the next centuries; cutting would lose one."""
    assert milliseconds(now) == expected


def test_every_millisecond_of_a_second_survives_the_float() -> None:
    """No millisecond is turned into its neighbour."""
    assert [milliseconds(1_763_000_000 + ms / 1000) - 1_763_000_000_000 for ms in range(1000)] == list(
        range(1000)
    )


def test_the_signature_alone_is_64_lower_case_hex_digits(secret: str) -> None:
    """With a timestamp and without."""
    timed = signature(BODY, secret=Secret(secret), timestamp="1763000000123")
    alone = signature(BODY, secret=Secret(secret), timestamp=None)

    assert {len(timed), len(alone)} == {64}
    assert timed != alone
    assert all(set(text) <= set("0123456789abcdef") for text in (timed, alone))
