"""Caps on the sending rate, shared by workers through the database: an endpoint's own, and a stage's."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.test import override_settings

from tests.integration.django.project import project
from tests.integration.outbox.conftest import World
from webhooks_core.django import conf
from webhooks_core.django.rates import rate_of, set_stage_rate
from webhooks_core.django.stores.rates import DatabaseRateStore
from webhooks_core.endpoint import EndpointId
from webhooks_core.errors import ConfigError
from webhooks_core.rate import RatePolicy

pytestmark = pytest.mark.network
A = EndpointId("a")


class Hosts:
    """Two workers' stores, with one monotonic clock that a test moves."""

    def __init__(self, world: World) -> None:
        self.now = 100.0
        database = world.outbox.database
        self.one, self.two = (
            DatabaseRateStore(database, environment="test", monotonic=lambda: self.now) for _ in range(2)
        )


def test_a_stages_cap_is_in_force_everywhere_within_a_second(world: World) -> None:
    """Whoever sets it has it at once, the others with their next look."""
    hosts = Hosts(world)
    seen = [hosts.two.stage_rate()]
    for cap in (20.0, 5.0, None):
        hosts.one.set_stage_rate(cap)
        seen.append(hosts.two.stage_rate())
        hosts.now += 0.5
        seen.append(hosts.two.stage_rate())

    assert seen == [None, None, 20.0, 20.0, 5.0, 5.0, None]
    assert hosts.one.stage_rate() is None


def test_a_stages_cap_is_that_of_one_environment_and_no_endpoints_bucket(world: World) -> None:
    """Staging is not slowed down by production, and no token is in its row."""
    hosts = Hosts(world)
    hosts.one.set_stage_rate(1.0)
    other = DatabaseRateStore(world.outbox.database, environment="other")

    granted = hosts.one.take(A, 5, policy=RatePolicy(per_second=1.0, burst=3.0), now=0.0).count

    assert (other.stage_rate(), granted) == (None, 3)
    assert hosts.one.stage_rate() == 1.0


def test_a_stages_cap_is_set_with_the_stage_or_not_at_all(world: World) -> None:
    """In the transaction in which the stage begins."""
    hosts = Hosts(world)

    with pytest.raises(RuntimeError), transaction.atomic(using=world.alias):
        hosts.one.set_stage_rate(1.0)
        raise RuntimeError("the stage did not begin")

    assert hosts.two.stage_rate() is None


def test_the_lower_of_an_endpoints_cap_and_the_stages_rules(world: World) -> None:
    """And either alone; what is no cap is refused before anything is written."""
    rules = []
    with override_settings(**project(WEBHOOKS={"DATABASE": world.alias, "RATE": 20})):
        for cap in (None, 8.0, 40.0):
            set_stage_rate(cap)
            store = DatabaseRateStore(world.outbox.database, environment="test")
            of = rate_of(conf.current(), store)
            rules.append((of(EndpointId("default")), of(A)))
        with pytest.raises(ConfigError):
            set_stage_rate(0)

    assert rules == [
        (RatePolicy(per_second=20.0, burst=5.0), None),
        (RatePolicy(per_second=8.0, burst=2.0), RatePolicy(per_second=8.0, burst=2.0)),
        (RatePolicy(per_second=20.0, burst=5.0), RatePolicy(per_second=40.0, burst=10.0)),
    ]


@pytest.mark.slow
def test_two_workers_together_keep_to_the_cap(world: World) -> None:
    """Forty rows at forty a second, ten of them at once: three quarters of a second at least."""
    with override_settings(**project(WEBHOOKS={"DATABASE": world.alias})):
        set_stage_rate(40.0)
    world.add(40)

    workers = [world.start("worker", "--once", "--threads", "2") for _ in range(2)]
    codes = [worker.wait(60) for worker in workers]

    with world.outbox.database.reading() as cursor:
        cursor.execute("SELECT count(*), min(started_at), max(started_at) FROM webhooks_attempt")
        count, first, last = cursor.fetchone()
    assert (codes, world.states(), count) == ([0, 0], {"delivered"}, 40)
    assert last - first >= 0.7
