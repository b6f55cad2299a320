"""`kill -9` of workers, producers and the receiver, again and again: nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases
from tests.crash.course import Course, run
from tests.crash.verdict import Victim

pytestmark = [pytest.mark.network, pytest.mark.slow]
CYCLES = 20


@pytest.mark.parametrize("database", databases.KINDS)
def test_nothing_is_lost_and_nothing_happens_twice(
    database: str,
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
    record_property: Callable[[str, object], None],
) -> None:
    """Twenty cycles, each with a kill; every committed event has one effect, what was rolled back none."""
    course = Course(cycles=CYCLES, seed=20_261_121, lease_seconds=2.0)

    with django_db_blocker.unblock():
        ran = run(course, database=database, folder=tmp_path)

    record_property("figures", ran.report)
    assert ran.problems == []
    assert ran.figures.kills[Victim.WORKER] == CYCLES
    assert ran.figures.kills[Victim.PRODUCER] >= 1
    assert ran.figures.kills[Victim.RECEIVER] >= 1
    assert ran.figures.hits > CYCLES / 2, "most kills must meet a worker that had claimed rows"
    assert ran.figures.events > 3 * CYCLES
