"""A process that sends as it records is a sender of the fleet, too: no thread, no row without an attempt."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import RollBack, Start
from rollout.django import dispatch, driving, pulse
from rollout.django.permit import send_permit
from rollout.django.store import DjangoRolloutStore
from rollout.fleet import Sender
from rollout.rollout_state import RolloutState, State
from tests.integration.outbox.conftest import World
from tests.integration.rollout.conftest import settings_of
from webhooks_core.delivery import Delivery
from webhooks_core.django import working
from webhooks_core.testing.captured import real_delivery

pytestmark = pytest.mark.network
ANNA = Actor(name="user:17", authenticated=True)


@pytest.fixture(autouse=True)
def _started(world: World, tmp_path: Path) -> Iterator[None]:
    """A rollout under way at 100 %, in a process that sends inline."""
    values = settings_of(world, tmp_path / "kill")
    values["WEBHOOKS"]["ENGINE"] = "inline"
    with override_settings(**values), real_delivery():
        driving.runner().obey(Start(by=ANNA, reason="go"))
        yield


def send(world: World) -> Any:
    """Dispatch one event; it is sent before this returns."""
    return dispatch("payment_verified", {"tournament_id": 1}, tournament_id=1, using=world.alias)


def state() -> RolloutState:
    """Where the rollout stands."""
    return driving.store().load(driving.driving().flag)


def senders() -> list[Sender]:
    """Every heartbeat row."""
    return list(driving.store().senders(state().flag))


def test_it_has_told_the_epoch_before_its_first_attempt(world: World) -> None:
    """Nothing before an event: a process that only serves pages sends nothing."""
    before = senders()

    send(world)

    (sender,) = senders()
    assert before == []
    assert sender.name.startswith(f"{working.worker_name()}/")
    assert (sender.epoch, world.receiver.requests) == (state().epoch, 1)


def test_it_writes_at_most_one_row_a_second(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten events, one write."""
    told = []
    beat = DjangoRolloutStore.beat

    def count(self: DjangoRolloutStore, name: str, epochs: Mapping[Any, int], **options: Any) -> None:
        told.append(name)
        beat(self, name, epochs, **options)

    monkeypatch.setattr(DjangoRolloutStore, "beat", count)
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 60.0)
    monkeypatch.setattr(pulse, "LEASE_SECONDS", 60.0)

    for _ in range(10):
        send(world)

    assert (len(told), world.receiver.requests) == (1, 10)


def test_a_rollback_is_not_said_to_be_done_before_its_lease_has_run_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is silent between its events, and its next attempt begins with a look."""
    send(world)
    runner = driving.runner()
    runner.obey(RollBack(by=ANNA, reason="complaints"))
    runner.tick()
    early = state()
    database = driving.store().database
    now = database.now
    monkeypatch.setattr(database, "now", lambda cursor=None: now(cursor) + 4)
    runner.tick()
    late = send(world)

    assert early.state is State.ROLLING_BACK
    assert state().state is State.ROLLED_BACK
    assert "1 by a lease that ran out" in state().reason
    assert (bool(late), world.receiver.requests) == (False, 1)


def test_without_a_heartbeat_nothing_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller goes on; the log says that the delivery waited."""
    caplog.set_level(logging.WARNING, logger="webhooks")

    def away(*_args: object, **_more: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(DjangoRolloutStore, "beat", away)

    send(world)

    assert world.receiver.requests == 0
    assert any("flag state not confirmed" in record.getMessage() for record in caplog.records)


def test_no_heartbeat_is_written_in_a_callers_transaction(world: World) -> None:
    """Nobody would see it before the commit, and a roll-back would take it away."""
    delivery = Delivery(
        webhook_id="550e8400-e29b-41d4-a716-446655440000",
        event="payment_verified",
        body=b"{}",
        created_at=0.0,
        unit="1",
    )

    with transaction.atomic(using=world.alias):
        inside = send_permit(delivery)
        rows = senders()
    outside = send_permit(delivery)

    assert (inside.verdict, rows) == ("wait", [])
    assert (outside.verdict, len(senders())) == ("send", 1)
