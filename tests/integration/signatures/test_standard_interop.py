"""Standard Webhooks both ways with the specification's own library and with Svix's."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks

from webhooks_core.envelope import seal
from webhooks_core.keys import KeyRing, SecretFormat
from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign
from webhooks_core.verifier import Verifier

ID = "550e8400-e29b-41d4-a716-446655440000"
OLD = "whsec_" + base64.b64encode(bytes(range(24))).decode()
NEW = "whsec_" + base64.b64encode(bytes(range(64))).decode()
LIBRARIES = [standardwebhooks.Webhook, svix.webhooks.Webhook]
BODIES = [
    seal("payment_verified", {"tournament_id": 101}, webhook_id=ID).body,
    seal("payment_verified", {"text": 'Кубок 🏆 \\ " \u2028'}, webhook_id=ID).body,
    seal("payment_verified", {"text": "x" * 200_000}, webhook_id=ID).body,
]


def ring(*texts: str) -> KeyRing:
    return KeyRing.of(*texts, format=SecretFormat.WHSEC)


@pytest.mark.parametrize("library", LIBRARIES, ids=["standardwebhooks", "svix"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("secret", [OLD, NEW])
def test_they_accept_what_we_sign(library: Any, body: bytes, secret: str) -> None:
    """With both secrets of a rotation, so that either is enough; they go by the real clock."""
    headers = sign(
        body,
        event="payment_verified",
        webhook_id=ID,
        keys=ring(NEW, OLD),
        scheme=Scheme.STANDARD,
        now=time.time(),
    )

    library(secret).verify(body, headers)


@pytest.mark.parametrize("library", LIBRARIES, ids=["standardwebhooks", "svix"])
@pytest.mark.parametrize("body", [*BODIES, b'{"type": "invoice.paid", "data": {"id": 1}}'])
@pytest.mark.parametrize("webhook_id", [ID, "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"])
def test_we_accept_what_they_sign(library: Any, body: bytes, webhook_id: str) -> None:
    """By either secret, whatever the id looks like."""
    moment = datetime.fromtimestamp(1_763_000_000, tz=UTC)
    headers = {
        "Webhook-Id": webhook_id,
        "Webhook-Timestamp": "1763000000",
        "Webhook-Signature": library(OLD).sign(webhook_id, moment, body.decode()),
    }

    verified = Verifier(ring(NEW, OLD), scheme=Scheme.STANDARD).verify(headers, body, now=1_763_000_001.0)

    assert verified.webhook_id == webhook_id
    assert verified.body == body


@pytest.mark.parametrize("library", LIBRARIES, ids=["standardwebhooks", "svix"])
def test_they_refuse_what_was_changed_after_we_signed(library: Any) -> None:
    """The test above would pass a verifier that accepts everything."""
    headers = sign(
        BODIES[0],
        event="payment_verified",
        webhook_id=ID,
        keys=ring(NEW),
        scheme=Scheme.STANDARD,
        now=time.time(),
    )

    with pytest.raises(standardwebhooks.WebhookVerificationError):
        library(NEW).verify(BODIES[0].replace(b"101", b"102"), headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        library(OLD).verify(BODIES[0], headers)
