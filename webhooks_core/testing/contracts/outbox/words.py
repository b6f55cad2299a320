"""The words in which the outbox's suite speaks: how to open a store, and the values that tests settle with.

Invariant: the store's clock is a `HandClock` that only a test moves; nothing sleeps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import pytest

from webhooks_core.endpoint import DEFAULT_ID, EndpointId
from webhooks_core.outbox.base import Claimed, Operations, Outbox, Row, Settled, SettleSink
from webhooks_core.outcome import Outcome
from webhooks_core.retry import DeadLetter, RetryAt
from webhooks_core.settlement import (
    AttemptRecord,
    DeadLettered,
    Delivered,
    Delivery,
    Held,
    Retrying,
    Waiting,
)

NOW = 1_763_000_000.0
LEASE = 15.0
HOME = "production"
A, B, C = EndpointId("a"), EndpointId("b"), EndpointId("c")


class HandClock:
    """A clock that a test moves."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the present moment."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass, or with a negative number be set back."""
        self.now += seconds


class OutboxUnderTest(Outbox, Operations, Protocol):
    """Both ports: what the suite needs of one object."""


class OutboxWords(ABC):
    """How to open the store, and the verbs and values of the tests."""

    @abstractmethod
    def make_outbox(
        self, *, clock: HandClock, environment: str, sink: SettleSink | None = None
    ) -> OutboxUnderTest:
        """Return an outbox of *environment*; each call within one test opens the same store again."""

    @pytest.fixture
    def clock(self) -> HandClock:
        """The store's clock."""
        return HandClock()

    @pytest.fixture
    def outbox(self, clock: HandClock) -> OutboxUnderTest:
        """An empty outbox of the home environment."""
        return self.make_outbox(clock=clock, environment=HOME)

    def add(
        self,
        outbox: Outbox,
        number: int,
        *,
        endpoint: EndpointId = DEFAULT_ID,
        unit: str | None = "101",
        ordering_key: str | None = None,
        due_at: float | None = None,
    ) -> str:
        """Add a delivery and return its id."""
        webhook_id = f"00000000-0000-4000-8000-{number:012d}"
        body = b'{"event":"tested","data":{},"metadata":{}}'
        delivery = Delivery(
            webhook_id=webhook_id,
            event="tested",
            body=body,
            created_at=outbox.now(),
            endpoint_id=endpoint,
            unit=unit,
        )
        outbox.add(delivery, ordering_key=ordering_key, due_at=due_at)
        return webhook_id

    def claim(
        self, outbox: Outbox, most: int = 100, *, worker: str = "w1", before: float | None = None
    ) -> Sequence[Claimed]:
        """Claim up to *most* rows of the default endpoint."""
        return outbox.claim(
            worker=worker,
            limit=most,
            lease_seconds=LEASE,
            endpoints={DEFAULT_ID: most},
            waiting_before=before,
        )

    def ids(self, claims: Sequence[Claimed]) -> list[str]:
        """Return the ids of claims, in their order."""
        return [claimed.delivery.webhook_id for claimed in claims]

    def record(self, claimed: Claimed, outcome: Outcome) -> AttemptRecord:
        """Return the record of one attempt."""
        attempt = claimed.delivery.attempt
        return AttemptRecord(attempt=attempt, outcome=outcome, started_at=NOW, elapsed_seconds=0.25)

    def arrived(self, claimed: Claimed) -> Settled:
        """It was delivered."""
        record = self.record(claimed, Outcome.SUCCESS)
        settlement = Delivered(
            delivery=claimed.delivery, record=record, latency_seconds=0.25, elapsed_seconds=0.25
        )
        return Settled(claimed=claimed, settlement=settlement)

    def failed(self, claimed: Claimed, *, when: float, skew: float = 0.0, slow_retries: int = 0) -> Settled:
        """An attempt failed, the next one is at *when*."""
        attempt = claimed.delivery.attempt + 1
        following = replace(
            claimed.delivery,
            attempt=attempt,
            planned_wait_seconds=2.0,
            sent_before=True,
            slow_retries=slow_retries,
        )
        decision = RetryAt(when=when, wait_seconds=2.0, reason="schedule")
        record = self.record(claimed, Outcome.SERVER_ERROR)
        settlement = Retrying(delivery=following, record=record, decision=decision)
        return Settled(claimed=claimed, settlement=settlement, skew_seconds=skew)

    def waits(self, claimed: Claimed, *, until: float) -> Settled:
        """It may not be sent before *until*."""
        settlement = Waiting(delivery=claimed.delivery, reason="circuit open", retry_at=until)
        return Settled(claimed=claimed, settlement=settlement)

    def held(self, claimed: Claimed) -> Settled:
        """The flag says no."""
        return Settled(claimed=claimed, settlement=Held(delivery=claimed.delivery, reason="ceiling 0"))

    def given_up(self, claimed: Claimed) -> Settled:
        """No attempt will follow."""
        settlement = DeadLettered(
            delivery=replace(claimed.delivery, sent_before=True),
            outcome=Outcome.CLIENT_ERROR,
            decision=DeadLetter(reason="client_error is not retried"),
            record=self.record(claimed, Outcome.CLIENT_ERROR),
        )
        return Settled(claimed=claimed, settlement=settlement)

    def row(self, outbox: OutboxUnderTest, webhook_id: str) -> Row:
        """Return a row that must be there."""
        row = outbox.find(webhook_id)
        assert row is not None
        return row
