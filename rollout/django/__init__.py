"""The joint in a Django project: `dispatch`, and the `gate` that stands in front of it.

Loaded when first used, so that the app can be listed in `INSTALLED_APPS` before anything else is ready.
Both work, and are closed, where the apps are not installed.

    from rollout.django import dispatch

    dispatch("payment_verified", {"tournament_id": 101, "recipient_count": 1}, tournament_id=101)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollout.django.dispatcher import Dispatched as Dispatched
    from rollout.django.dispatcher import Event as Event
    from rollout.django.dispatcher import adispatch as adispatch
    from rollout.django.dispatcher import adispatch_many as adispatch_many
    from rollout.django.dispatcher import dispatch as dispatch
    from rollout.django.dispatcher import dispatch_many as dispatch_many
    from rollout.django.outcomes import record_outcome as record_outcome
    from rollout.django.wiring import gate as gate

__all__ = [
    "Dispatched",
    "Event",
    "adispatch",
    "adispatch_many",
    "dispatch",
    "dispatch_many",
    "gate",
    "record_outcome",
]

# The modules are not called like what is in them: a submodule of the same name would hide the function.
_HOMES = dict.fromkeys(__all__, "dispatcher") | {"gate": "wiring", "record_outcome": "outcomes"}


def __getattr__(name: str) -> object:
    """Load the module that holds *name* and return it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return list(__all__)
