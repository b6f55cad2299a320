"""Seeds that run with the other tests; `python -m tests.simulation --seeds 20000 --jobs 2` runs more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.journal import Diverged, Journal, Suspended
from tests.simulation.world import simulate
from webhooks_core.transport.base import Response

ROOT = Path(__file__).parents[2]
QUICK_SEEDS = range(150)
MORE_SEEDS = range(1_000_000, 1_001_000)


def failures(seeds: range) -> list[str]:
    """Run *seeds* and return those that failed, with the command that replays them."""
    outcomes = (simulate(seed) for seed in seeds)
    return [
        f"{outcome.violation}: python -m tests.simulation --seed {outcome.seed} --trace"
        for outcome in outcomes
        if outcome.violation
    ]


def test_nothing_is_lost_doubled_stuck_or_out_of_order() -> None:
    """Crashes, pauses, clocks, outages, hostile receivers: each event ends, with one effect."""
    assert failures(QUICK_SEEDS) == []


@pytest.mark.slow
def test_nothing_is_lost_doubled_stuck_or_out_of_order_in_a_thousand_more() -> None:
    """The same on other seeds, so that a change is judged by more than it was written against."""
    assert failures(MORE_SEEDS) == []


def test_a_seed_replays_to_the_line() -> None:
    """The same seed has the same trace, twice in one process."""
    first, second = simulate(7, trace=True), simulate(7, trace=True)

    assert first == second
    assert len(first.trace) > 10


@pytest.mark.slow
def test_a_seed_does_not_depend_on_hashes() -> None:
    """Three interpreters with three hash seeds write the same traces."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "60", "--digest"]
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
