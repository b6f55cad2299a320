"""Property: any change of a signed request is refused, in the order of the contract §5."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.property.signed_requests import (
    EVENT,
    KEY,
    MILLISECONDS,
    NOW,
    SCHEMES,
    SECRETS,
    WEBHOOK_ID,
    body_of,
    signed,
    verifier,
)
from webhooks_core.errors import (
    BodyTooLarge,
    MissingHeader,
    SignatureInvalid,
    TimestampTooNew,
    TimestampTooOld,
    VerificationError,
)
from webhooks_core.scheme import Scheme


@settings(max_examples=200)  # one byte of some eighty is drawn: 100 would leave many untouched
@given(st.data(), SCHEMES)
def test_a_changed_bit_of_the_body_is_refused(data: st.DataObject, scheme: Scheme) -> None:
    """Any one bit of the body (§5 step 3)."""
    body = body_of()
    headers = signed(body, scheme=scheme)
    at, bit = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(0, 7))
    changed = bytearray(body)
    changed[at] ^= 1 << bit

    with pytest.raises(SignatureInvalid):
        verifier(scheme=scheme).verify(headers, bytes(changed), now=NOW)


@given(st.binary(min_size=1, max_size=20), SCHEMES, st.booleans())
def test_a_longer_or_shorter_body_is_refused(extra: bytes, scheme: Scheme, longer: bool) -> None:
    """Bytes added at the end, or cut off it (§5 step 3)."""
    body = body_of()
    headers = signed(body, scheme=scheme)

    with pytest.raises(SignatureInvalid):
        verifier(scheme=scheme).verify(headers, body + extra if longer else body[: -len(extra)], now=NOW)


@given(st.integers(-29_999, 299_999).filter(bool))
def test_a_changed_timestamp_is_refused_although_fresh(off: int) -> None:
    """Another timestamp within the window breaks the signature (§5 step 3)."""
    body = body_of()
    headers = signed(body) | {"X-Webhook-Timestamp": str(MILLISECONDS - off)}

    with pytest.raises(SignatureInvalid):
        verifier().verify(headers, body, now=NOW)


@given(st.text("0123456789", min_size=1, max_size=16))
def test_any_other_digits_for_a_timestamp_are_refused(digits: str) -> None:
    """Whatever digits stand there, leading zeros included: refused (§5 steps 1 to 3)."""
    assume(digits != str(MILLISECONDS))
    body = body_of()

    with pytest.raises(VerificationError):
        verifier().verify(signed(body) | {"X-Webhook-Timestamp": digits}, body, now=NOW)


@pytest.mark.parametrize("scheme", [Scheme.TIMESTAMPED, Scheme.BODY])
@given(other=st.uuids(version=4))
def test_another_id_is_refused_where_the_body_names_it(scheme: Scheme, other: object) -> None:
    """A captured request under a fresh id is refused: metadata.webhook_id is signed (§4, §5 step 4)."""
    body = body_of()
    headers = signed(body, scheme=scheme) | {"X-Webhook-Id": str(other)}
    assume(str(other) != WEBHOOK_ID)

    with pytest.raises(SignatureInvalid):
        verifier(scheme=scheme).verify(headers, body, now=NOW)


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789_.", min_size=1, max_size=64), SCHEMES)
def test_another_event_header_is_refused(event: str, scheme: Scheme) -> None:
    """The event header must equal the body's event (§5 step 4)."""
    assume(event != EVENT)
    body = body_of()

    with pytest.raises(SignatureInvalid):
        verifier(scheme=scheme).verify(
            signed(body, scheme=scheme) | {"X-Webhook-Event": event}, body, now=NOW
        )


@given(st.integers(0, 63), st.sampled_from("0123456789abcdef"), SCHEMES)
def test_a_changed_digit_of_the_signature_is_refused(at: int, digit: str, scheme: Scheme) -> None:
    """Any one digit of the signature (§5 step 3)."""
    body = body_of()
    headers = signed(body, scheme=scheme)
    signature = headers["X-Webhook-Signature"]
    assume(signature[at] != digit)
    headers["X-Webhook-Signature"] = signature[:at] + digit + signature[at + 1 :]

    with pytest.raises(SignatureInvalid):
        verifier(scheme=scheme).verify(headers, body, now=NOW)


@given(SECRETS, SECRETS, SCHEMES)
def test_another_secret_is_refused(one: str, other: str, scheme: Scheme) -> None:
    """A signature by a secret that is not in the ring (§5 step 3)."""
    padded = [
        text.encode() if len(text.encode()) <= 64 else hashlib.sha256(text.encode()).digest()
        for text in (one, other)
    ]
    assume(padded[0].ljust(64, b"\0") != padded[1].ljust(64, b"\0"))  # HMAC itself cannot tell these apart
    body = body_of()

    with pytest.raises(SignatureInvalid):
        verifier(other, scheme).verify(signed(body, secret=one, scheme=scheme), body, now=NOW)


@given(st.integers(0, 63), st.integers(0, 6))
def test_a_changed_bit_of_the_secret_is_refused(at: int, bit: int) -> None:
    """Any one bit of the secret (§5 step 3)."""
    raw = bytearray(KEY.encode())
    raw[at] ^= 1 << bit
    body = body_of()

    try:
        other = verifier(raw.decode())
    except Exception as error:
        assert type(error).__module__ == "webhooks_core.errors"
        return
    with pytest.raises(SignatureInvalid):
        other.verify(signed(body), body, now=NOW)


@given(st.integers(-40_000, 400_000))
@example(300_000)
@example(300_001)
@example(-30_000)
@example(-30_001)
def test_age_is_judged_to_the_millisecond(age: int) -> None:
    """Older than 300 s is too old, more than 30 s ahead is too new, equal is still good (§5 step 2)."""
    body = body_of()
    headers, now = signed(body), NOW + age / 1000

    if age > 300_000:
        with pytest.raises(TimestampTooOld):
            verifier().verify(headers, body, now=now)
    elif age < -30_000:
        with pytest.raises(TimestampTooNew):
            verifier().verify(headers, body, now=now)
    else:
        assert verifier().verify(headers, body, now=now).timestamp_ms == MILLISECONDS


@given(st.integers(300_001, 400_000) | st.integers(-40_000, -30_001), st.binary(max_size=40))
def test_age_is_judged_before_the_signature(age: int, body: bytes) -> None:
    """An old forged request is told its age, not its signature (§5 order)."""
    headers = signed(body_of())

    with pytest.raises((TimestampTooOld, TimestampTooNew)):
        verifier().verify(headers, body, now=NOW + age / 1000)


@given(st.sampled_from([Scheme.TIMESTAMPED, Scheme.BODY]))
def test_a_missing_header_never_selects_a_weaker_scheme(signed_with: Scheme) -> None:
    """A timestamped verifier calls a body signature without timestamp what it is: a header missing (§4)."""
    body = body_of()
    headers = signed(body, scheme=Scheme.BODY)
    headers.pop("X-Webhook-Timestamp", None)

    with pytest.raises(MissingHeader):
        verifier(scheme=Scheme.TIMESTAMPED).verify(headers, body, now=NOW)
    with pytest.raises(SignatureInvalid):
        verifier(scheme=Scheme.BODY).verify(signed(body, scheme=Scheme.TIMESTAMPED), body, now=NOW)


@given(st.integers(1, 2000))
def test_a_body_too_large_is_refused_first(beyond: int) -> None:
    """More than 256 KiB is refused before headers and hash (§5 step 1)."""
    with pytest.raises(BodyTooLarge):
        verifier().verify({}, b"x" * (256 * 1024 + beyond), now=NOW)
