"""The signature schemes of the wire, by the names that settings use.

What belongs here: the closed set of names. What must not: how a scheme signs or verifies (signer.py,
verifier.py). The invariant: an endpoint and a verifier have exactly one scheme each; nothing in a request
can choose another.
Explained in docs/reference/wire-format.md.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256


class Scheme(StrEnum):
    """Name what a signature covers (the contract §4)."""

    TIMESTAMPED = "timestamped"
    """HMAC-SHA256 over ``"{timestamp}." + body``; the default."""

    BODY = "body"
    """HMAC-SHA256 over the body alone: the older contract, and the runbook's rollback level 3."""

    STANDARD = "standard"
    """Standard Webhooks: HMAC-SHA256 over ``"{id}.{timestamp}." + body``, keyed with the bytes of a
    ``whsec_`` secret, once for each secret."""


def acceptance(endpoint_id: str, url: str) -> str:
    """Return what stands for "this endpoint, at this URL, was seen to accept the scheme `body`".

    A note, not a proof: it keeps a setting from being copied to a receiver that nobody has asked.
    """
    return f"{endpoint_id}:{sha256(f'body {url}'.encode()).hexdigest()[:16]}"
