"""The memory stores and the fake transport pass the suites that their ports ship."""

from __future__ import annotations

from collections.abc import Sequence

from webhooks_core.breaker import BreakerPolicy
from webhooks_core.endpoint import Endpoint
from webhooks_core.keys import KeyRing
from webhooks_core.stores.breakers import BreakerStore, MemoryBreakerStore
from webhooks_core.stores.replay import MemoryReplayStore, ReplayStore
from webhooks_core.testing.contracts import BreakerStoreContract, ReplayStoreContract, TransportContract
from webhooks_core.testing.transport import FakeTransport
from webhooks_core.transport.base import Response, Transport


class TestMemoryBreakerStore(BreakerStoreContract):
    """The store in this process's memory."""

    def make_store(self, policy: BreakerPolicy) -> BreakerStore:
        return MemoryBreakerStore(policy)


class TestMemoryReplayStore(ReplayStoreContract):
    """The store in this process's memory."""

    def make_store(self, *, lease_seconds: float, remember_seconds: float) -> ReplayStore:
        return MemoryReplayStore(lease_seconds=lease_seconds, remember_seconds=remember_seconds)


class TestFakeTransport(TransportContract):
    """The transport that follows a script."""

    def prepare(self, responses: Sequence[Response]) -> tuple[Transport, Endpoint]:
        self.transport = FakeTransport(responses)
        keys = KeyRing.of("5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7")
        return self.transport, Endpoint(url="https://receiver.example/webhooks/inbound", keys=keys)

    def received(self) -> list[tuple[dict[str, str], bytes]]:
        return [
            ({name.lower(): value for name, value in request.headers.items()}, request.body)
            for request in self.transport.sent
        ]
