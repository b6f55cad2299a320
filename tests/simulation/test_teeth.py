"""The simulation has teeth: it finds each of the bugs that somebody could write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.running import Runner
from tests.simulation.teeth import BUGS, Bug
from tests.simulation.teeth_orm import ORM_BUGS

MOST_SEEDS = 1_000
#: Bugs that it takes many seeds to find, and one that does: tried first, since it is one of the thousand.
LATE = {"a resend is as old as its event": 905, "two rows of a key wait for each other": 446}
pytestmark = pytest.mark.slow


def found_by(run: Runner, name: str, bug: Bug) -> str:
    """Return which of the thousand seeds finds *bug*, and as what; nothing where none does."""
    seeds = [LATE[name], *range(MOST_SEEDS)] if name in LATE else range(MOST_SEEDS)
    with bug():
        found = next((outcome for seed in seeds if (outcome := run(seed)).violation), None)
    return "" if found is None else f"by seed {found.seed}: {found.violation}"


@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_bug_is_found_within_a_thousand_seeds(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """By which is printed (`-s`) and kept with the test's report."""
    found = found_by(Runner("memory"), name, BUGS[name])

    assert found, f"{name}: not found in {MOST_SEEDS} seeds"
    record_property("found", found)
    print(f"\n{name}: {found}")


@pytest.mark.parametrize("name", sorted(ORM_BUGS))
def test_a_bug_on_a_database_is_found_within_a_thousand_seeds(
    run_over_orm: Runner, name: str, record_property: Callable[[str, object], None]
) -> None:
    """The same over the ORM: most of these are in a statement of SQL."""
    found = found_by(run_over_orm, name, ORM_BUGS[name])

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
