"""What the tests of your own code need: a clock, an override, an observer that remembers, contract suites.

Nothing in `rollout` imports this package. Each name is loaded when it is first used, so that production code
which imports `rollout` never pays for it. Explained in docs/how-to/change-a-percentage.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollout.testing.clock import ManualClock
    from rollout.testing.contracts import FlagSourceContract
    from rollout.testing.observer import RecordingObserver
    from rollout.testing.override import override_flag
    from rollout.testing.store_contract import RolloutStoreContract

__all__ = [
    "FlagSourceContract",
    "ManualClock",
    "RecordingObserver",
    "RolloutStoreContract",
    "override_flag",
]

_HOMES = {
    "FlagSourceContract": "rollout.testing.contracts",
    "ManualClock": "rollout.testing.clock",
    "RecordingObserver": "rollout.testing.observer",
    "RolloutStoreContract": "rollout.testing.store_contract",
    "override_flag": "rollout.testing.override",
}


def __getattr__(name: str) -> object:
    """Load the module that holds *name* and return it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return list(__all__)
