"""The inline engine sleeps by the schedule, asks the permit before each attempt, and stores nothing."""

from __future__ import annotations

import pytest

from rollout.testing import ManualClock
from webhooks_core import events
from webhooks_core.delivery import (
    DeadLettered,
    Delivered,
    Delivery,
    Held,
    Permit,
    PermitVerdict,
    Sender,
    Waiting,
)
from webhooks_core.endpoint import Endpoint
from webhooks_core.engines.base import Engine
from webhooks_core.engines.inline import InlineEngine
from webhooks_core.keys import KeyRing
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.testing.observer import RecordingObserver
from webhooks_core.testing.transport import Answer, FakeTransport
from webhooks_core.transport.base import Response

NOW = 1_763_000_000.0
SEND = Permit(verdict=PermitVerdict.SEND)


class Inline:
    """An inline engine whose sleeping moves a manual clock."""

    def __init__(self, secret: str, clock: ManualClock) -> None:
        self.clock = clock
        self.seen = RecordingObserver()
        self.slept: list[float] = []
        self.permits: list[Permit] = []
        self.store = MemoryBreakerStore()
        self.endpoint = Endpoint(url="https://receiver.example/in", keys=KeyRing.of(secret))

    def deliver(self, *script: Answer, then: Answer = 200) -> object:
        self.transport = FakeTransport(script, then=then)
        sender = Sender(
            self.transport,
            self.store,
            permit=lambda _: self.permits.pop(0) if self.permits else SEND,
            observer=self.seen,
            clock=self.clock,
            monotonic=self.clock,
        )
        engine: Engine = InlineEngine(sender, sleep=self._sleep)
        delivery = Delivery(webhook_id="id", event="test", body=b"{}", created_at=NOW)
        return engine.deliver(delivery, self.endpoint)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)


@pytest.fixture
def inline(secret: str, clock: ManualClock) -> Inline:
    """An inline engine at NOW."""
    return Inline(secret, clock)


def test_a_good_receiver_takes_one_attempt(inline: Inline) -> None:
    """Nothing is slept."""
    assert isinstance(inline.deliver(200), Delivered)
    assert inline.slept == []


def test_two_failures_then_success(inline: Inline) -> None:
    """Sleeps two, then four seconds; each attempt has its own timestamp, all have one id."""
    settlement = inline.deliver(503, 503, 200)

    assert isinstance(settlement, Delivered)
    assert inline.slept == [2.0, 4.0]
    assert settlement.elapsed_seconds == 6.0
    assert settlement.latency_seconds == 0.0
    stamps = [request.headers["X-Webhook-Timestamp"] for request in inline.transport.sent]
    assert stamps == ["1763000000000", "1763000002000", "1763000006000"]
    assert {request.headers["X-Webhook-Id"] for request in inline.transport.sent} == {"id"}


def test_three_failures_are_given_up(inline: Inline) -> None:
    """And not one attempt more."""
    assert isinstance(inline.deliver(then=500), DeadLettered)
    assert len(inline.transport.sent) == 3
    assert inline.slept == [2.0, 4.0]


def test_turning_the_switch_off_stops_the_next_attempt(inline: Inline) -> None:
    """The permit is asked before each attempt."""
    inline.permits = [SEND, Permit(verdict=PermitVerdict.HOLD, reason="master switch")]

    settlement = inline.deliver(503)

    assert isinstance(settlement, Held)
    assert len(inline.transport.sent) == 1


def test_an_open_breaker_is_not_slept_through(inline: Inline) -> None:
    """It ends as waiting at once; nobody sends it later."""
    for _ in range(5):
        inline.deliver(400)

    settlement = inline.deliver(200)

    assert isinstance(settlement, Waiting)
    assert inline.slept == []
    assert inline.transport.sent == []
    assert inline.seen.of(events.Waiting)[0].reason == "circuit open"


def test_an_hour_of_retry_after_is_not_slept_through(inline: Inline) -> None:
    """More than a minute ends as waiting, with the moment at which it could go on."""
    settlement = inline.deliver(Response(status=503, headers={"Retry-After": "3600"}))

    assert isinstance(settlement, Waiting)
    assert settlement.retry_at == NOW + 3_600
    assert settlement.delivery.attempt == 2
    assert inline.slept == []


def test_a_minute_of_retry_after_is(inline: Inline) -> None:
    """Sixty seconds are the schedule's own cap."""
    assert isinstance(inline.deliver(Response(status=503, headers={"Retry-After": "60"})), Delivered)
    assert inline.slept == [60.0]
