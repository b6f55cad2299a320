"""Overrides and contexts under Celery: an eager task has its caller's, and no task has another one's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout.openfeature import transaction
from rollout.testing import override_flag
from tests.celery_process import RABBITMQ, CeleryWorld, celery_world
from tests.integration.celery.conftest import broker_of
from tests.integration.openfeature import celery_tasks
from tests.integration.openfeature.celery_tasks import FLAG, MEMBER, Broken
from tests.waiting import until

Heard = dict[str, Any]
NOBODY = (False, False, "TARGETING_KEY_MISSING")


def said(heard: Heard) -> tuple[bool, bool, str | None]:
    """What the doors said: the gate, the client, its code."""
    return heard["gate"], heard["client"], heard["code"]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where eager tasks write, and both doors ready."""
    path = tmp_path / "webhooks.log"
    monkeypatch.setenv("TEST_LOG", str(path))
    celery_tasks.app.conf.task_always_eager = True
    celery_tasks.ready()
    yield path
    celery_tasks.app.conf.task_always_eager = False


def lines(log: Path) -> list[Heard]:
    """What the tasks heard so far."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_an_eager_task_sees_what_the_test_has_put_in_force(log: Path) -> None:
    """While it lasts, and no longer."""
    celery_tasks.ask.delay()
    with override_flag(FLAG, on=True), transaction(MEMBER):
        celery_tasks.ask.delay()
    celery_tasks.ask.delay()

    assert [said(heard) for heard in lines(log)] == [NOBODY, (True, True, None), NOBODY]


def test_an_eager_task_leaves_nothing_to_its_caller_nor_to_the_next(log: Path) -> None:
    """Though each of them breaks in the middle."""
    celery_tasks.override.delay()
    celery_tasks.ask.delay()
    celery_tasks.speak.delay()
    celery_tasks.ask.delay()
    heard = lines(log)

    assert [each["task"] for each in heard] == ["override", "ask", "speak", "ask"]
    assert [said(each) for each in heard] == [
        (True, True, None),
        NOBODY,
        (False, True, None),
        NOBODY,
    ]
    assert said(celery_tasks.heard()) == NOBODY


def test_an_eager_task_in_another_thread_has_nothing_of_this_one(log: Path) -> None:
    """A context variable stays with its thread."""
    with override_flag(FLAG, on=True), transaction(MEMBER):
        other = threading.Thread(target=celery_tasks.ask.delay)
        other.start()
        other.join()

    assert [said(heard) for heard in lines(log)] == [NOBODY]


def test_a_transaction_inside_another_gives_it_back(log: Path) -> None:
    """Whatever the block does."""
    with transaction(MEMBER):
        with pytest.raises(Broken), transaction(celery_tasks.STRANGER):
            inside = celery_tasks.heard()
            raise Broken
        after = celery_tasks.heard()
    with transaction(""):
        blank = celery_tasks.heard()

    assert said(inside) == (False, False, None)
    assert said(after) == (False, True, None)
    assert said(blank) == NOBODY


@pytest.fixture(
    params=[
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
        pytest.param("redis", marks=pytest.mark.redis),
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CeleryWorld]:
    """A broker of each kind, and no worker yet."""
    with broker_of(request.param) as server:
        url = RABBITMQ if server is None else server.url
        with celery_world(url, {}, 0, tmp_path) as made:
            made.application = celery_tasks.__name__
            yield made


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_keeps_each_task_to_itself(world: CeleryWorld, pool: str) -> None:
    """One process, one thread, task after task: nothing of the caller, nothing of the task before.

    The last two show what `transaction` is for: what the SDK's own call sets is still there afterwards.
    """
    world.start("-P", pool, "-c", "1")
    tasks = ["ask", "override", "ask", "speak", "ask", "forget_to_reset", "ask"]
    celery_tasks.ready()

    with override_flag(FLAG, on=True), transaction(MEMBER):
        for number, task in enumerate(tasks, start=1):
            world.send(task)
            until(lambda: len(lines(world.log)) == number, or_else=lambda: world.output)  # noqa: B023
    heard = lines(world.log)

    assert [each["task"] for each in heard] == tasks
    assert len({each["where"] for each in heard}) == 1
    assert [said(each) for each in heard[:5]] == [
        NOBODY,
        (True, True, None),
        NOBODY,
        (False, True, None),
        NOBODY,
    ]
    assert [said(each) for each in heard[5:]] == [(False, True, None)] * 2
