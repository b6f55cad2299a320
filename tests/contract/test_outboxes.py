"""Every outbox passes the suite of its port."""

from __future__ import annotations

from webhooks_core.outbox.base import SettleSink
from webhooks_core.outbox.memory import MemoryOutbox, MemoryRows
from webhooks_core.testing.contracts.outbox import HandClock, OutboxContract, OutboxUnderTest


class TestMemoryOutbox(OutboxContract):
    """The outbox in this process's memory."""

    def setup_method(self) -> None:
        self.rows = MemoryRows()

    def make_outbox(
        self, *, clock: HandClock, environment: str, sink: SettleSink | None = None
    ) -> OutboxUnderTest:
        return MemoryOutbox(rows=self.rows, environment=environment, sink=sink, clock=clock)
