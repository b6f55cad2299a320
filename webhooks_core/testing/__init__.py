"""What the tests of your own code need: fakes, an outbox, an observer that remembers, contract suites.

Nothing in `webhooks_core` imports this package. Each name is loaded when it is first used, so that production
code never pays for it. Explained in docs/how-to/test-code-that-sends-webhooks.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhooks_core.testing.captured import Captured as Captured
    from webhooks_core.testing.captured import outbox as outbox
    from webhooks_core.testing.captured import real_delivery as real_delivery
    from webhooks_core.testing.contracts import BreakerStoreContract as BreakerStoreContract
    from webhooks_core.testing.contracts import ReplayStoreContract as ReplayStoreContract
    from webhooks_core.testing.contracts import TransportContract as TransportContract
    from webhooks_core.testing.observer import RecordingObserver as RecordingObserver
    from webhooks_core.testing.transport import FakeTransport as FakeTransport

_HOMES = {
    "BreakerStoreContract": "contracts",
    "Captured": "captured",
    "FakeTransport": "transport",
    "RecordingObserver": "observer",
    "ReplayStoreContract": "contracts",
    "TransportContract": "contracts",
    "outbox": "captured",
    "real_delivery": "captured",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 (a list; the names stand above)


def __getattr__(name: str) -> object:
    """Load the module that holds *name* and return it."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return list(__all__)
