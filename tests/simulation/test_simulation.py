"""Seeds that run with the other tests; `python3 dev.py check` runs 20,000, and 1,000 over the ORM."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from django.db import OperationalError

from tests.simulation import database
from tests.simulation.journal import Diverged, Journal, Suspended
from tests.simulation.running import Runner
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.endpoint import DEFAULT_ID
from webhooks_core.settlement import Delivery
from webhooks_core.transport.base import Response

ROOT = Path(__file__).parents[2]
SEEDS = {"memory": range(1_000_000, 1_000_150), "orm": range(1_000_000, 1_000_040)}


def failures(run: Runner, seeds: range) -> list[str]:
    """Run *seeds* and return those that failed, with the command that replays them."""
    outcomes = (run(seed) for seed in seeds)
    return [f"{outcome.violation}: {run.replay(outcome.seed)}" for outcome in outcomes if outcome.violation]


def test_nothing_is_lost_doubled_stuck_or_out_of_order(run: Runner) -> None:
    """Crashes, pauses, clocks, outages, hostile receivers: each event ends, with one effect."""
    assert failures(run, SEEDS[run.store]) == []


def test_a_seed_replays_to_the_line(run: Runner) -> None:
    """The same seed has the same trace, twice in one process."""
    first, second = run(7, trace=True), run(7, trace=True)

    assert first == second
    assert len(first.trace) > 10


@pytest.mark.slow
@pytest.mark.parametrize(("store", "seeds"), [("memory", "60"), ("orm", "10")])
def test_a_seed_does_not_depend_on_hashes(store: str, seeds: str) -> None:
    """Three interpreters with three hash seeds write the same traces."""
    command = [sys.executable, "-m", "tests.simulation", "--store", store, "--seeds", seeds, "--digest"]
    digests = {
        subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "4711")
    }

    assert len(digests) == 1


@pytest.mark.parametrize("place", range(9))
@pytest.mark.parametrize(
    "strike", [database.locked, database.deadlocked, database.cut], ids=["locked", "deadlocked", "cut"]
)
def test_what_was_struck_was_written_whole_or_not_at_all(
    run_over_orm: Runner, strike: Callable[[], NoReturn], place: int
) -> None:
    """The trouble is real: the transaction is rolled back, and the next call opens what was cut."""
    run_over_orm(0)
    outbox = DjangoOutbox(environment="struck", using=database.ALIAS)
    webhook_id = f"{strike.__name__}-{place}"
    outbox.add(Delivery(webhook_id=webhook_id, event="tested", body=b"{}", created_at=1.0))
    told = None

    with suppress(OperationalError), database.Wire.armed(strike, place):
        told = outbox.claim(worker="w", limit=1, lease_seconds=15.0, endpoints={DEFAULT_ID: 1})

    row = outbox.find(webhook_id)
    assert row is not None
    assert row.state == ("pending" if told is None else "claimed")


def test_a_suspended_attempt_gets_the_same_answers_again() -> None:
    """What was asked in the first run is not asked of the world a second time; what comes after it is."""
    asked = []
    journal = Journal()
    journal.ask("clock", lambda: asked.append(1) or 10.0)
    with pytest.raises(Suspended):
        journal.send(None)  # type: ignore[arg-type]
    journal.again(Response(status=200))

    again = journal.ask("clock", lambda: asked.append(2) or 20.0)
    answer = journal.send(None)  # type: ignore[arg-type]
    later = journal.ask("clock", lambda: asked.append(3) or 30.0)

    assert (again, answer.status, later, asked) == (10.0, 200, 30.0, [1, 3])


def test_an_attempt_that_asks_differently_is_told() -> None:
    """A second run that takes another way would be no replay."""
    journal = Journal()
    journal.ask("clock", lambda: 1.0)
    journal.again(Response(status=200))

    with pytest.raises(Diverged):
        journal.ask("rng", lambda: 1.0)
