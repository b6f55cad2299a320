"""Property: what was signed verifies, by whomever it was signed in the same way (the contract §4)."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import subprocess
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.property.signed_requests import (
    EVENT,
    JSON,
    KEY,
    MILLISECONDS,
    NAMES,
    NOW,
    SCHEMES,
    SECRETS,
    WEBHOOK_ID,
    body_of,
    signed,
    verifier,
)
from webhooks_core.keys import KeyRing
from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign
from webhooks_core.verifier import Verifier


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
