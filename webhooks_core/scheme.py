"""The signature schemes of the wire, by the names that settings use.

What belongs here: the closed set of names. What must not: how a scheme signs or verifies (signer.py,
verifier.py). The invariant: an endpoint and a verifier have exactly one scheme each; nothing in a request
can choose another.
Explained in docs/reference/wire-format.md.
"""

from __future__ import annotations

from enum import StrEnum


class Scheme(StrEnum):
    """Name what a signature covers (the contract §4)."""

    TIMESTAMPED = "timestamped"
    """HMAC-SHA256 over ``"{timestamp}." + body``; the default."""

    BODY = "body"
    """HMAC-SHA256 over the body alone: the older contract, and the runbook's rollback level 3."""

    STANDARD = "standard"
    """Standard Webhooks: HMAC-SHA256 over ``"{id}.{timestamp}." + body``, keyed with the bytes of a
    ``whsec_`` secret, once for each secret."""
