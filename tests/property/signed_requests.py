"""What the tests of signer and verifier share: requests made with our signer, strategies for their parts."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from webhooks_core.keys import KeyRing
from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign
from webhooks_core.verifier import Verifier

NOW = 1_763_000_000.0
MILLISECONDS = 1_763_000_000_000
WEBHOOK_ID = "550e8400-e29b-41d4-a716-446655440000"
EVENT = "payment_verified"
NAMES = ["X-Webhook-Event", "X-Webhook-Id", "X-Webhook-Timestamp", "X-Webhook-Signature"]
KEY = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"
SCHEMES = st.sampled_from([Scheme.TIMESTAMPED, Scheme.BODY])
TEXT = st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"))
SECRETS = st.text(TEXT, min_size=32, max_size=80).filter(lambda text: not text.startswith("whsec_"))


def body_of(data: object = None, *, event: str = EVENT, webhook_id: str | None = WEBHOOK_ID) -> bytes:
    """The bytes of an envelope, made here and not by the code under test."""
    metadata = {} if webhook_id is None else {"webhook_id": webhook_id}
    whole = {"event": event, "data": data or {"tournament_id": 101}, "metadata": metadata}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def signed(
    body: bytes, *, secret: str = KEY, scheme: Scheme = Scheme.TIMESTAMPED, now: float = NOW
) -> dict[str, str]:
    """Headers as our signer writes them."""
    return sign(
        body,
        event=EVENT,
        webhook_id=WEBHOOK_ID,
        keys=KeyRing.of(secret),
        scheme=scheme,
        now=now,
        user_agent="T/1",
    )


def verifier(secret: str = KEY, scheme: Scheme = Scheme.TIMESTAMPED) -> Verifier:
    """A verifier of one secret."""
    return Verifier(KeyRing.of(secret), scheme=scheme)


JSON = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=10),
    st.one_of(
        st.integers(-(2**60), 2**60),
        st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
        st.none(),
    ),
    max_size=4,
)
