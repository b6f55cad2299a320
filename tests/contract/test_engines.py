"""The three engines give the same deliveries, states, attempts, outcomes and log lines; and no message of
Celery's does more than wake a worker up.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from tests import databases, engine_project
from tests.celery_process import RABBITMQ, CeleryWorld, celery_world
from tests.redis_server import own_server
from tests.scripted_receiver import Scripted, scripted
from tests.waiting import until
from webhooks_core.breaker import Force, ForcedMode
from webhooks_core.delivery import Delivery, Settlement
from webhooks_core.django import wiring, working
from webhooks_core.django.models import Delivery as StoredRow
from webhooks_core.django.models import WorkerBeat
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.outbox.base import Row
from webhooks_core.outbox.states import ENDED, State, after
from webhooks_core.testing.contracts import EngineContract
from webhooks_core.testing.contracts.engines import BODY, EVENT, Case, Played
from webhooks_core.worker import WorkerPolicy

pytestmark = [pytest.mark.network, pytest.mark.django_db(databases="__all__")]
FAR = 4_000_000_000.0
PROCESSES = 2


def delivery_to(endpoint: str, **more: Any) -> Delivery:
    """A new delivery."""
    return Delivery(
        webhook_id=str(uuid.uuid4()), event=EVENT, body=BODY, created_at=time.time(),
        endpoint_id=EndpointId(endpoint), unit="101", **more,
    )  # fmt: skip


def force_open(endpoint: str) -> None:
    """Have a person open the breaker of an endpoint, where all processes see it."""
    force = Force(mode=ForcedMode.FORCED_OPEN, actor="test", reason="test", until=FAR)
    wiring.sending().breakers.apply(endpoint, force, now=time.time())


class OnLoopback(EngineContract):
    """Engines under test send to a scripted receiver."""

    receiver: Scripted
    caplog: pytest.LogCaptureFixture

    @pytest.fixture(autouse=True)
    def _logged(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog
        caplog.set_level(logging.INFO, logger="webhooks")

    def begin(self, case: Case) -> Delivery:
        """Set the scene, and return what is to be sent."""
        self.receiver.answers[case.name] = list(case.answers)
        if case.is_open:
            force_open(case.name)
        self.caplog.clear()
        return delivery_to(case.name)

    def played(self, case: Case, row: Row) -> Played:
        """Say what became of *row*."""
        return Played(
            webhook_id=row.delivery.webhook_id,
            state=row.state,
            attempts=tuple((one.attempt, one.outcome, one.status) for one in row.attempts),
            requests=self.receiver.on(case.name),
            lines=tuple(line for line in self.lines() if _is_about(line, case.name)),
        )

    def lines(self) -> list[str]:
        """What was logged about deliveries since `begin`."""
        return [record.getMessage() for record in self.caplog.records if record.name == "webhooks"]


class TestInline(OnLoopback):
    """In the calling thread; a delivery has no row, and a state only in so far as it would have one."""

    @pytest.fixture(autouse=True)
    def _engine(self) -> Iterator[None]:
        with (
            scripted() as self.receiver,
            override_settings(
                **engine_project.settings(engine="inline", environment="test", port=self.receiver.port)
            ),
        ):
            yield

    def play(self, case: Case) -> Played:
        delivery, sending = self.begin(case), wiring.sending()
        seen: list[Settlement] = []
        attempt = sending.sender.attempt

        def noting(delivery: Delivery, endpoint: Endpoint) -> Settlement:
            seen.append(attempt(delivery, endpoint))
            return seen[-1]

        sending.sender.attempt = noting  # type: ignore[method-assign]
        last = sending.deliver(delivery)

        records = tuple(each.record for each in seen if each.record is not None)
        row = Row(delivery=last.delivery, state=after(last).state, environment="test", attempts=records)
        return self.played(case, row)


class OnPostgres(OnLoopback):
    """Engines that keep rows; the database is this class's."""

    outbox: DjangoOutbox

    def play(self, case: Case) -> Played:
        delivery = self.begin(case)
        self.outbox.add(delivery)
        self.told(delivery.webhook_id)
        self.settle(delivery.webhook_id, is_claimed=not case.is_open)
        return self.played(case, self.row(delivery.webhook_id))

    def told(self, webhook_id: str) -> None:
        """Tell the engine of a row that was committed."""

    def settle(self, webhook_id: str, *, is_claimed: bool) -> None:
        """Return once nothing more happens to a row by itself, or it has been looked at and left."""
        raise NotImplementedError

    def row(self, webhook_id: str) -> Row:
        """One row."""
        found = self.outbox.find(webhook_id)
        assert found is not None
        return found


