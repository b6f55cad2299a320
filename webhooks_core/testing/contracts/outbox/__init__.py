"""The suite of the ports `Outbox` and `Operations`; see `contracts/__init__` for how to run it.

Invariant: what a memory outbox, SQLite and PostgreSQL can all do is asked here, and nothing else.
"""

from __future__ import annotations

from webhooks_core.testing.contracts.outbox.claims import ClaimsContract
from webhooks_core.testing.contracts.outbox.leases import LeasesContract
from webhooks_core.testing.contracts.outbox.order import OrderContract
from webhooks_core.testing.contracts.outbox.people import PeopleContract
from webhooks_core.testing.contracts.outbox.words import HandClock, OutboxUnderTest

__all__ = ["HandClock", "OutboxContract", "OutboxUnderTest"]


class OutboxContract(ClaimsContract, LeasesContract, OrderContract, PeopleContract):
    """What an outbox must do. The store is empty at the start of each test."""
