"""The verifier: the order of its checks, exact edges, and that only our errors come out."""

from __future__ import annotations

import hashlib
import hmac
from types import MappingProxyType

import pytest

from webhooks_core.envelope import MAX_BODY_BYTES, seal
from webhooks_core.errors import (
    BodyTooLarge,
    ConfigError,
    MalformedBody,
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
NOW_MS = 1_763_000_000_000
ID = "550e8400-e29b-41d4-a716-446655440000"
OTHER_ID = "650e8400-e29b-41d4-a716-446655440000"
SECRET = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow
KEYS = KeyRing.of(SECRET)
BODY = seal("payment_verified", {"tournament_id": 101}, webhook_id=ID).body


def signed(body: bytes = BODY, *, timestamp: str = str(NOW_MS), **changes: str | None) -> dict[str, str]:
    """Sign as the seeds' snippet does, then change headers; None leaves one out."""
    message = f"{timestamp}.".encode() + body
    headers = {
        "X-Webhook-Signature": hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest(),
        "X-Webhook-Timestamp": timestamp,
        "X-Webhook-Id": ID,
        "X-Webhook-Event": "payment_verified",
    }
    for name, value in changes.items():
        header = f"X-Webhook-{name.capitalize()}"
        if value is None:
            del headers[header]
        else:
            headers[header] = value
    return headers


def test_a_signed_request_is_told_with_its_facts() -> None:
    """What our signer signs, our verifier verifies."""
    headers = sign(BODY, event="payment_verified", webhook_id=ID, keys=KEYS, now=NOW)

    verified = Verifier(KEYS).verify(headers, BODY, now=NOW + 1.25)

    assert verified.webhook_id == ID
    assert verified.event == "payment_verified"
    assert verified.body == BODY
    assert verified.payload["data"] == {"tournament_id": 101}
    assert verified.signature == headers["X-Webhook-Signature"]
    assert verified.timestamp_ms == NOW_MS
    assert verified.age_seconds == 1.25


def test_what_is_verified_shows_neither_body_nor_signature() -> None:
    """A log line or a debug page prints the repr."""
    verified = Verifier(KEYS).verify(signed(), BODY, now=NOW)

    assert repr(verified) == f"Verified(webhook_id='{ID}', event='payment_verified', age_seconds=0.0)"


@pytest.mark.parametrize("age_ms", [300_000, 299_999, 0, -29_999, -30_000])
def test_an_age_inside_the_window_is_good_and_so_is_an_equal_one(age_ms: int) -> None:
    """300 s old and 30 s ahead are still good, to the millisecond."""
    stamp = str(NOW_MS - age_ms)

    assert Verifier(KEYS).verify(signed(timestamp=stamp), BODY, now=NOW).age_seconds == age_ms / 1000


@pytest.mark.parametrize(("age_ms", "error"), [(300_001, TimestampTooOld), (-30_001, TimestampTooNew)])
def test_one_millisecond_beyond_the_window_is_refused(age_ms: int, error: type[VerificationError]) -> None:
    """The error carries the age and the limit."""
    with pytest.raises(error) as raised:
        Verifier(KEYS).verify(signed(timestamp=str(NOW_MS - age_ms)), BODY, now=NOW)

    assert vars(raised.value)["age_seconds"] == age_ms / 1000
    assert vars(raised.value)["tolerance_seconds"] == (300 if age_ms > 0 else 30)


def test_the_edge_holds_at_every_millisecond_of_the_clock() -> None:
    """`now` is a float; its rounding must not move the edge by a millisecond."""
    verifier = Verifier(KEYS)
    for ms in range(1000):
        verifier.verify(signed(timestamp=str(NOW_MS + ms - 300_000)), BODY, now=NOW + ms / 1000)
        with pytest.raises(TimestampTooOld):
            verifier.verify(signed(timestamp=str(NOW_MS + ms - 300_001)), BODY, now=NOW + ms / 1000)


def test_window_and_skew_can_be_set() -> None:
    """A window of 10 s and no skew."""
    verifier = Verifier(KEYS, window_seconds=10, skew_seconds=0)

    assert verifier.verify(signed(timestamp=str(NOW_MS - 10_000)), BODY, now=NOW)
    assert verifier.signature_seconds == 10
    with pytest.raises(TimestampTooOld, match=r"10.001 s old, 10 s are allowed"):
        verifier.verify(signed(timestamp=str(NOW_MS - 10_001)), BODY, now=NOW)
    with pytest.raises(TimestampTooNew, match=r"0.001 s ahead, 0 s are allowed"):
        verifier.verify(signed(timestamp=str(NOW_MS + 1)), BODY, now=NOW)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"window_seconds": 0}, "window_seconds"),
        ({"window_seconds": 1.5}, "window_seconds"),
        ({"window_seconds": True}, "window_seconds"),
        ({"skew_seconds": -1}, "skew_seconds"),
        ({"scheme": "strongest"}, "scheme"),
        ({"scheme": None}, "scheme"),
    ],
)
def test_a_verifier_that_cannot_be_is_refused(options: dict[str, object], path: str) -> None:
    """Whole seconds in range, and a scheme that is known."""
    with pytest.raises(ConfigError) as raised:
        Verifier(KEYS, **options)  # type: ignore[arg-type]

    assert raised.value.path == path


