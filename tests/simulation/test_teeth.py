"""The simulation has teeth: it finds each of the bugs that somebody could write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.teeth import BUGS
from tests.simulation.world import simulate

MOST_SEEDS = 1_000
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_bug_is_found_within_a_thousand_seeds(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """How many seeds it took is printed (`-s`) and kept with the test's report."""
    with BUGS[name]():
        found = next((outcome for seed in range(MOST_SEEDS) if (outcome := simulate(seed)).violation), None)

    assert found is not None, f"{name}: not found in {MOST_SEEDS} seeds"
    record_property("seeds", found.seed + 1)
    print(f"\n{name}: after {found.seed + 1} seeds: {found.violation}")


def test_there_are_at_least_twenty_bugs_and_none_of_them_stays() -> None:
    """A patch that was left behind would make every other test here worthless."""
    for name in BUGS:
        with BUGS[name]():
            pass

    assert len(BUGS) >= 20
    assert [outcome.violation for seed in range(20) if (outcome := simulate(seed)).violation] == []