@pytest.mark.postgres
class TestWorker(OnPostgres):
    """In threads of a worker that looks for rows."""

    @pytest.fixture(autouse=True)
    def _engine(self, on_postgres: str) -> Iterator[None]:
        with scripted() as self.receiver:
            settings = engine_project.settings(
                engine="worker", environment="test", port=self.receiver.port, database=on_postgres
            )
            with override_settings(**settings):
                found = wiring.sending().outbox
                assert found is not None
                self.outbox = found
                yield
                wiring.sending.forget()

    def settle(self, webhook_id: str, *, is_claimed: bool) -> None:
        policy = WorkerPolicy(threads=1, poll_seconds=0.05)
        for _ in range(20):
            working.shell(policy).run(until_idle=True)
            row = self.row(webhook_id)
            due = row.due_at
            if row.state is not State.PENDING or not row.attempts or due is None:
                return
            time.sleep(max(0.0, due - self.outbox.now()))


class OnCelery(OnPostgres):
    """In processes of Celery's, told by messages; one worker for all tests of a broker."""

    world: CeleryWorld

    @pytest.fixture(autouse=True)
    def _engine(
        self, celery: tuple[CeleryWorld, Scripted], django_db_blocker: DjangoDbBlocker
    ) -> Iterator[None]:
        self.world, self.receiver = celery
        with django_db_blocker.unblock(), databases.alias("celery", self.world.database) as name:
            settings = engine_project.settings(
                engine="celery", environment=self.world.environment, port=self.receiver.port, database=name
            )
            with override_settings(**settings):
                found = wiring.sending().outbox
                assert found is not None
                self.outbox = found
                self.begun = self.world.log.stat().st_size if self.world.log.exists() else 0
                self.receiver.requests.clear()
                yield
                wiring.sending.forget()

    def told(self, webhook_id: str) -> None:
        self.world.hint(webhook_id)

    def settle(self, webhook_id: str, *, is_claimed: bool) -> None:
        self.pass_by()

        def is_left() -> bool:
            row = self.row(webhook_id)
            waits = row.state is State.PENDING and not row.attempts and (row.reason or not is_claimed)
            return bool(waits) or row.state in (*ENDED, State.HELD)

        until(is_left, or_else=lambda: self.world.output)

    def pass_by(self) -> None:
        """Return when the workers are past all that was sent to them before."""
        for _ in range(PROCESSES):
            marker = delivery_to("marker")
            self.outbox.add(marker)
            self.told(marker.webhook_id)
            until(
                lambda marker=marker: self.row(marker.webhook_id).state in ENDED,
                or_else=lambda: self.world.output,
            )

    @pytest.mark.parametrize("state", ["scheduled", "claimed", "held", "dead", "delivered", "dropped"])
    def test_a_message_moves_no_row_that_is_not_due(self, state: str) -> None:
        """A forged message, or one that comes again: the row stays as it is, and nothing is sent."""
        delivery = delivery_to("taken")
        with transaction.atomic(using=self.outbox.database.alias):
            put(self.outbox, delivery, state)
        before = self.row(delivery.webhook_id)

        for _ in range(3):
            self.world.send("webhooks.deliver", delivery.webhook_id)
        self.pass_by()

        assert self.row(delivery.webhook_id) == before
        assert self.receiver.on("taken") == ()

    def test_a_message_moves_no_row_of_another_environment(self) -> None:
        """Its id is as good as unknown."""
        other = DjangoOutbox(environment="other", using=self.outbox.database.alias)
        delivery = delivery_to("taken")
        other.add(delivery)
        before = other.find(delivery.webhook_id)

        self.world.send("webhooks.deliver", delivery.webhook_id)
        self.pass_by()

        assert other.find(delivery.webhook_id) == before
        assert self.receiver.on("taken") == ()

    def test_a_worker_outlives_messages_that_make_no_sense(self) -> None:
        """Unknown, huge, of the wrong type, no JSON, too many words: the next one is served as ever."""
        before = self.world.ready()
        for argument in (str(uuid.uuid4()), "x" * 1_000_000, "", 7, None, ["a"], {"webhook_id": "b"}):
            self.world.send("webhooks.deliver", argument)
        self.world.send("webhooks.deliver")
        self.world.send("webhooks.deliver", "a", "b", "c")
        self.world.send("webhooks.deliver", kwargs={"force": True, "state": "pending"})
        for body in (b"not json", b"\xff\xfe", b"[]", b'{"webhook_id": "a"}'):
            self.world.send_raw(body)
        self.world.send_raw(b"cos\nsystem\n(S'true'\ntR.", content_type="application/x-python-serialize")

        self.pass_by()

        assert self.world.ready() == before
        assert self.world.workers[0].poll() is None

    def test_a_row_whose_message_was_lost_is_found_by_a_sweep(self) -> None:
        """The row is the truth; beat finds it."""
        delivery = delivery_to("taken")
        self.receiver.answers["taken"] = [200]

        self.outbox.add(delivery)

        until(lambda: self.row(delivery.webhook_id).state is State.DELIVERED)

    def test_a_worker_of_celerys_has_a_heartbeat(self) -> None:
        """People see it among the workers."""
        self.pass_by()

        (beat, *_) = WorkerBeat.objects.using(self.outbox.database.alias).filter(
            environment=self.world.environment
        )
        assert beat.seen_at > time.time() - 60

    def lines(self) -> list[str]:
        with self.world.log.open() as log:
            log.seek(self.begun)
            return log.read().splitlines()