@pytest.mark.parametrize(
    "signature",
    [
        "a" * 63,
        "a" * 65,
        "A" * 64,
        "g" * 64,
        "ä" * 64,
        " " + "a" * 63,
        "a" * 64 + "\n",
        "",
        "v1=" + "a" * 61,
        "a" * 32 + "," + "a" * 31,
        "ａ" * 64,
    ],
)
def test_a_signature_has_one_form(signature: str) -> None:
    """64 lower-case hex digits: 63, 65, upper case, non-ASCII and spaces are malformed, not merely wrong."""
    with pytest.raises(MalformedHeader, match="64 lower-case hex digits") as raised:
        Verifier(KEYS).verify(signed(signature=signature), BODY, now=NOW)

    assert raised.value.header == "X-Webhook-Signature"


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "-1",
        "+1763000000000",
        " 1763000000000",
        "1763000000000 ",
        "1763000000000\n",
        "1763000000000.0",
        "1e12",
        "01763000000000",
        "00",
        "1_763_000_000_000",
        "0x10",
        "9" * 16,
        "1" * 30,
        "١٧٦٣٠٠٠٠٠٠٠٠٠",
        "NaN",
        "²",
    ],
)
def test_a_timestamp_has_one_form(timestamp: str) -> None:
    """Digits only, at most 15, without sign, spaces or a leading zero."""
    with pytest.raises(MalformedHeader, match="1 to 15 digits") as raised:
        Verifier(KEYS).verify(signed(timestamp=timestamp), BODY, now=NOW)

    assert raised.value.header == "X-Webhook-Timestamp"


@pytest.mark.parametrize("timestamp", ["0", "1", "999999999999999"])
def test_a_timestamp_far_away_is_too_old_or_too_new(timestamp: str) -> None:
    """Well-formed, and judged as a moment."""
    with pytest.raises(TimestampTooOld if len(timestamp) == 1 else TimestampTooNew):
        Verifier(KEYS).verify(signed(timestamp=timestamp), BODY, now=NOW)


@pytest.mark.parametrize(
    "webhook_id", ["", "1", ID[:-1], ID + "0", ID.replace("-", ""), "{" + ID + "}", ID + "\n"]
)
def test_an_id_is_a_uuid(webhook_id: str) -> None:
    """8-4-4-4-12 hex digits."""
    with pytest.raises(MalformedHeader, match="X-Webhook-Id: a UUID is wanted"):
        Verifier(KEYS).verify(signed(id=webhook_id), BODY, now=NOW)


@pytest.mark.parametrize("event", ["", "Payment", "a b", "x" * 65, "a\n", "ä"])
def test_an_event_has_the_form_of_the_contract(event: str) -> None:
    """`[a-z0-9_.]{1,64}`."""
    with pytest.raises(MalformedHeader, match="X-Webhook-Event: 1 to 64 of"):
        Verifier(KEYS).verify(signed(event=event), BODY, now=NOW)


@pytest.mark.parametrize("name", ["Signature", "Timestamp", "Id", "Event"])
def test_a_header_that_is_missing_is_told_by_name(name: str) -> None:
    """And no weaker scheme is tried in its place."""
    with pytest.raises(MissingHeader) as raised:
        headers = signed()
        del headers[f"X-Webhook-{name}"]
        Verifier(KEYS).verify(headers, BODY, now=NOW)

    assert raised.value.header == f"X-Webhook-{name}"


def test_without_its_timestamp_a_body_signature_is_not_accepted() -> None:
    """A request captured from the scheme `body` does not pass a verifier of `timestamped`."""
    headers = sign(BODY, event="payment_verified", webhook_id=ID, keys=KEYS, scheme=Scheme.BODY, now=NOW)

    with pytest.raises(MissingHeader, match="X-Webhook-Timestamp"):
        Verifier(KEYS).verify(headers, BODY, now=NOW)
    with pytest.raises(SignatureInvalid):
        Verifier(KEYS).verify({**headers, "X-Webhook-Timestamp": str(NOW_MS)}, BODY, now=NOW)


