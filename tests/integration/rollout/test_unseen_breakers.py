"""Breakers that the runner cannot see: what they would tell is undecided, and the rest is judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import Start
from rollout.counters import Counts
from rollout.django import driving, record_outcome
from rollout.django.evidence import EvidenceTable
from rollout.django.fleet_evidence import FleetEvidence
from rollout.flags import FlagKey
from rollout.rollout_state import State
from rollout.testing import ManualClock
from rollout.verdict import Call, Verdict
from rollout.watch import PartlyUnreadable
from tests.integration.django.project import project
from tests.integration.rollout.staged import ONCE, state
from tests.redis_server import own_server, patient
from webhooks_core.django.outbox.database import Database
from webhooks_core.django.stores import breakers as breakers_module
from webhooks_core.django.stores.breakers import DatabaseBreakerStore
from webhooks_core.stores.breakers import BreakerStore
from webhooks_core.stores.redis_breakers import SILENT_SECONDS, RedisBreakerStore
from webhooks_core.stores.redis_connection import RedisConnection

pytestmark = pytest.mark.network
ANNA = Actor(name="user:17", authenticated=True)
GONE = "redis://127.0.0.1:1/0"  # nobody listens there
LEFT_OUT = ["latency", "dispatch_time", "retried", "client_errors", "server_errors"]
OF_BREAKERS = ["breaker_openings", "receiver_unreachable"]


@pytest.fixture(params=["redis", "memory"])
def unseen(request: pytest.FixtureRequest, alias: str, tmp_path: Path) -> Iterator[None]:
    """A rollout under way whose breakers are in a Redis that is away, or in each sender's memory."""
    stages = [{"percentage": each, "bake": "1h"} for each in ("5", "100")]
    values: dict[str, Any] = project(
        WEBHOOKS={"ENGINE": "worker", "DATABASE": alias, "REDIS": GONE, "BREAKER_STORE": request.param},
        ROLLOUT={
            "PLAN": {"stages": stages, "criteria": {"leave_out": LEFT_OUT}},
            "DATABASE": alias,
            "KILL_FILE": str(tmp_path / "kill"),
        },
    )
    with override_settings(**values):
        driving.runner().obey(Start(by=ANNA, reason="go"))
        yield


def judged() -> Verdict:
    """What the guard says now."""
    _, situation = driving.runner().look()
    assert situation.verdict is not None
    return situation.verdict


@ONCE
@pytest.mark.usefixtures("unseen")
def test_breakers_that_cannot_be_seen_hold_although_every_delivery_arrives() -> None:
    """A metric that cannot be read never passes (contract §10), and says so."""
    for _ in range(60):
        record_outcome("success")

    verdict = judged()

    undecided = [each for each in verdict.readings if each.standing.value == "undecided"]
    assert (verdict.call, [each.measure for each in undecided]) == (Call.HOLD, OF_BREAKERS)
    assert all(each.why.startswith("cannot be read: ") for each in undecided)


@ONCE
@pytest.mark.usefixtures("unseen")
def test_breakers_that_cannot_be_seen_keep_no_rollback_from_being_made() -> None:
    """What is known to be bad stands over what is not known."""
    for _ in range(40):
        record_outcome("server_error", attempts=3)

    driving.runner().tick()

    assert state().state is State.ROLLING_BACK
    assert "sequential test" in state().reason


@ONCE
@pytest.mark.parametrize("store", ["redis", "database"])
def test_what_a_store_never_told_is_not_taken_for_closed(
    database: Database, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    """Nothing is known of it, and the counts come with the error."""
    breakers: BreakerStore
    if store == "redis":
        breakers = RedisBreakerStore(RedisConnection(GONE, environment="test"))
    else:
        breakers = DatabaseBreakerStore(environment="test", using=database.alias)
        monkeypatch.setattr(breakers_module, "_READ_ALL", "SELECT no such thing")
    table = EvidenceTable(database, environment="test", flag=FlagKey("f"))
    table.add({"a": Counts({"ok": 3})})

    with pytest.raises(PartlyUnreadable) as caught:
        FleetEvidence(table, breakers=breakers, endpoints=["a"]).rows(FlagKey("f"), from_minute=0)

    assert sum(row.counts.get("ok") for row in caught.value.rows) == 3
    assert caught.value.unreadable == {"breakers": "their store does not answer"}


@pytest.mark.redis
def test_what_redis_told_is_believed_for_as_long_as_a_snapshot(clock: ManualClock) -> None:
    """One answer that is late is no reason to hold a rollout, half a minute without any is."""
    with own_server() as server:
        connection = patient(RedisConnection(server.url, environment="test", monotonic=clock))
        store = RedisBreakerStore(connection)
        told = store.seen(["a"], now=clock())
    clock.advance(SILENT_SECONDS - 1)
    remembered = store.seen(["a"], now=clock())
    clock.advance(2)
    forgotten = store.seen(["a"], now=clock())

    assert (list(told), list(remembered), list(forgotten)) == (["a"], ["a"], [])