def _is_about(line: str, endpoint: str) -> bool:
    """Whether a line tells of deliveries to *endpoint*; one that names none is of the case that is played."""
    if line.startswith(("Webhook worker", "Circuit breaker")):
        return False
    return "endpoint=" not in line or f"endpoint={endpoint}," in line


def put(outbox: DjangoOutbox, delivery: Delivery, state: str) -> None:
    """Keep *delivery* in a state, before any worker can see it."""
    ids = [delivery.webhook_id]
    outbox.add(delivery, due_at=FAR if state == "scheduled" else None)
    if state == "claimed":
        outbox.claim(worker="other", limit=1, lease_seconds=600, endpoints={delivery.endpoint_id: 1})
    elif state == "held":
        outbox.hold(ids, reason="test")
    elif state == "dropped":
        outbox.drop(ids, reason="test")
    elif state != "scheduled":
        rows = StoredRow.objects.using(outbox.database.alias).filter(webhook_id=delivery.webhook_id)
        rows.update(state=state, turn=None, due_at=None)


@pytest.mark.postgres
@pytest.mark.rabbitmq
@pytest.mark.slow
@pytest.mark.xdist_group("celery-rabbitmq")
class TestCeleryOnRabbitMQ(OnCelery):
    """Messages by AMQP."""

    @staticmethod
    def broker() -> AbstractContextManager[str]:
        return nullcontext(RABBITMQ)


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.xdist_group("celery-redis")
class TestCeleryOnRedis(OnCelery):
    """Messages in lists of a Redis server."""

    @staticmethod
    @contextmanager
    def broker() -> Iterator[str]:
        with own_server() as server:
            yield server.url


@pytest.fixture(scope="class")
def celery(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_template: str,
) -> Iterator[tuple[CeleryWorld, Scripted]]:
    """A worker of two processes with a beat, on a database and a broker."""
    name = f"rollout_celery_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    settings, folder = databases.postgres(name), tmp_path_factory.mktemp("celery")
    with (
        databases.postgres_database(name, template=postgres_template),
        scripted() as receiver,
        request.cls.broker() as broker,
        celery_world(broker, settings, receiver.port, folder) as world,
    ):
        world.start("-P", "prefork", "-c", str(PROCESSES))
        yield world, receiver
