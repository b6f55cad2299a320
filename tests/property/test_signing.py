"""Property: what was signed verifies, what was changed does not, only our errors come out (contract §4–5)."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from webhooks_core.errors import (
    BodyTooLarge,
    MalformedHeader,
    MissingHeader,
    SignatureInvalid,
    TimestampTooNew,
    TimestampTooOld,
    VerificationError,
)
from webhooks_core.keys import KeyRing
from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign
from webhooks_core.verifier import Verifier

NOW = 1_763_000_000.0
MILLISECONDS = 1_763_000_000_000
WEBHOOK_ID = "550e8400-e29b-41d4-a716-446655440000"
EVENT = "payment_verified"
KEY = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"
SCHEMES = st.sampled_from([Scheme.TIMESTAMPED, Scheme.BODY])
TEXT = st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"))
SECRETS = st.text(TEXT, min_size=32, max_size=80).filter(lambda text: not text.startswith("whsec_"))


def body_of(data: object = None, *, event: str = EVENT, webhook_id: str | None = WEBHOOK_ID) -> bytes:
    """The bytes of an envelope, made here and not by the code under test."""
    metadata = {} if webhook_id is None else {"webhook_id": webhook_id}
    whole = {"event": event, "data": data or {"tournament_id": 101}, "metadata": metadata}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def signed(
    body: bytes, *, secret: str = KEY, scheme: Scheme = Scheme.TIMESTAMPED, now: float = NOW
) -> dict[str, str]:
    """Headers as our signer writes them."""
    return sign(
        body,
        event=EVENT,
        webhook_id=WEBHOOK_ID,
        keys=KeyRing.of(secret),
        scheme=scheme,
        now=now,
        user_agent="T/1",
    )


def verifier(secret: str = KEY, scheme: Scheme = Scheme.TIMESTAMPED) -> Verifier:
    """A verifier of one secret."""
    return Verifier(KeyRing.of(secret), scheme=scheme)


JSON = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=10),
    st.one_of(
        st.integers(-(2**60), 2**60),
        st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
        st.none(),
    ),
    max_size=4,
)


@given(JSON, SECRETS, SCHEMES, st.floats(0, 4e9))
@example({}, "é" * 32, Scheme.TIMESTAMPED, NOW)
@example({}, "x" * 64, Scheme.BODY, NOW)
@example({}, "x" * 65, Scheme.BODY, NOW)
def test_what_was_signed_verifies(data: dict[str, Any], secret: str, scheme: Scheme, now: float) -> None:
    """Round trip for any data, any secret of 32 characters or more, both schemes, at any time (§4, §5)."""
    body = body_of(data)

    verified = verifier(secret, scheme).verify(
        signed(body, secret=secret, scheme=scheme, now=now), body, now=now
    )

    assert (verified.webhook_id, verified.event, verified.body) == (WEBHOOK_ID, EVENT, body)
    assert verified.payload == json.loads(body)


@given(st.binary(max_size=300), SECRETS, SCHEMES)
@example(b"", KEY, Scheme.TIMESTAMPED)
@example(b"\x00\xff\r\n", KEY, Scheme.BODY)
def test_the_signature_is_the_contracts_hmac_for_any_bytes(body: bytes, secret: str, scheme: Scheme) -> None:
    """HMAC-SHA256 over `"{timestamp}." + body`, or over the body alone: 64 lower-case hex digits (§4)."""
    headers = signed(body, secret=secret, scheme=scheme)

    prefix = b"%d." % MILLISECONDS if scheme is Scheme.TIMESTAMPED else b""
    wanted = hmac.new(secret.encode(), prefix + body, hashlib.sha256).hexdigest()
    assert headers["X-Webhook-Signature"] == wanted
    assert headers["X-Webhook-Id"] == WEBHOOK_ID
    assert headers["X-Webhook-Event"] == EVENT
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "T/1"
    if scheme is Scheme.TIMESTAMPED:
        assert headers["X-Webhook-Timestamp"] == str(MILLISECONDS)


@given(st.binary(max_size=100), SCHEMES)
def test_bytes_that_are_no_envelope_are_still_only_our_errors(body: bytes, scheme: Scheme) -> None:
    """A correctly signed body that is no JSON comes back or is refused with our error (§5)."""
    try:
        verified = verifier(scheme=scheme).verify(signed(body, scheme=scheme), body, now=NOW)
    except VerificationError:
        return
    assert verified.body == body


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


@given(st.lists(SECRETS, min_size=1, max_size=4, unique=True), st.data())
def test_every_secret_of_the_ring_verifies_and_the_first_signs(
    secrets: list[str], data: st.DataObject
) -> None:
    """Rotation: the first signs, all verify (§1, §4)."""
    ring, body = KeyRing.of(*secrets), body_of()
    older = data.draw(st.sampled_from(secrets))
    headers = sign(
        body,
        event=EVENT,
        webhook_id=WEBHOOK_ID,
        keys=ring,
        scheme=Scheme.TIMESTAMPED,
        now=NOW,
        user_agent="T/1",
    )

    assert headers == signed(body, secret=secrets[0])
    assert Verifier(ring).verify(signed(body, secret=older), body, now=NOW).webhook_id == WEBHOOK_ID


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


NAMES = ["X-Webhook-Event", "X-Webhook-Id", "X-Webhook-Timestamp", "X-Webhook-Signature"]


@given(st.sampled_from(NAMES), st.sampled_from([str.lower, str.upper, str.title, str.swapcase]))
def test_header_names_have_no_case(name: str, spell: Any) -> None:
    """HTTP header names are case-insensitive, in a mapping and as pairs (RFC 9110 §5.1)."""
    body = body_of()
    headers = {spell(key) if key == name else key: value for key, value in signed(body).items()}

    assert verifier().verify(headers, body, now=NOW).event == EVENT
    assert verifier().verify(list(headers.items()), body, now=NOW).event == EVENT


@given(st.sampled_from(NAMES), st.sampled_from([str.lower, str.upper, str]))
def test_two_values_of_one_header_are_refused(name: str, spell: Any) -> None:
    """One value each, even when both say the same (§5 step 1)."""
    body = body_of()
    headers = signed(body)
    pairs = [*headers.items(), (spell(name), headers[name])]

    with pytest.raises(MalformedHeader):
        verifier().verify(pairs, body, now=NOW)


@given(st.sampled_from(NAMES))
def test_a_header_that_is_not_there_is_missing(name: str) -> None:
    """Each of the four is needed (§5 step 1)."""
    body = body_of()
    headers = {key: value for key, value in signed(body).items() if key != name}

    with pytest.raises(MissingHeader):
        verifier().verify(headers, body, now=NOW)


MANGLED = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        ["", " ", "+1", "-1", "1_000", "٣" * 13, "1763000000000 ", "1" * 30, "1e12", "0x1", "²", "nan"]
    ),
    st.sampled_from(
        [
            "A" * 64,
            "a" * 63,
            "a" * 65,
            "g" * 64,
            "é" * 64,
            "a" * 64 + "\n",
            "\u0664" * 64,
            "sha256=" + "a" * 64,
        ]
    ),
)


@settings(max_examples=300)  # four headers times many ways to be wrong
@given(st.sampled_from(NAMES), MANGLED)
def test_a_mangled_header_is_refused(name: str, value: str) -> None:
    """Anything else in any of the four headers: refused with our error (§5 step 1)."""
    body = body_of()
    headers = signed(body)
    assume(headers[name] != value)

    with pytest.raises(VerificationError):
        verifier().verify(headers | {name: value}, body, now=NOW)


@given(st.integers(1, 2000))
def test_a_body_too_large_is_refused_first(beyond: int) -> None:
    """More than 256 KiB is refused before headers and hash (§5 step 1)."""
    with pytest.raises(BodyTooLarge):
        verifier().verify({}, b"x" * (256 * 1024 + beyond), now=NOW)


HEADER_VALUES = st.one_of(
    st.text(max_size=70), st.text("0123456789abcdef", min_size=60, max_size=68), st.just(WEBHOOK_ID)
)
ANY_HEADERS = st.one_of(
    st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=20), HEADER_VALUES, max_size=8),
    st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=20), HEADER_VALUES), max_size=8),
    st.fixed_dictionaries(dict.fromkeys(NAMES, HEADER_VALUES)),
    st.fixed_dictionaries(
        {
            "X-Webhook-Event": st.just(EVENT),
            "X-Webhook-Id": st.just(WEBHOOK_ID) | st.text(max_size=40),
            "X-Webhook-Timestamp": st.integers(MILLISECONDS - 310_000, MILLISECONDS + 40_000).map(str),
            "X-Webhook-Signature": st.text("0123456789abcdef", min_size=64, max_size=64),
        }
    ),
)
BODIES = st.one_of(st.binary(max_size=200), JSON.map(lambda data: json.dumps(data).encode()))


@settings(max_examples=300)  # headers, bytes and scheme are drawn together
@given(ANY_HEADERS, BODIES, SCHEMES, st.floats(allow_nan=False, min_value=-1e12, max_value=1e12))
def test_for_any_bytes_and_headers_only_our_errors_come_out(
    headers: Mapping[str, str] | list[tuple[str, str]], body: bytes, scheme: Scheme, now: float
) -> None:
    """The verifier raises its own error: nobody here knows the secret, so nothing may verify (§5)."""
    with pytest.raises(VerificationError) as caught:
        verifier(scheme=scheme).verify(headers, body, now=now)

    assert caught.value.status in {400, 401, 413}
    assert KEY not in str(caught.value)
    assert caught.value.text


@given(
    st.one_of(JSON, st.lists(st.integers(), max_size=3), st.text(max_size=5), st.integers(), st.none()),
    SCHEMES,
)
@example({"metadata": {"webhook_id": 5}, "event": EVENT}, Scheme.TIMESTAMPED)
@example({"metadata": [], "event": EVENT}, Scheme.TIMESTAMPED)
@example({"metadata": {"webhook_id": None}, "event": EVENT}, Scheme.TIMESTAMPED)
@example({"metadata": None, "event": [EVENT]}, Scheme.BODY)
def test_a_signed_body_of_another_shape_is_only_our_error(whole: object, scheme: Scheme) -> None:
    """A sender with the secret and a strange body cannot make the verifier raise anything else (§5)."""
    body = json.dumps(whole).encode()
    try:
        verified = verifier(scheme=scheme).verify(signed(body, scheme=scheme), body, now=NOW)
    except VerificationError:
        return
    assert verified.payload == whole
    assert isinstance(whole, dict)
    assert whole.get("event") == EVENT


@settings(max_examples=20)  # each example starts a process
@given(
    st.binary(max_size=300),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=32, max_size=64),
    SCHEMES,
)
def test_openssl_makes_the_same_signature(body: bytes, secret: str, scheme: Scheme) -> None:
    """Ours equals `openssl dgst -sha256 -hmac` over the same bytes (§4: can be checked so)."""
    openssl = shutil.which("openssl")
    assert openssl, "openssl is needed for this test"
    assume(not secret.startswith("whsec_"))
    prefix = b"%d." % MILLISECONDS if scheme is Scheme.TIMESTAMPED else b""

    run = subprocess.run(
        [openssl, "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{secret.encode().hex()}"],
        input=prefix + body,
        capture_output=True,
        check=True,
    )

    assert (
        run.stdout.decode().split()[-1] == signed(body, secret=secret, scheme=scheme)["X-Webhook-Signature"]
    )


@settings(max_examples=10)  # each example starts a process
@given(JSON)
def test_what_openssl_signs_verifies(data: dict[str, Any]) -> None:
    """A request signed by the openssl command passes our verifier (§4)."""
    openssl, body = shutil.which("openssl"), body_of(data)
    assert openssl, "openssl is needed for this test"
    run = subprocess.run(
        [openssl, "dgst", "-sha256", "-hmac", KEY],
        input=b"%d." % MILLISECONDS + body,
        capture_output=True,
        check=True,
    )
    headers = dict(
        zip(NAMES, [EVENT, WEBHOOK_ID, str(MILLISECONDS), run.stdout.decode().split()[-1]], strict=True)
    )

    assert verifier().verify(headers, body, now=NOW).webhook_id == WEBHOOK_ID


@given(JSON, st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=32, max_size=64))
def test_stripes_verifier_agrees_both_ways(data: dict[str, Any], secret: str) -> None:
    """Stripe signs `"{t}." + body` alike: each verifies what the other signed (§4, same construction)."""
    from stripe import WebhookSignature

    assume(not secret.startswith("whsec_"))
    body = body_of(data)
    ours = signed(body, secret=secret)
    header = f"t={ours['X-Webhook-Timestamp']},v1={ours['X-Webhook-Signature']}"

    assert WebhookSignature.verify_header(body.decode(), header, secret)
    theirs = WebhookSignature._compute_signature(f"{MILLISECONDS}.{body.decode()}", secret)
    headers = dict(zip(NAMES, [EVENT, WEBHOOK_ID, str(MILLISECONDS), theirs], strict=True))
    assert verifier(secret).verify(headers, body, now=NOW).body == body
