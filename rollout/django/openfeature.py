"""Our provider over the flags of this project's settings, for `openfeature.api.set_provider_and_wait`.

    from openfeature import api
    from rollout.django.openfeature import provider

    api.set_provider_and_wait(provider())

It follows the settings and the flags in every process, forked ones too. Explained in
docs/how-to/use-openfeature.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from openfeature.hook import Hook
from openfeature.provider import FeatureProvider

from rollout.django.wiring import SettingsFlags
from rollout.openfeature import RolloutProvider, Tracker

__all__ = ["PATH", "is_over_the_settings", "provider"]

#: What `provider` is called by where a setting names it.
PATH = f"{__name__}.provider"


def provider(
    *, hooks: Sequence[Hook] = (), tracker: Tracker | None = None, global_key: bool = False
) -> RolloutProvider:
    """Return a provider over the project's flags; see `rollout.openfeature.RolloutProvider`."""
    return RolloutProvider(SettingsFlags(), hooks=hooks, tracker=tracker, global_key=global_key)


def is_over_the_settings(found: FeatureProvider) -> bool:
    """Say whether *found* is what `provider` returns: a gate that asks it asks itself."""
    return isinstance(found, RolloutProvider) and isinstance(found.flags, SettingsFlags)
