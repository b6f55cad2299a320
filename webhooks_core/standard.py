"""The scheme `standard`: what Standard Webhooks signs, and how its signatures are written and compared.

What belongs here: the signed prefix, the header of signatures, the comparison. What must not: headers of
other schemes, ages (verifier.py), secrets (keys.py). Invariants: the id and the timestamp are signed with the
body; every secret is compared with every signature, each in constant time; versions that are not ours are
passed over, never trusted. Explained in docs/reference/wire-format.md.

Source: Standard Webhooks, specification, "Signature scheme" and "Webhook headers".
"""

from __future__ import annotations

import binascii
from collections.abc import Collection
from hmac import compare_digest

from webhooks_core.keys import KeyRing, Secret

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"

VERSION = "v1"  # HMAC-SHA256; `v1a` is Ed25519, which is not ours

MOST_SIGNATURES = 16
"""A sender signs once for each secret of a rotation; more are refused before anything is compared."""

# No full stop in an id: it divides what is signed. A timestamp in seconds, as the header has it; 12 digits
# last until the year 33658. Base64 of 32 bytes for `v1`; other versions may be longer.
ID_FORM = r"[A-Za-z0-9_:=+/@-]{1,128}"
TIMESTAMP_FORM = r"[1-9][0-9]{0,11}|0"
_ONE = r"v[0-9]{1,3}[a-z]{0,3},[A-Za-z0-9+/=_-]{1,256}"
SIGNATURE_FORM = rf"{_ONE}(?: {_ONE}){{0,{MOST_SIGNATURES - 1}}}"


def signed_prefix(webhook_id: str, timestamp: str) -> bytes:
    """Return what stands before the body in what is signed."""
    return f"{webhook_id}.{timestamp}.".encode("ascii")


def signature(body: bytes, *, secret: Secret, prefix: bytes) -> str:
    """Return one signature: ``v1,`` and the base64 of HMAC-SHA256."""
    digest = bytes.fromhex(secret.hexdigest(prefix, body))
    return f"{VERSION},{binascii.b2a_base64(digest, newline=False).decode('ascii')}"


def sign(body: bytes, *, webhook_id: str, keys: KeyRing, now: float) -> dict[str, str]:
    """Return the three headers of one attempt, signed with every secret, the newest first.

    Args:
        body: The bytes that are sent.
        webhook_id: Without a full stop.
        keys: All of them sign, so that a receiver may know any one of them during a rotation.
        now: Seconds since the epoch, UTC; whole seconds are signed.
    """
    timestamp = str(int(now))
    prefix = signed_prefix(webhook_id, timestamp)
    signatures = " ".join(signature(body, secret=secret, prefix=prefix) for secret in keys)
    return {ID: webhook_id, TIMESTAMP: timestamp, SIGNATURE: signatures}


def matches(given: str, body: bytes, *, secrets: Collection[Secret], prefix: bytes) -> bool:
    """Return whether one of the signatures in the header *given* is one that one of *secrets* makes.

    Args:
        given: Of `SIGNATURE_FORM`.
    """
    ours = [each for each in given.split(" ") if each.startswith(f"{VERSION},")]
    found = False
    for secret in secrets:
        expected = signature(body, secret=secret, prefix=prefix)
        for each in ours:
            found |= compare_digest(expected, each)
    return found