def test_the_scheme_body_looks_at_no_timestamp() -> None:
    """The signature covers the body alone; a timestamp, however odd, is not read."""
    headers = sign(BODY, event="payment_verified", webhook_id=ID, keys=KEYS, scheme=Scheme.BODY, now=NOW)
    verifier = Verifier(KEYS, scheme="body")

    verified = verifier.verify({**headers, "X-Webhook-Timestamp": "soon"}, BODY, now=NOW + 10**6)

    assert (verified.timestamp_ms, verified.age_seconds) == (None, None)
    assert verifier.scheme is Scheme.BODY
    with pytest.raises(SignatureInvalid):
        verifier.verify(signed(), BODY, now=NOW)
    with pytest.raises(SignatureInvalid, match="not the id of the body"):
        verifier.verify({**headers, "X-Webhook-Id": OTHER_ID}, BODY, now=NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {**signed(), "x-webhook-id": ID},
        [*signed().items(), ("X-Webhook-Id", ID)],
        [*signed().items(), ("X-WEBHOOK-SIGNATURE", "a" * 64)],
        [*signed().items(), (b"x-webhook-timestamp", b"1763000000000")],
    ],
)
def test_two_values_of_one_header_are_refused(headers: object) -> None:
    """Even where they are equal: which one counts would depend on the reader."""
    with pytest.raises(MalformedHeader, match="one value is wanted, not two"):
        Verifier(KEYS).verify(headers, BODY, now=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        {name.upper(): value for name, value in signed().items()},
        {name.lower(): value for name, value in signed().items()},
        MappingProxyType(signed()),
        list(signed().items()),
        iter([*signed().items(), ("Content-Type", "application/json"), ("Accept", "*/*"), ("Accept", "x")]),
        [(name.lower().encode(), value.encode()) for name, value in signed().items()],
        [(name.encode(), bytearray(value.encode())) for name, value in signed().items()],
    ],
)
def test_headers_come_in_many_ways(headers: object) -> None:
    """Any case, any mapping, pairs, and the bytes of ASGI; other headers may repeat."""
    assert Verifier(KEYS).verify(headers, BODY, now=NOW).webhook_id == ID  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        None,
        7,
        [1, 2],
        ["ab", "cd"],
        [("a",)],
        [(1, 2)],
        [([], "x")],
        [("X-Webhook-Id",)],
        "text",
        b"bytes",
        {1: 2},
        [(bytearray(b"x-webhook-id"), ID)],
    ],
)
def test_what_is_no_headers_at_all_is_refused_as_such(headers: object) -> None:
    """A verification error, not a TypeError of the caller's."""
    with pytest.raises(VerificationError):
        Verifier(KEYS).verify(headers, BODY, now=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, 7, 1763000000000, ["a"], object(), b"\xff", True])
@pytest.mark.parametrize("name", ["Signature", "Timestamp", "Id", "Event"])
def test_a_value_that_is_no_text_is_malformed(name: str, value: object) -> None:
    """Whatever a framework may hand over."""
    headers: dict[str, object] = {**signed(), f"X-Webhook-{name}": value}

    with pytest.raises(MalformedHeader, match=f"X-Webhook-{name}"):
        Verifier(KEYS).verify(headers, BODY, now=NOW)  # type: ignore[arg-type]


def test_every_secret_of_the_ring_verifies() -> None:
    """Receivers learn the new secret first; both are good while they change over."""
    ring = KeyRing.of("0f" * 32, SECRET)

    assert Verifier(ring).verify(signed(), BODY, now=NOW)
    with pytest.raises(SignatureInvalid) as raised:
        Verifier(KeyRing.of("0f" * 32, "1e" * 32)).verify(signed(), BODY, now=NOW)
    assert raised.value.keys_tried == 2


