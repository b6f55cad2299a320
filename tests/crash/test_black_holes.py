"""A connection that swallows what it is given, or breaks in the middle: noticed, and made good by itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.crash.scene import OUTBOX, Actor, Scene, free_port, scene
from tests.crash.verdict import Victim, figures, problems
from tests.fault_proxy import FaultProxy, Side, fault_proxy

pytestmark = [pytest.mark.network, pytest.mark.slow]
NOTICED_SECONDS = 30

Fault = Callable[[FaultProxy], None]


@pytest.mark.postgres
def test_a_worker_whose_database_says_nothing_is_replaced_and_comes_back(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """Another worker takes its rows over; it notices within 30 s, and works again once it is answered."""
    with django_db_blocker.unblock(), scene("postgres", tmp_path) as played:
        outbox = played.settings[OUTBOX]
        with fault_proxy(int(outbox["PORT"])) as proxy:
            played.receiver("receiver", seed=1)
            holed = played.worker("holed", outbox={**outbox, "PORT": str(proxy.port)})
            played.producer("producer", seed=1, rate=40.0)
            played.until(lambda: "holed" in played.claimed(), what="rows of the worker")

            proxy.silent = True
            other = played.worker("other")
            played.until(lambda: "other" in played.claimed(), what="rows of the other worker")
            time.sleep(1.0)
            played.stop(Victim.PRODUCER)
            played.until(lambda: not played.unsent(), what="all delivered by the other worker")
            played.until(lambda: seconds_stuck(holed) > 0, what="the worker to notice", seconds=60.0)
            proxy.heal()
            played.kill(other)
            before = played.effects()
            played.producer("late", seed=2, rate=40.0)
            played.until(lambda: played.effects() > before + 10, what="work of the worker that was stuck")

            played.stop(Victim.PRODUCER)
            played.until(lambda: not played.unsent(), what="all delivered")
            played.stop(Victim.WORKER)
            facts = played.facts()

    assert problems(facts) == []
    assert seconds_stuck(holed) <= NOTICED_SECONDS


def seconds_stuck(worker: Actor) -> int:
    """How long the worker says that it had waited when it noticed; 0 where it has not said so."""
    found = re.search(r"outbox stuck: operation=\w+, seconds=(\d+)", worker.output.read_text())
    return 0 if found is None else int(found[1])


def swallow(proxy: FaultProxy) -> None:
    """A black hole: what is sent never arrives, and nobody says so."""
    proxy.silent = True


def lose_answers(proxy: FaultProxy) -> None:
    """Half open: what is sent arrives, and the answer never does."""
    proxy.loses_answers = True


def cut_requests(proxy: FaultProxy) -> None:
    """A reset in the middle of the body that is sent."""
    proxy.cuts = Side.REQUEST


def cut_answers(proxy: FaultProxy) -> None:
    """A reset in the middle of the body that is answered."""
    proxy.cuts = Side.ANSWER


@pytest.mark.parametrize(
    ("fault", "outcome", "was_handled"),
    [
        (swallow, "timeout", False),
        (lose_answers, "timeout", True),
        (cut_requests, "connection_error", False),
        (cut_answers, "connection_error", True),
    ],
    ids=["black-hole", "lost-answers", "cut-request", "cut-answer"],
)
def test_an_attempt_that_meets_a_broken_line_is_made_again(
    fault: Fault, outcome: str, was_handled: bool, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """Whether the receiver had acted or not: one effect each, and nothing is left behind."""
    port = free_port()
    with (
        django_db_blocker.unblock(),
        fault_proxy(port) as proxy,
        scene("sqlite", tmp_path, port=port, send_to=proxy.port) as played,
    ):
        played.receiver("receiver", seed=1)
        played.worker("worker")
        played.producer("producer", seed=1, rate=40.0)
        played.until(lambda: played.effects() > 10, what="deliveries")

        fault(proxy)
        played.until(lambda: met(played, outcome) > 3, what=f"attempts that end in {outcome}")
        proxy.heal()
        played.stop(Victim.PRODUCER)
        played.until(lambda: not played.unsent(), what="all delivered")
        played.stop(Victim.WORKER)
        facts = played.facts()

    assert problems(facts) == []
    assert figures(facts).known > 0 or not was_handled


def met(played: Scene, outcome: str) -> int:
    """How many attempts ended so."""
    ((count,),) = played.ask("SELECT count(*) FROM webhooks_attempt WHERE outcome = %s", outcome)
    return int(count)
