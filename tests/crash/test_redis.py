"""Breakers are kept in a Redis that is killed and comes back empty: the workers do not stand still."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.crash.scene import Scene, scene
from tests.crash.verdict import Victim, problems
from tests.redis_server import own_server

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.redis]


def goes_on(played: Scene, what: str) -> None:
    """Wait for deliveries that were made from now on."""
    before = played.effects()
    played.until(lambda: played.effects() > before + 20, what=f"deliveries {what}")


def test_workers_go_on_without_redis_and_with_an_empty_one(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """Before, during and after an outage, with the same processes; a dead receiver opens the breaker."""
    with (
        django_db_blocker.unblock(),
        own_server() as server,
        scene("sqlite", tmp_path, redis=server.url, has_breaker=True) as played,
    ):
        receiver = played.receiver("receiver", seed=1)
        workers = [played.worker(f"worker-{number}") for number in range(2)]
        played.producer("producer", seed=1, rate=40.0)

        goes_on(played, "with Redis")
        server.kill()
        goes_on(played, "without Redis")
        server.start()
        played.kill(receiver)
        played.receiver("receiver-2", seed=2)
        goes_on(played, "with an empty Redis")
        alive = [worker.is_alive for worker in workers]
        played.stop(Victim.PRODUCER)
        played.until(lambda: not played.unsent(), what="all delivered")
        played.stop(Victim.WORKER)
        facts = played.facts()

    assert problems(facts) == []
    assert alive == [True, True]
