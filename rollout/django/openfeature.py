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

from rollout.django.wiring import SettingsFlags
from rollout.openfeature import RolloutProvider, Tracker

__all__ = ["provider"]


def provider(
    *, hooks: Sequence[Hook] = (), tracker: Tracker | None = None, global_key: bool = False
) -> RolloutProvider:
    """Return a provider over the project's flags; see `rollout.openfeature.RolloutProvider`."""
    return RolloutProvider(SettingsFlags(), hooks=hooks, tracker=tracker, global_key=global_key)
