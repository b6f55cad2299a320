"""The other end: what is signed is verified, by every adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from django.http import HttpResponse
from django.test import RequestFactory

from webhooks_core import Envelope, KeyRing, MemoryReplayStore, Receiver, Signer, Verified, Verifier, seal
from webhooks_core.receivers import django, fastapi, flask, wsgi
from webhooks_core.receiving import Answer

keys = KeyRing.of("0123456789abcdef" * 4)
verifier = Verifier(keys)


def handle(webhook: Verified) -> None:
    """Do what it says."""
    assert_type(webhook.event, str)
    assert_type(webhook.webhook_id, str)


async def handle_later(webhook: Verified) -> None:
    """The same, on the event loop."""


receiver = Receiver(verifier, MemoryReplayStore(), handle)
envelope = assert_type(
    seal("match_started", {"n": 1}, webhook_id="550e8400-e29b-41d4-a716-446655440000"), Envelope
)
signer = Signer(keys=keys)
headers = signer.sign(envelope.body, event=envelope.event, webhook_id=envelope.webhook_id, now=0.0)
sent: Mapping[str, str] = headers
assert_type(envelope.body, bytes)
assert_type(verifier.verify(headers, envelope.body, now=0.0), Verified)
assert_type(receiver.receive(headers, envelope.body), Answer)
assert_type(django.webhook_view(receiver)(RequestFactory().post("/")), HttpResponse)

by_django = django.receives_webhooks(verifier, store=MemoryReplayStore())(handle)
by_flask = flask.receives_webhooks(verifier, store=MemoryReplayStore())(handle)
by_fastapi = fastapi.receives_webhooks(verifier, store=MemoryReplayStore())(handle_later)
by_wsgi = wsgi.webhook_app(lambda: receiver)
