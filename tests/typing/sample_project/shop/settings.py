"""Settings: plain values, as Django reads them."""

from __future__ import annotations

from typing import assert_type

from rollout.django.openfeature import provider as our_provider
from rollout.openfeature import RolloutProvider

INSTALLED_APPS = ["rollout.django", "webhooks_core.django"]
ROLLOUT = {
    "SOURCE": "openfeature",
    "OPENFEATURE": {"PROVIDER": "shop.settings.provider", "FLAGS": {"tournament-webhooks": "outbound"}},
}


def provider() -> RolloutProvider:
    """Make what `PROVIDER` names."""
    return assert_type(our_provider(), RolloutProvider)
