"""`wake`, in this process: what a task of any queue does, over a transport that opens no socket."""

from __future__ import annotations

import runpy
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from celery.app import app_or_default
from django.db import connections
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from tests import databases
from tests.integration.django.project import project
from webhooks_core.delivery import Delivery
from webhooks_core.django import hinting, tasks, waking, wiring
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.engines.shift import Shift
from webhooks_core.envelope import seal
from webhooks_core.outbox.states import State
from webhooks_core.testing import FakeTransport


@pytest.fixture
def outbox(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DjangoOutbox]:
    """Rows in a file, and a project that sends them."""
    monkeypatch.setattr(wiring, "_transport", FakeTransport)
    before = app_or_default()
    Celery("project", broker="memory://")
    with (
        django_db_blocker.unblock(),
        databases.alias("file", databases.sqlite(tmp_path / "file.sqlite3")) as name,
        override_settings(**project(100, WEBHOOKS={"ENGINE": "celery", "DATABASE": name})),
    ):
        databases.migrated(name)
        found = wiring.sending().outbox
        assert found is not None
        yield found
    before.set_current()
    hinting._forget()


def recorded(outbox: DjangoOutbox, *, due_at: float | None = None) -> str:
    """Commit one event and return its id."""
    webhook_id = str(uuid.uuid4())
    body = seal("payment_verified", {"tournament_id": 101}, webhook_id=webhook_id).body
    outbox.add(
        Delivery(
            webhook_id=webhook_id, event="payment_verified", body=body, created_at=time.time(), unit="101"
        ),
        due_at=due_at,
    )
    return webhook_id


def state(outbox: DjangoOutbox, webhook_id: str) -> State:
    """Where it stands."""
    row = outbox.find(webhook_id)
    assert row is not None
    return row.state


def test_a_row_that_waits_is_sent_and_the_others_with_it(outbox: DjangoOutbox) -> None:
    """The id is a hint: what is due goes, in the outbox's order."""
    first, second = recorded(outbox), recorded(outbox)

    may_be_left = waking.wake(second)

    assert not may_be_left
    assert {state(outbox, first), state(outbox, second)} == {State.DELIVERED}


def test_without_an_id_whatever_is_due_is_sent(outbox: DjangoOutbox) -> None:
    """And what is not due is left."""
    due, later = recorded(outbox), recorded(outbox, due_at=4_000_000_000.0)

    waking.wake()

    assert (state(outbox, due), state(outbox, later)) == (State.DELIVERED, State.PENDING)


@pytest.mark.parametrize(
    "argument", [str(uuid.uuid4()), "", "x" * 65, 7, ["a"], b"a"], ids=["unknown", "empty", "long", "number",
    "list", "bytes"]
)  # fmt: skip
def test_what_is_no_row_of_ours_wakes_nobody(
    outbox: DjangoOutbox, argument: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs one look."""
    waiting = recorded(outbox)
    monkeypatch.setattr(Shift, "wake", lambda shift: pytest.fail("woken"))

    assert not waking.wake(argument)
    assert state(outbox, waiting) is State.PENDING


def test_a_database_that_is_away_is_left_to_the_worker(outbox: DjangoOutbox) -> None:
    """It cannot be known whether the row waits: the worker finds out, backs off and tells."""
    with connections["file"].cursor() as cursor:
        cursor.execute("ALTER TABLE webhooks_delivery RENAME TO elsewhere")

    assert waking._waits("550e8400-e29b-41d4-a716-446655440000")


def test_a_shift_that_is_broken_off_is_not_gone_on_with(
    outbox: DjangoOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time limit of the queue's strikes anywhere; the next one begins anew, with a worker of its own."""
    waiting = recorded(outbox)

    def struck(shift: Shift) -> bool:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(Shift, "_work", struck)
        with pytest.raises(SystemExit):
            waking.wake()
    before = waking._shift._held
    waking.wake()

    assert before is None
    assert state(outbox, waiting) is State.DELIVERED


def test_celerys_tasks_wake_and_wake_again_where_rows_may_be_left(
    outbox: DjangoOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shift that was over before the rows were asks for another one, behind what others have to do."""
    told: list[list[str]] = []
    first = recorded(outbox)
    tasks.deliver(first)
    monkeypatch.setattr(waking, "wake", lambda webhook_id: True)
    monkeypatch.setattr(hinting, "wanted", lambda: lambda ids: told.append(list(ids)))

    tasks.deliver(first)
    tasks.sweep()

    assert state(outbox, first) is State.DELIVERED
    assert told == [[], []]


def test_a_message_of_before_the_engine_was_changed_does_nothing(outbox: DjangoOutbox) -> None:
    """What is in the queue when a project goes back to `worker` is thrown away; the rows stay for it."""
    waiting = recorded(outbox)

    with override_settings(**project(100, WEBHOOKS={"ENGINE": "worker", "DATABASE": "file"})):
        tasks.deliver(waiting)

    assert state(outbox, waiting) is State.PENDING


def test_a_project_without_celery_can_import_the_module_of_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Procrastinate and others import every `tasks.py` of a project, too."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    names = runpy.run_path(tasks.__file__)

    assert "deliver" not in names
    assert "sweep" not in names


def test_the_tasks_are_what_the_how_to_says() -> None:
    """Acknowledged late, given back where a process is lost, no result, no retries, limits of their own."""
    for task in (tasks.deliver, tasks.sweep):
        assert (task.acks_late, task.reject_on_worker_lost, task.ignore_result) == (True, True, True)
        assert (task.max_retries, task.serializer) == (0, "json")
        assert task.time_limit > task.soft_time_limit > 120
