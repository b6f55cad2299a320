"""What stays in memory: after 100,000 verifications without a replay store, and for each remembered id.

Measured with `tracemalloc`, so every byte that Python allocates counts, and nothing else does. What 100,000
refusals of a breaker leave behind is measured beside its speed, in `breaker.py`.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from uuid import UUID

from webhooks_core.envelope import seal
from webhooks_core.keys import KeyRing
from webhooks_core.receiving import Receiver
from webhooks_core.signer import sign
from webhooks_core.stores.replay import MemoryReplayStore
from webhooks_core.verifier import Verifier

KEYS = KeyRing.of("5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7")  # gitleaks:allow
NOW = 1_763_000_000.0
VERIFICATIONS = 100_000
MOST_BYTES = 2 * 1024 * 1024
MOST_BYTES_PER_ID = 400
# Just after a table of the dictionaries has doubled, and just before the next: the worst and the best figure.
SIZES = (43_691, 87_000, 100_000, 174_763)


def grown(action: Callable[[], object]) -> tuple[int, int]:
    """Return the bytes that *action* leaves behind, and the most it had in use meanwhile."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = action()
    gc.collect()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return after - before, peak - before


def webhook_id(number: int) -> str:
    """Return a UUID that looks like chance and is the same in each run (an odd factor permutes)."""
    return str(UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128, version=4))


def verify_many() -> None:
    """Verify distinct requests, the bad among the good, through a receiver that remembers nothing."""
    receiver = Receiver(Verifier(KEYS), None, lambda verified: None, clock=lambda: NOW)
    for number in range(VERIFICATIONS):
        one = webhook_id(number)
        body = seal("payment_verified", {"tournament_id": number}, webhook_id=one).body
        headers = sign(body, event="payment_verified", webhook_id=one, keys=KEYS, now=NOW)
        if number % 10 == 0:
            headers["X-Webhook-Signature"] = "a" * 64
        receiver.receive(headers, body)


def remember(count: int) -> MemoryReplayStore:
    """Claim and end *count* ids, each with a signature that is still remembered too."""
    store = MemoryReplayStore()
    for number in range(count):
        one = webhook_id(number)
        signature = KEYS.signing.hexdigest(b"", one.encode())
        store.done(store.claim(one, signature, now=NOW), now=NOW)
    return store


def main() -> int:
    left, peak = grown(verify_many)
    ok = left <= MOST_BYTES and peak <= MOST_BYTES
    print(f"{VERIFICATIONS:,} verifications without a replay store leave {left:,} B, at most {peak:,} B")
    print(f"{'ok  ' if ok else 'MISS'} both <= {MOST_BYTES:,} B")
    for size in SIZES:
        left, peak = grown(lambda size=size: remember(size))
        held = max(left, peak) / size <= MOST_BYTES_PER_ID
        ok = ok and held
        print(
            f"{'ok  ' if held else 'MISS'} {size:,} remembered ids with their signatures: "
            f"{left / size:.0f} B each, {peak / size:.0f} B at the peak (<= {MOST_BYTES_PER_ID})"
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
