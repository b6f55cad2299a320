"""PostgreSQL is stopped as by a power cut, under load, and started again: nothing is lost or doubled."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.crash.scene import OUTBOX, RECEIVER, Scene, opened
from tests.crash.verdict import Victim, problems
from tests.postgres_server import PostgresServer, own_postgres

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.postgres]
RESTARTS = 4
WORKERS, PRODUCERS = 3, 2
OWN_ERRORS = {"OperationalError", "InterfaceError", "NotRecorded"}


def restart(server: PostgresServer, scene: Scene) -> None:
    """Stop it while rows are claimed, leave it off for a moment, start it, wait until work is done again."""
    scene.until(lambda: len(scene.claimed()) >= 2, what="two workers with claimed rows")
    server.stop_immediately()
    time.sleep(0.3)
    server.start()
    before = scene.effects()
    scene.until(lambda: scene.effects() > before + 20, what="work after a restart")


def test_workers_and_producers_outlive_immediate_restarts(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """Four of them: the same workers go on, producers see database errors of their own and nothing else."""
    with own_postgres() as server, django_db_blocker.unblock():
        server.create("outbox")
        server.create("receiver")
        settings = {OUTBOX: server.settings("outbox"), RECEIVER: server.settings("receiver")}
        with opened(tmp_path, settings, has_breaker=True) as scene:
            scene.receiver("receiver", seed=1)
            workers = [scene.worker(f"worker-{number}") for number in range(WORKERS)]
            for number in range(PRODUCERS):
                scene.producer(f"producer-{number}", seed=number, rate=25.0)

            for _ in range(RESTARTS):
                restart(server, scene)
            alive = [worker.is_alive for worker in workers]
            scene.stop(Victim.PRODUCER)
            scene.until(lambda: not scene.unsent(), what="all delivered", seconds=60.0)
            scene.stop(Victim.WORKER)
            facts, errors = scene.facts(), scene.producer_errors()

    assert problems(facts) == []
    assert alive == [True] * WORKERS
    assert len(facts.made) > RESTARTS * 20
    assert errors
    assert errors <= OWN_ERRORS
