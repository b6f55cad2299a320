"""The simulation has teeth: it finds each of the bugs that somebody could write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.running import Runner
from tests.simulation.teeth import BUGS, Bug
from tests.simulation.teeth_orm import ORM_BUGS

MOST_SEEDS = 1_000
pytestmark = pytest.mark.slow


def found_after(run: Runner, bug: Bug) -> str:
    """Return after how many seeds *bug* is found, and as what; nothing where it is not."""
    with bug():
        found = next((outcome for seed in range(MOST_SEEDS) if (outcome := run(seed)).violation), None)
    return "" if found is None else f"after {found.seed + 1} seeds: {found.violation}"


@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_bug_is_found_within_a_thousand_seeds(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """How many seeds it took is printed (`-s`) and kept with the test's report."""
    found = found_after(Runner("memory"), BUGS[name])

    assert found, f"{name}: not found in {MOST_SEEDS} seeds"
    record_property("found", found)
    print(f"\n{name}: {found}")


@pytest.mark.parametrize("name", sorted(ORM_BUGS))
def test_a_bug_on_a_database_is_found_within_a_thousand_seeds(
    run_over_orm: Runner, name: str, record_property: Callable[[str, object], None]
) -> None:
    """The same over the ORM: most of these are in a statement of SQL."""
    found = found_after(run_over_orm, ORM_BUGS[name])

    assert found, f"{name}: not found in {MOST_SEEDS} seeds"
    record_property("found", found)
    print(f"\n{name}: {found}")


def test_there_are_at_least_twenty_bugs_and_none_of_them_stays(run_over_orm: Runner) -> None:
    """A patch that was left behind would make every other test here worthless."""
    for bug in (*BUGS.values(), *ORM_BUGS.values()):
        with bug():
            pass

    assert len(BUGS) >= 20
    assert len(ORM_BUGS) >= 12
    for run in (Runner("memory"), run_over_orm):
        assert [outcome.violation for seed in range(20) if (outcome := run(seed)).violation] == []
