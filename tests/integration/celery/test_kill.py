"""Celery's processes, killed in the middle of an attempt: the row is sent again, and a guard acts once."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid

import pytest
from django.db import connections

from tests import engine_project
from tests.integration.celery.conftest import Place
from tests.waiting import until
from webhooks_core.delivery import Delivery
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.endpoint import EndpointId
from webhooks_core.keys import KeyRing
from webhooks_core.outbox.states import State
from webhooks_core.receiving import Receiver
from webhooks_core.stores.replay import MemoryReplayStore
from webhooks_core.testing.contracts.engines import BODY, EVENT
from webhooks_core.verifier import Verifier

pytestmark = [pytest.mark.network, pytest.mark.postgres, pytest.mark.slow]


def recorded(world_environment: str) -> tuple[DjangoOutbox, str]:
    """A row that was committed."""
    outbox = DjangoOutbox(environment=world_environment, using="celery")
    delivery = Delivery(
        webhook_id=str(uuid.uuid4()), event=EVENT, body=BODY, created_at=time.time(),
        endpoint_id=EndpointId("taken"), unit="101",
    )  # fmt: skip
    outbox.add(delivery)
    return outbox, delivery.webhook_id


def let_the_lease_run_out(webhook_id: str) -> None:
    """Fifteen seconds later, for this row alone."""
    with connections["celery"].cursor() as cursor:
        cursor.execute(
            "UPDATE webhooks_delivery SET due_at = due_at - 15 WHERE webhook_id = %s", [webhook_id]
        )


def holder(outbox: DjangoOutbox, webhook_id: str) -> int:
    """The process that has the row in hand."""
    row = outbox.find(webhook_id)
    assert row is not None
    assert row.state is State.CLAIMED
    return int(row.worker.rpartition(":")[2])


def delivered(outbox: DjangoOutbox, webhook_id: str) -> bool:
    """Whether it arrived."""
    row = outbox.find(webhook_id)
    return row is not None and row.state is State.DELIVERED


def test_a_child_that_is_killed_mid_attempt_leaves_its_row_to_another(place: Place) -> None:
    """`kill -9` while the receiver has the request: same id again, when the lease has run out."""
    world, receiver = place
    world.start("-P", "prefork", "-c", "2")
    receiver.open.clear()
    outbox, webhook_id = recorded(world.environment)
    world.hint(webhook_id)
    until(lambda: receiver.on("taken"), or_else=lambda: world.output)
    child = holder(outbox, webhook_id)

    os.kill(child, signal.SIGKILL)
    receiver.open.set()
    let_the_lease_run_out(webhook_id)

    until(lambda: delivered(outbox, webhook_id), or_else=lambda: world.output)
    assert child != world.workers[0].pid
    assert [sent.webhook_id for sent in receiver.on("taken")] == [webhook_id] * 2
    row = outbox.find(webhook_id)
    assert row is not None
    assert row.claims == 2


def test_a_worker_that_is_killed_whole_leaves_its_rows_to_the_next_one(place: Place) -> None:
    """All processes at once; a guarded receiver acts once, whatever it was sent."""
    world, receiver = place
    effects: list[str] = []
    keys = KeyRing.of(engine_project.secret("taken"))
    receiver.guard = Receiver(
        Verifier(keys), MemoryReplayStore(), lambda verified: effects.append(verified.webhook_id)
    )
    worker = world.start("-P", "threads", "-c", "2")
    receiver.open.clear()
    outbox, webhook_id = recorded(world.environment)
    world.hint(webhook_id)
    until(lambda: receiver.on("taken"), or_else=lambda: world.output)

    world.kill(worker)
    receiver.open.set()
    let_the_lease_run_out(webhook_id)
    world.start("-P", "threads", "-c", "2")

    until(lambda: delivered(outbox, webhook_id), or_else=lambda: world.output)
    assert len(receiver.on("taken")) == 2
    assert effects == [webhook_id]


@pytest.mark.parametrize("place", [pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)], indirect=True)
def test_a_stop_finishes_what_is_under_way(place: Place) -> None:
    """SIGTERM is Celery's warm shutdown: nothing is left claimed, and nothing is sent twice."""
    world, receiver = place
    worker = world.start("-P", "prefork", "-c", "1")
    receiver.open.clear()
    outbox, webhook_id = recorded(world.environment)
    world.hint(webhook_id)
    until(lambda: receiver.on("taken"), or_else=lambda: world.output)

    worker.send_signal(signal.SIGTERM)
    threading.Timer(0.3, receiver.open.set).start()
    code = worker.wait(30)

    assert code == 0, world.output
    assert delivered(outbox, webhook_id)
    assert len(receiver.on("taken")) == 1
