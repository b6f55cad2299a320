"""Signing and verifying 300 B and 8 KiB, beside the standard library, standardwebhooks and stripe.

Each row does what its name says, through what its library offers in public:

- sign: `hmac.new` over a message that is joined already, and its hexdigest; ours, the signature alone
  (`webhooks_core.signer.signature`, which takes timestamp and body apart); ours, all six headers (`sign`);
  `standardwebhooks.Webhook.sign`. stripe has no public way to sign.
- verify: `hmac.new` over timestamp and body, which a receiver gets apart and joins, and `json.loads`;
  nothing else: no header is read, no age or form checked; ours, `Verifier.verify` with everything (headers,
  forms, age, signature, strict JSON, event and id); `standardwebhooks.Webhook.verify`, which reads JSON too;
  `stripe.WebhookSignature.verify_header` with `json.loads`, and, for information, without.

A body of 300 B has a dozen fields; one of 8 KiB has a list of UUIDs besides. A last table, without a target
against the libraries, has 280 keys in one object: refusing a key that is there twice costs us most there. The
libraries' windows are kept open by signing with the real time; ours is told the time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import standardwebhooks
import stripe
from rounds import Target, interleave, per_call, report

from webhooks_core.envelope import seal
from webhooks_core.keys import KeyRing
from webhooks_core.signer import sign, signature
from webhooks_core.verifier import Verifier

SECRET = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow
KEYS = KeyRing.of(SECRET)
ID = "550e8400-e29b-41d4-a716-446655440000"
EVENT = "payment_verified"
CALLS = 10_000


def body_of(size: int) -> bytes:
    """Seal an event of the contract's kind and fill it up to *size* bytes with ids."""
    data: dict[str, object] = {"tournament_id": 101, "recipient_count": 1, "status": "verified"}
    metadata = {"created": 1, "email_sent": 1}
    ids: list[str] = []
    while len(body := seal(EVENT, data, metadata=metadata, webhook_id=ID).body) < size - 60:
        if len(data) < 12:
            data[f"field_{len(data)}_id"] = 90_210 + len(data)
        else:
            data["registration_ids"] = ids
            ids.append(f"{len(ids):08x}-e29b-41d4-a716-446655440000")
    data["fill"] = "x" * (size - len(body) - len(',"fill":""'))
    body = seal(EVENT, data, metadata=metadata, webhook_id=ID).body
    assert len(body) == size, len(body)
    return body


def body_of_keys(size: int) -> bytes:
    """Seal an event whose 8 KiB are distinct keys of one object: our worst case, for keys must not repeat."""
    data: dict[str, object] = {}
    while len(body := seal(EVENT, data, metadata={}, webhook_id=ID).body) < size - 60:
        data[f"field_number_{len(data)}_id"] = 90_210 + len(data)
    return body


def measured(cases: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return the nanoseconds of each case, in interleaved rounds."""
    return interleave({name: (lambda case=case: per_call(case, calls=CALLS)) for name, case in cases.items()})


def signing(body: bytes, *, targets: tuple[Target, ...]) -> bool:
    """Print the table of signing and return whether its targets hold."""
    now = time.time()
    stamp = str(round(now * 1000))
    key, message = SECRET.encode(), stamp.encode() + b"." + body
    theirs = standardwebhooks.Webhook(base64.b64encode(key).decode())
    moment, text, secret = datetime.now(tz=UTC), body.decode(), KEYS.signing
    assert (
        signature(body, secret=secret, timestamp=stamp) == hmac.new(key, message, hashlib.sha256).hexdigest()
    )

    def headers() -> object:
        return sign(body, event=EVENT, webhook_id=ID, keys=KEYS, now=now)

    cases = {
        "hmac.new": lambda: hmac.new(key, message, hashlib.sha256).hexdigest(),
        "ours: signature": lambda: signature(body, secret=secret, timestamp=stamp),
        "ours: six headers": headers,
        "standardwebhooks": lambda: theirs.sign(msg_id=ID, timestamp=moment, data=text),
    }
    figures = measured(cases)
    return report(f"Sign {len(body):,} B", figures, unit="ns", baseline="hmac.new", targets=targets)


def verifying(body: bytes, *, targets: tuple[Target, ...], what: str = "") -> bool:
    """Print the table of verifying and return whether its targets hold."""
    now = time.time()
    headers = sign(body, event=EVENT, webhook_id=ID, keys=KEYS, now=now)
    key, stamp = SECRET.encode(), headers["X-Webhook-Timestamp"]
    verifier = Verifier(KEYS)
    theirs = standardwebhooks.Webhook(base64.b64encode(key).decode())
    moment, text = datetime.now(tz=UTC), body.decode()
    their_headers = {
        "webhook-id": ID,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": theirs.sign(msg_id=ID, timestamp=moment, data=text),
    }
    seconds = int(now)
    v1 = hmac.new(key, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    stripes = f"t={seconds},v1={v1}"

    def bare() -> object:
        hmac.new(key, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return json.loads(body)

    def stripe_and_json() -> object:
        payload = body.decode()  # as `stripe.Webhook.construct_event` does first
        stripe.WebhookSignature.verify_header(payload, stripes, SECRET, 3600)
        return json.loads(payload)

    cases = {
        "hmac.new + json.loads": bare,
        "ours: Verifier.verify": lambda: verifier.verify(headers, body, now=now),
        "standardwebhooks": lambda: theirs.verify(body, their_headers),
        "stripe + json.loads": stripe_and_json,
        "stripe, JSON not read": lambda: stripe.WebhookSignature.verify_header(text, stripes, SECRET, 3600),
    }
    figures = measured(cases)
    title = f"Verify {len(body):,} B{what}"
    return report(title, figures, unit="ns", baseline="hmac.new + json.loads", targets=targets)


def main() -> int:
    ok = True
    for size, most in ((300, 1.0), (8192, 1.05)):
        body = body_of(size)
        bounds = (
            Target(case="ours: signature", peer="hmac.new", most=most),
            Target(case="ours: six headers", peer="standardwebhooks", most=1.0),
        )
        ok = signing(body, targets=bounds) and ok
        bounds = (
            Target(case="ours: Verifier.verify", peer="hmac.new + json.loads", most=1.5),
            Target(case="ours: Verifier.verify", peer="standardwebhooks", most=1.0),
            Target(case="ours: Verifier.verify", peer="stripe + json.loads", most=1.0),
        )
        ok = verifying(body, targets=bounds) and ok
    wide = Target(case="ours: Verifier.verify", peer="hmac.new + json.loads", most=1.5)
    ok = verifying(body_of_keys(8192), targets=(wide,), what=" of keys") and ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
