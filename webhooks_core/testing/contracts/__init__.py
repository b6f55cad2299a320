"""What every implementation of a port must do, as pytest suites: subclass one, say how to build yours, run.

`class TestMyStore(BreakerStoreContract): def make_store(self, policy): return MyStore(policy)`. Invariant:
the suites ask only what the port promises, with fixed moments and no sleeping, so that memory, Redis and a
database pass the same lines. Explained in docs/how-to/test-code-that-sends-webhooks.md.
"""

from __future__ import annotations

from webhooks_core.testing.contracts.breakers import BreakerStoreContract
from webhooks_core.testing.contracts.engines import EngineContract
from webhooks_core.testing.contracts.outbox import OutboxContract
from webhooks_core.testing.contracts.permits import SendPermitContract
from webhooks_core.testing.contracts.replay import ReplayStoreContract
from webhooks_core.testing.contracts.transport import TransportContract

__all__ = [
    "BreakerStoreContract",
    "EngineContract",
    "OutboxContract",
    "ReplayStoreContract",
    "SendPermitContract",
    "TransportContract",
]