def test_every_secret_is_compared_even_after_a_match(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time must not tell which of the secrets it was."""
    compared: list[str] = []

    def record(a: str, b: str) -> bool:
        compared.append(a)
        return hmac.compare_digest(a, b)

    monkeypatch.setattr("webhooks_core.verifier.compare_digest", record)
    Verifier(KeyRing.of(SECRET, "0f" * 32, "1e" * 32)).verify(signed(), BODY, now=NOW)

    assert len(set(compared)) == 3


@pytest.mark.parametrize("position", [0, 10, len(BODY) - 1])
def test_one_changed_bit_of_the_body_is_refused(position: int) -> None:
    """The signature covers every byte."""
    changed = bytearray(BODY)
    changed[position] ^= 1

    with pytest.raises(SignatureInvalid):
        Verifier(KEYS).verify(signed(), bytes(changed), now=NOW)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"event": "payment_rejected"}, "not the event of the body"),
        ({"id": OTHER_ID}, "not the id of the body"),
        ({"id": ID.upper()}, "not the id of the body"),
    ],
)
def test_headers_that_repeat_something_else_are_an_invalid_signature(
    changes: dict[str, str], problem: str
) -> None:
    """The seeds sign neither; the body repeats both inside what is signed."""
    with pytest.raises(SignatureInvalid, match=problem) as raised:
        Verifier(KEYS).verify(signed(**changes), BODY, now=NOW)

    assert raised.value.text == "Invalid signature"


@pytest.mark.parametrize(
    "body",
    [
        b'{"event":"payment_verified","data":{},"metadata":{}}',
        b'{"event":"payment_verified","data":{}}',
        b'{"event":"payment_verified","metadata":[1]}',
        b'{"event":"payment_verified","metadata":{"created":1,"email_sent":1}}',
    ],
)
def test_a_body_of_the_seeds_has_no_id_inside_and_is_accepted(body: bytes) -> None:
    """Only where the body has an id is it compared."""
    assert (
        Verifier(KEYS).verify(signed(body, id=OTHER_ID.upper()), body, now=NOW).webhook_id == OTHER_ID.upper()
    )


@pytest.mark.parametrize("inner", [b"null", b"7", b'""', b'"' + OTHER_ID.encode() + b'"'])
def test_an_id_inside_that_is_not_the_headers_is_refused(inner: bytes) -> None:
    """Whatever stands there, it is not this id."""
    body = b'{"event":"payment_verified","metadata":{"webhook_id":' + inner + b"}}"

    with pytest.raises(SignatureInvalid, match="not the id of the body"):
        Verifier(KEYS).verify(signed(body), body, now=NOW)


@pytest.mark.parametrize("body", [b"{}", b'{"event":null}', b'{"event":["payment_verified"]}'])
def test_a_body_without_the_event_is_an_invalid_signature(body: bytes) -> None:
    """The event header is not the body's event, for it has none."""
    with pytest.raises(SignatureInvalid, match="not the event of the body"):
        Verifier(KEYS).verify(signed(body), body, now=NOW)


@pytest.mark.parametrize("body", [b"", b"[]", b"text", b"\xff", b'{"event":"a","event":"a"}', b"[" * 9999])
def test_a_signed_body_that_is_no_strict_json_object_is_malformed(body: bytes) -> None:
    """Only said once the signature holds; before that nothing is read."""
    with pytest.raises(MalformedBody):
        Verifier(KEYS).verify(signed(body), body, now=NOW)
    with pytest.raises(SignatureInvalid):
        Verifier(KEYS).verify(signed(body, signature="a" * 64), body, now=NOW)


def test_the_checks_come_in_the_order_of_the_contract() -> None:
    """Size, headers, age, signature, what is repeated: each hides all that come after it."""
    big = b"x" * (MAX_BODY_BYTES + 1)
    old = str(NOW_MS - 300_001)
    verifier = Verifier(KEYS)

    with pytest.raises(BodyTooLarge):
        verifier.verify({}, big, now=NOW)
    with pytest.raises(MissingHeader):
        verifier.verify(signed(timestamp=old, event=None, signature="bad"), BODY, now=NOW)
    with pytest.raises(MalformedHeader):
        verifier.verify(signed(timestamp=old, signature="bad"), BODY, now=NOW)
    with pytest.raises(TimestampTooOld):
        verifier.verify(signed(timestamp=old, signature="a" * 64), BODY, now=NOW)
    with pytest.raises(SignatureInvalid, match="no secret matches"):
        verifier.verify(signed(event="other", signature="a" * 64), BODY, now=NOW)


def test_a_body_of_exactly_256_kib_is_verified() -> None:
    """The bound itself is still good."""
    room = MAX_BODY_BYTES - len(seal("payment_verified", {"t": ""}, webhook_id=ID).body)
    body = seal("payment_verified", {"t": "x" * room}, webhook_id=ID).body

    assert len(Verifier(KEYS).verify(signed(body), body, now=NOW).body) == MAX_BODY_BYTES
