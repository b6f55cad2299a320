"""Hosts whose clocks differ: shared breakers and rates go by the database's clock, and answer by theirs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.integration.outbox.conftest import World
from webhooks_core.breaker import Admit, BreakerPolicy, Failed, Refused, Ticket
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.django.stores.breakers import DatabaseBreakerStore
from webhooks_core.django.stores.rates import DatabaseRateStore
from webhooks_core.endpoint import EndpointId
from webhooks_core.rate import RatePolicy

pytestmark = pytest.mark.network
NOW = 1_763_000_000.0
A = EndpointId("a")


class Fleet:
    """Two hosts on one database whose clock a test moves; the second host is 12 s ahead."""

    def __init__(self, world: World) -> None:
        self.now = NOW
        policy = BreakerPolicy(max_fails=1, open_seconds=10.0)
        self.right, self.ahead = (
            DatabaseBreakerStore(
                policy,
                environment="test",
                using=world.alias,
                snapshot_seconds=0.0,
                wait_seconds=30.0,
                clock=lambda _now: self.now,
            )
            for _ in range(2)
        )
        outbox = DjangoOutbox(environment="test", using=world.alias, clock=lambda: self.now)
        self.rates = DatabaseRateStore(outbox.database, environment="test")

    def ask(self, store: DatabaseBreakerStore, token: str) -> Ticket | Refused:
        """Ask to send, by the host's own clock."""
        off = 12.0 if store is self.ahead else 0.0
        answer = store.apply("a", Admit(token=token, lease_seconds=15.0), now=self.now + off).answer
        assert answer is not None
        return answer

    def open(self) -> None:
        """Let one delivery fail."""
        ticket = self.ask(self.right, "first")
        assert isinstance(ticket, Ticket)
        self.right.apply("a", Failed(ticket=ticket), now=self.now)


@pytest.fixture
def fleet(world: World) -> Iterator[Fleet]:
    """The two hosts."""
    fleet = Fleet(world)
    yield fleet
    fleet.right.close()
    fleet.ahead.close()


def test_a_host_whose_clock_is_ahead_has_no_second_probe(fleet: Fleet) -> None:
    """Neither before the breaker's time nor before the first probe's lease has run out."""
    fleet.open()
    early = fleet.ask(fleet.ahead, "one")
    fleet.now += 10
    probe = fleet.ask(fleet.right, "two")
    fleet.now += 14
    second = fleet.ask(fleet.ahead, "three")
    fleet.now += 1
    third = fleet.ask(fleet.ahead, "four")

    assert early == Refused(retry_at=pytest.approx(NOW + 10 + 12))
    assert isinstance(probe, Ticket)
    assert probe.is_probe
    assert isinstance(second, Refused)
    assert isinstance(third, Ticket)
    assert third.is_probe


def test_hosts_that_take_turns_fill_no_bucket_twice(fleet: Fleet) -> None:
    """One is 12 s ahead, and time seems to pass at each of its turns; no token comes of that."""
    rate = RatePolicy(per_second=1.0, burst=3.0)
    taken = 0
    for turn in range(10):
        grant = fleet.rates.take(A, 1, policy=rate, now=fleet.now + 12 * (turn % 2))
        taken += grant.count

    refused = fleet.rates.take(A, 1, policy=rate, now=fleet.now + 12)

    assert taken == 3
    assert refused.retry_at == pytest.approx(NOW + 12 + 1)


def test_without_a_clock_of_its_own_a_store_goes_by_the_database(world: World) -> None:
    """What a caller says is the time counts for nothing; the answer is told by its clock."""
    store = DatabaseBreakerStore(
        BreakerPolicy(max_fails=1, open_seconds=10.0),
        environment="test",
        using=world.alias,
        wait_seconds=30.0,
    )
    hour = 3_600.0
    ticket = store.apply("a", Admit(), now=time.time() - hour).answer
    assert isinstance(ticket, Ticket)
    store.apply("a", Failed(ticket=ticket), now=time.time() - hour)

    answer = store.apply("a", Admit(), now=time.time() + hour).answer
    store.close()

    assert isinstance(answer, Refused)
    assert answer.retry_at == pytest.approx(time.time() + hour + 10, abs=5)
