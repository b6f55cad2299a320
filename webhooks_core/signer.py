"""Sign a body: the signature itself, and the six headers of an attempt.

What belongs here: what is signed and how the headers are written (the contract §4). What must not: secrets
(keys.py), the making of the body (envelope.py), the clock. The invariant: the bytes that are signed are the
bytes that are sent; a timestamp is the attempt's own, in whole milliseconds.
Explained in docs/reference/wire-format.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from webhooks_core import standard
from webhooks_core.endpoint import DEFAULT_USER_AGENT
from webhooks_core.keys import KeyRing, Secret
from webhooks_core.scheme import Scheme

SIGNATURE = "X-Webhook-Signature"
TIMESTAMP = "X-Webhook-Timestamp"
WEBHOOK_ID = "X-Webhook-Id"
EVENT = "X-Webhook-Event"


def milliseconds(now: float) -> int:
    """Return *now*, seconds since the epoch, as whole milliseconds, rounded to the nearest."""
    return round(now * 1000)


def signature(body: bytes, *, secret: Secret, timestamp: str | None) -> str:
    """Return the signature of *body* as 64 lower-case hex digits.

    Args:
        body: The bytes that are sent.
        timestamp: The text of the timestamp header; None signs the body alone (scheme `body`).
    """
    return secret.hexdigest(b"" if timestamp is None else b"%b." % timestamp.encode("ascii"), body)


def sign(
    body: bytes,
    *,
    event: str,
    webhook_id: str,
    keys: KeyRing,
    scheme: Scheme = Scheme.TIMESTAMPED,
    now: float,
    user_agent: str = DEFAULT_USER_AGENT,
) -> dict[str, str]:
    """Return the headers of one attempt, in the order of the contract §4.

    The scheme `body` sends no timestamp: one that is not signed would only look like protection. The scheme
    `standard` names the event in the body only, as Standard Webhooks does.

    Args:
        body: The envelope's bytes, exactly as they will be sent.
        now: Seconds since the epoch, UTC, of this attempt.
        keys: The endpoint's secrets; the first one signs (in the scheme `standard`: every one).
    """
    if scheme is Scheme.STANDARD:
        return {
            "Content-Type": "application/json",
            "User-Agent": user_agent,
            **standard.sign(body, webhook_id=webhook_id, keys=keys, now=now),
        }
    timestamp = None if scheme is Scheme.BODY else str(milliseconds(now))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": user_agent,
        EVENT: event,
        WEBHOOK_ID: webhook_id,
    }
    if timestamp is not None:
        headers[TIMESTAMP] = timestamp
    headers[SIGNATURE] = signature(body, secret=keys.signing, timestamp=timestamp)
    return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Sign for one endpoint: its keys, its scheme and its user agent, bound once."""

    keys: KeyRing
    scheme: Scheme = Scheme.TIMESTAMPED
    user_agent: str = DEFAULT_USER_AGENT

    def sign(self, body: bytes, *, event: str, webhook_id: str, now: float) -> dict[str, str]:
        """Return the headers of one attempt; see `sign`."""
        return sign(
            body,
            event=event,
            webhook_id=webhook_id,
            keys=self.keys,
            scheme=self.scheme,
            now=now,
            user_agent=self.user_agent,
        )
