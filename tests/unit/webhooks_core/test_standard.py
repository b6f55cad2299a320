"""The scheme `standard`: the published vector, forms, rotation, and what is never accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from webhooks_core import events
from webhooks_core.envelope import MAX_BODY_BYTES, seal
from webhooks_core.errors import (
    BodyTooLarge,
    KeyFormatError,
    MalformedBody,
    MalformedHeader,
    MissingHeader,
    SignatureInvalid,
    TimestampTooNew,
    TimestampTooOld,
)
from webhooks_core.keys import KeyRing, SecretFormat
from webhooks_core.receiving import Receiver
from webhooks_core.scheme import Scheme
from webhooks_core.signer import Signer, sign
from webhooks_core.stores.replay import MemoryReplayStore
from webhooks_core.verifier import Verifier

NOW = 1_763_000_000.75
ID = "550e8400-e29b-41d4-a716-446655440000"
BODY = seal("payment_verified", {"tournament_id": 101}, webhook_id=ID).body
OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()


def ring(*texts: str) -> KeyRing:
    return KeyRing.of(*texts, format=SecretFormat.WHSEC)


def headers_of(*texts: str, body: bytes = BODY, webhook_id: str = ID, now: float = NOW) -> dict[str, str]:
    return sign(
        body,
        event="payment_verified",
        webhook_id=webhook_id,
        keys=ring(*texts),
        scheme=Scheme.STANDARD,
        now=now,
    )


def verifier(*texts: str) -> Verifier:
    return Verifier(ring(*texts), scheme="standard")


def test_the_published_vector() -> None:
    """The example of the specification's own libraries, computed with `standardwebhooks` 1.1.0 too."""
    body = b'{"test": 2432232314}'

    headers = headers_of(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        body=body,
        webhook_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        now=1_614_265_330.0,
    )

    assert headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_signed_is_id_timestamp_and_body() -> None:
    """HMAC-SHA256, keyed with the decoded bytes, as base64; five headers and no other scheme's."""
    headers = headers_of(NEW)

    by_hand = hmac.new(b"n" * 32, f"{ID}.1763000000.".encode() + BODY, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(by_hand).decode()
    assert list(headers) == [
        "Content-Type",
        "User-Agent",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ]


def test_a_good_request_is_verified() -> None:
    """With the event of the body, whole seconds, and our own signature as its mark."""
    verified = verifier(NEW).verify(headers_of(NEW), BODY, now=NOW + 10)

    assert (verified.webhook_id, verified.event) == (ID, "payment_verified")
    assert verified.timestamp_ms == 1_763_000_000_000
    assert verified.age_seconds == 10.75
    assert len(verified.signature) == 64


@pytest.mark.parametrize(
    ("signs", "knows"), [([NEW, OLD], [OLD]), ([NEW, OLD], [NEW]), ([OLD], [NEW, OLD]), ([NEW], [NEW, OLD])]
)
def test_during_a_rotation_any_secret_in_common_is_enough(signs: list[str], knows: list[str]) -> None:
    """The sender signs with all of its secrets; the receiver compares all of its own."""
    headers = headers_of(*signs)

    assert verifier(*knows).verify(headers, BODY, now=NOW).webhook_id == ID
    assert headers["webhook-signature"].count("v1,") == len(signs)


def test_dropping_one_of_two_signatures_is_the_same_webhook() -> None:
    """Its mark is ours, so that a captured request cannot be made to look new."""
    both = headers_of(NEW, OLD)
    one = {**both, "webhook-signature": both["webhook-signature"].split(" ")[1]}
    more = {**both, "webhook-signature": "v1a,abcd " + both["webhook-signature"] + " v2,xyz="}

    marks = {verifier(NEW, OLD).verify(each, BODY, now=NOW).signature for each in (both, one, more)}

    assert len(marks) == 1


@pytest.mark.parametrize(
    "signature",
    [
        "v1," + base64.b64encode(b"x" * 32).decode(),
        "v1a,{right}",
        "v2,{right}",
        "v1,{right}x",
        "v1,",
        "{right}",
        "v1,{right},v1,{right}",
        "v1,{right}  v1,{right}",
        " v1,{right}",
        "v1,{right} ",
        "v1,{right}\n",
        "V1,{right}",
        " ".join(["v1,{right}"] * 17),
        "",
        "none",
    ],
)
def test_no_other_signature_is_accepted(signature: str) -> None:
    """Of another version, cut, joined, or so many that comparing them is work."""
    headers = headers_of(NEW)
    right = headers["webhook-signature"].removeprefix("v1,")
    headers["webhook-signature"] = signature.replace("{right}", right)

    with pytest.raises((SignatureInvalid, MalformedHeader)):
        verifier(NEW).verify(headers, BODY, now=NOW)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"webhook-id": "650e8400-e29b-41d4-a716-446655440000"}, SignatureInvalid),
        ({"webhook-timestamp": "1763000001"}, SignatureInvalid),
        ({"webhook-timestamp": "1763000000000"}, MalformedHeader),
        ({"webhook-timestamp": "01763000000"}, MalformedHeader),
        ({"webhook-timestamp": "1763000000.5"}, MalformedHeader),
        ({"webhook-id": "a.b"}, MalformedHeader),
        ({"webhook-id": ""}, MalformedHeader),
        ({"webhook-id": "x" * 129}, MalformedHeader),
        ({"Webhook-Id": ID}, MalformedHeader),
    ],
)
def test_what_is_signed_cannot_be_changed(changed: dict[str, str], error: type[Exception]) -> None:
    """Id and timestamp are signed; each header has one form and comes once."""
    with pytest.raises(error):
        verifier(NEW).verify({**headers_of(NEW), **changed}, BODY, now=NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_selects_no_weaker_scheme(name: str) -> None:
    """Not even where the headers of another scheme are there and right."""
    others = sign(
        BODY, event="payment_verified", webhook_id=ID, keys=ring(NEW), scheme=Scheme.TIMESTAMPED, now=NOW
    )
    headers = {**others, **headers_of(NEW)}
    del headers[name]

    with pytest.raises(MissingHeader, match=name):
        verifier(NEW).verify(headers, BODY, now=NOW)


@pytest.mark.parametrize("scheme", [Scheme.TIMESTAMPED, Scheme.BODY])
def test_other_schemes_do_not_look_at_these_headers(scheme: Scheme) -> None:
    """And this one is not accepted where another is wanted."""
    with pytest.raises(MissingHeader, match="X-Webhook"):
        Verifier(ring(NEW), scheme=scheme).verify(headers_of(NEW), BODY, now=NOW)

    both = sign(BODY, event="payment_verified", webhook_id=ID, keys=ring(NEW), scheme=scheme, now=NOW)
    strange = {**both, "webhook-id": "a.b", "webhook-signature": "none"}
    assert Verifier(ring(NEW), scheme=scheme).verify(strange, BODY, now=NOW).webhook_id == ID


def test_the_window_is_exact_to_the_second_that_is_signed() -> None:
    """300 s old and 30 s ahead are good; a millisecond more is not."""
    headers = headers_of(NEW, now=1_763_000_000.0)
    check = verifier(NEW)

    assert check.verify(headers, BODY, now=1_763_000_300.0).age_seconds == 300
    assert check.verify(headers, BODY, now=1_762_999_970.0).age_seconds == -30
    with pytest.raises(TimestampTooOld):
        check.verify(headers, BODY, now=1_763_000_300.001)
    with pytest.raises(TimestampTooNew):
        check.verify(headers, BODY, now=1_762_999_969.999)


@pytest.mark.parametrize(
    ("body", "event"),
    [
        (b'{"type":"invoice.paid","timestamp":"2025-11-13T00:00:00Z","data":{}}', "invoice.paid"),
        (b'{"event":"a","type":"b"}', "a"),
        (b'{"data":{"metadata":{"webhook_id":"another"}},"metadata":{"webhook_id":"another"}}', ""),
        (b'{"type":7}', ""),
        (b'{"type":"%s"}' % (b"x" * 129), ""),
    ],
)
def test_bodies_of_other_senders_are_read(body: bytes, event: str) -> None:
    """The event is `event` or `type`; the id is signed, so that a body may say what it likes."""
    verified = verifier(NEW).verify(headers_of(NEW, body=body, webhook_id="msg_1"), body, now=NOW)

    assert (verified.event, verified.webhook_id) == (event, "msg_1")


def test_a_body_that_is_no_object_or_too_large_is_refused() -> None:
    """After, and before, anything is hashed."""
    with pytest.raises(MalformedBody):
        verifier(NEW).verify(headers_of(NEW, body=b"[]"), b"[]", now=NOW)
    with pytest.raises(BodyTooLarge):
        verifier(NEW).verify(headers_of(NEW), b"x" * (MAX_BODY_BYTES + 1), now=NOW)


@pytest.mark.parametrize(
    "text",
    ["whsec_" + base64.b64encode(b"x" * 23).decode(), "n" * 64, "whsec_not base64 at all, and long enough"],
)
def test_a_secret_has_the_form_of_the_specification(text: str) -> None:
    """`whsec_` and the base64 of 24 to 64 bytes; nothing of it is in the error."""
    with pytest.raises(KeyFormatError) as caught:
        ring(text)

    assert text not in str(caught.value)
    assert SecretFormat.of("standard") is SecretFormat.WHSEC
    assert SecretFormat.of(Scheme.TIMESTAMPED) is SecretFormat.TEXT


def test_a_receiver_handles_once_and_tells_the_headers() -> None:
    """The whole way: the second copy is a duplicate, the signature is shown cut."""
    handled, facts = [], []
    receiver = Receiver(
        verifier(NEW), MemoryReplayStore(), handled.append, observer=facts.append, clock=lambda: NOW
    )
    signer = Signer(keys=ring(NEW), scheme=Scheme.STANDARD)
    headers = signer.sign(BODY, event="payment_verified", webhook_id=ID, now=NOW)

    answers = [receiver.receive(headers, BODY).body for _ in range(2)]

    assert answers == [b'{"status": "received"}', b'{"status": "duplicate"}']
    assert len(handled) == 1
    shown = next(fact for fact in facts if isinstance(fact, events.ReceivedHeaders))
    assert (shown.webhook_id, shown.timestamp) == (ID, "1763000000")
    assert shown.signature == headers["webhook-signature"][:14]


def test_every_adapter_hands_the_headers_on() -> None:
    """WSGI gives names in its own writing; the other frameworks keep them."""
    import io

    from flask import Flask
    from starlette.applications import Starlette
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from webhooks_core.receivers.fastapi import webhook_endpoint
    from webhooks_core.receivers.flask import webhook_view
    from webhooks_core.receivers.wsgi import webhook_app

    receiver = Receiver(verifier(NEW), None, print, clock=lambda: NOW)
    headers = headers_of(NEW)
    flask = Flask("standard")
    flask.add_url_rule("/", "hook", webhook_view(receiver), methods=["POST"])
    starlette = Starlette(routes=[Route("/", webhook_endpoint(receiver), methods=["POST"])])
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ |= {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(BODY)), "wsgi.input": io.BytesIO(BODY)}
    told: list[str] = []

    webhook_app(receiver)(environ, lambda status, *_: told.append(status))  # type: ignore[arg-type,return-value]

    assert told == ["200 OK"]
    assert flask.test_client().post("/", data=BODY, headers=headers).status_code == 200
    assert TestClient(starlette).post("/", content=BODY, headers=headers).status_code == 200
