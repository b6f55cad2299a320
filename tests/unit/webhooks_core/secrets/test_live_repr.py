"""A ring that follows its provider is silent: looking at it asks nobody."""

from __future__ import annotations

from webhooks_core.secrets.live import LiveKeyRing

SECRET = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow


class Provider:
    """Return one secret, count how often, and fail when told."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False

    def __call__(self) -> str:
        self.asked += 1
        if self.fails:
            raise RuntimeError("away")
        return SECRET


def test_a_debug_page_that_looks_at_the_ring_does_not_ask_the_provider() -> None:
    """`repr` answers while the provider is away, and shows where its secret comes from, not what it is."""
    provider, now = Provider(), [0.0]
    ring = LiveKeyRing(provider, monotonic=lambda: now[0])
    asked = provider.asked
    provider.fails, now[0] = True, 1e9

    shown = repr(ring)

    assert shown == "LiveKeyRing(WEBHOOK_SECRET)"
    assert provider.asked == asked
