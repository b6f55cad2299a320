"""The signature is what other tools make and accept: openssl, Stripe's library, the seeds' own snippet."""

from __future__ import annotations

import hashlib
import hmac
import shutil
import subprocess
import time

import pytest
import stripe

from webhooks_core.envelope import seal
from webhooks_core.errors import SignatureInvalid
from webhooks_core.keys import KeyRing
from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign
from webhooks_core.verifier import Verifier

ID = "550e8400-e29b-41d4-a716-446655440000"
NOW = 1_763_000_000.0

# Named, because pytest puts a test's whole id into the environment, which has no room for a large body.
BODIES = [
    pytest.param(seal("payment_verified", data, webhook_id=ID).body, id=name)
    for name, data in {
        "small": {"tournament_id": 101, "recipient_count": 1},
        "odd": {"text": 'Кубок 🏆 \\ " \u2028 $HOME %s'},
        "large": {"text": "x" * 200_000},
    }.items()
]


def openssl(message: bytes, secret: str) -> str:
    """Sign as the runbook's curl recipe does."""
    done = subprocess.run(
        [shutil.which("openssl") or "openssl", "dgst", "-sha256", "-hmac", secret],
        input=message,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().split()[-1]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("scheme", [Scheme.TIMESTAMPED, Scheme.BODY])
def test_openssl_makes_the_signature_that_we_make(body: bytes, scheme: Scheme, secret: str) -> None:
    """`openssl dgst -sha256 -hmac` over `timestamp.body`, or over the body; our verifier accepts it."""
    keys = KeyRing.of(secret)
    headers = sign(body, event="payment_verified", webhook_id=ID, keys=keys, scheme=scheme, now=NOW)
    prefix = b"1763000000000." if scheme is Scheme.TIMESTAMPED else b""

    theirs = openssl(prefix + body, secret)

    assert theirs == headers["X-Webhook-Signature"]
    headers["X-Webhook-Signature"] = theirs
    assert Verifier(keys, scheme=scheme).verify(headers, body, now=NOW).body == body


@pytest.mark.parametrize("body", BODIES)
def test_stripes_verifier_accepts_what_we_sign(body: bytes, secret: str) -> None:
    """The same construction, `timestamp.body`; its header writes both into one, with seconds of its own."""
    now = int(time.time())
    seconds = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    ours = KeyRing.of(secret).signing.hexdigest(f"{now}.".encode(), body)

    assert ours == seconds
    assert stripe.WebhookSignature.verify_header(body.decode(), f"t={now},v1={ours}", secret, tolerance=300)


@pytest.mark.parametrize("body", BODIES)
def test_we_accept_what_stripes_construction_signs(body: bytes, secret: str) -> None:
    """And Stripe refuses what we refuse: one changed byte."""
    stamp = "1763000000000"
    headers = {
        "X-Webhook-Signature": stripe.WebhookSignature._compute_signature(f"{stamp}.{body.decode()}", secret),
        "X-Webhook-Timestamp": stamp,
        "X-Webhook-Id": ID,
        "X-Webhook-Event": "payment_verified",
    }
    changed = body.replace(b"payment", b"paymenT", 1)

    assert Verifier(KeyRing.of(secret)).verify(headers, body, now=NOW)
    with pytest.raises(SignatureInvalid):
        Verifier(KeyRing.of(secret)).verify(headers, changed, now=NOW)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(
            changed.decode(), f"t={stamp},v1={headers['X-Webhook-Signature']}", secret
        )


def seeds_verify(
    body: str, signature: str, timestamp: str, *, secret: str, now: float
) -> tuple[bool, str | None]:
    """Verify as a receiver written to the runbook does (age, then HMAC over the text)."""
    age_seconds = (int(now * 1000) - int(timestamp)) / 1000
    if age_seconds > 300:
        return False, "Timestamp too old"
    if age_seconds < -30:
        return False, "Timestamp in future"
    expected = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return (True, None) if hmac.compare_digest(expected, signature) else (False, "Invalid signature")


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("later", [0, 1.5, 299.9, 300, 300.5])
def test_a_receiver_written_to_the_runbook_agrees_with_ours(body: bytes, later: float, secret: str) -> None:
    """It verifies our requests unchanged, and refuses what we refuse."""
    keys = KeyRing.of(secret)
    headers = sign(body, event="payment_verified", webhook_id=ID, keys=keys, now=NOW)

    ok, reason = seeds_verify(
        body.decode(),
        headers["X-Webhook-Signature"],
        headers["X-Webhook-Timestamp"],
        secret=secret,
        now=NOW + later,
    )

    try:
        Verifier(keys).verify(headers, body, now=NOW + later)
        ours = (True, None)
    except Exception as error:
        ours = (False, error.text)  # type: ignore[attr-defined]
    assert (ok, reason) == ours
