"""A rollout by a plan where Celery does everything: ticks by message, and deliveries by its children."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import Kill, Start
from rollout.counters import Counts
from rollout.django import driving
from rollout.rollout_state import RolloutState
from rollout.rollout_state import State as Rollout
from tests import engine_project
from tests.integration.celery.conftest import Place
from tests.waiting import until
from webhooks_core.delivery import Delivery
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.endpoint import EndpointId
from webhooks_core.outbox.states import State
from webhooks_core.testing.captured import real_delivery
from webhooks_core.testing.contracts.engines import BODY, EVENT

ANNA = Actor(name="user:17", authenticated=True)
pytestmark = [pytest.mark.network, pytest.mark.postgres, pytest.mark.slow]


def settings_of(place: Place, kill_file: Path, *, database: str) -> dict[str, Any]:
    """A project with a plan and the engine `celery`, as this process or as a child sees its database."""
    world, receiver = place
    values = engine_project.settings(
        engine="celery", environment=world.environment, port=receiver.port, database=database
    )
    del values["WEBHOOKS"]["SEND_PERMIT"]  # the rollout's own
    beats = {"webhooks": ("webhooks.sweep", 0.3), "rollout": ("rollout.tick", 0.3)}
    return {
        **values,
        "INSTALLED_APPS": ["rollout.django", "webhooks_core.django"],
        "NOTIFICATIONS_WEBHOOK_ENABLED": True,
        "ROLLOUT": {
            "FLAGS": {"tournament-webhooks": {"percentage": 100}},
            "PLAN": {"stages": [{"percentage": "100", "bake": "1h"}]},
            "DATABASE": database,
            "KILL_FILE": str(kill_file),
        },
        "CELERY_BEAT_SCHEDULE": {
            name: {"task": task, "schedule": seconds, "options": {"queue": world.queue}}
            for name, (task, seconds) in beats.items()
        },
    }


@pytest.fixture
def planned(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The plan is started, and so is a worker with two children and the beat of the how-to."""
    theirs = settings_of(place, tmp_path / "kill", database="default")
    monkeypatch.setenv("TEST_CHANGES", json.dumps(theirs))
    ours = settings_of(place, tmp_path / "kill", database="celery")
    del ours["INSTALLED_APPS"]
    with override_settings(**ours), real_delivery():
        driving.runner().obey(Start(by=ANNA, reason="go"))
        place[0].start("-P", "prefork", "-c", "2")
        yield place


def recorded(place: Place) -> str:
    """Commit one event that was let in, and tell the queue of it."""
    world, _ = place
    delivery = Delivery(
        webhook_id=str(uuid.uuid4()),
        event=EVENT,
        body=BODY,
        created_at=time.time(),
        endpoint_id=EndpointId("taken"),
        unit="101",
    )
    outbox_of(place).add(delivery)
    world.hint(delivery.webhook_id)
    return delivery.webhook_id


def outbox_of(place: Place) -> DjangoOutbox:
    """The rows of this test's environment."""
    return DjangoOutbox(environment=place[0].environment, using="celery")


def stands(place: Place, webhook_id: str) -> State:
    """Where a row stands."""
    row = outbox_of(place).find(webhook_id)
    assert row is not None
    return row.state


def state() -> RolloutState:
    """Where the rollout stands."""
    return driving.store().load(driving.driving().flag)


def acknowledged() -> bool:
    """Whether every child that sends has told that it obeys the newest epoch; one without work is silent."""
    store, known = driving.store(), state()
    now, senders = store.now(), store.senders(known.flag)
    told = [each for each in senders if each.epoch >= known.epoch]
    return bool(told) and all(each in told or not each.is_alive(now=now) for each in senders)


def test_ticks_come_by_message_and_a_child_acknowledges_the_kill(planned: Place) -> None:
    """The beat drives the plan, children send and count; killed, each says so, and sends no more."""
    world, receiver = planned
    until(lambda: state().state is Rollout.HOLD, or_else=lambda: world.output)  # no evidence yet, says a tick
    first = recorded(planned)
    until(lambda: stands(planned, first) is State.DELIVERED, or_else=lambda: world.output)
    until(acknowledged, or_else=lambda: world.output)

    driving.runner().obey(Kill(by=ANNA, reason="drill"))
    until(acknowledged, or_else=lambda: world.output)
    late = recorded(planned)
    until(lambda: stands(planned, late) is State.HELD, or_else=lambda: world.output)
    until(lambda: state().state is Rollout.ROLLED_BACK, or_else=lambda: world.output)

    table = driving.evidence()
    assert table is not None
    counts = Counts.sum(row.counts for row in table.read(since_minute=0, until_minute=2**40))
    assert (counts.get("ok"), len(receiver.on("taken"))) == (1, 1)
    assert " stopped, slowest " in state().reason
    assert {entry.actor for entry in driving.store().journal(state().flag)} == {ANNA.name, "rollout"}
