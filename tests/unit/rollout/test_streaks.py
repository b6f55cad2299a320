"""Failures in a row: three of a run count, a dying receiver costs three, what fails all the time counts."""

from __future__ import annotations

import pytest

from rollout.streaks import FRESH, Streak, count


def counted(*minutes: tuple[int, int], limit: int = 3) -> list[int]:
    """Return how many count in each of these minutes of (failed, succeeded)."""
    streak, found = FRESH, []
    for failed, succeeded in minutes:
        number, streak = count(streak, failed=failed, succeeded=succeeded, limit=limit)
        found.append(number)
    return found


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (((0, 9), (0, 9)), [0, 0]),
        (((3, 9), (2, 9), (3, 0)), [3, 2, 1]),
        (((10, 0), (10, 0), (10, 0)), [3, 0, 0]),
        (((1, 0), (1, 0), (1, 0), (1, 0)), [1, 1, 1, 0]),
        (((1, 0), (0, 0), (5, 0)), [1, 0, 2]),
    ],
    ids=["well", "few", "dead", "dead-slowly", "silence-between"],
)
def test_of_a_run_three_count(minutes: tuple[tuple[int, int], ...], expected: list[int]) -> None:
    """A run goes on over minutes, and over minutes without samples; up to three a minute always count."""
    assert counted(*minutes) == expected


def test_a_receiver_that_dies_in_the_middle_of_a_minute_costs_three() -> None:
    """25 arrive, then 25 do not: one run, and none of it counts again in the minutes after."""
    assert counted((1, 49), (2, 48), (25, 25), (50, 0), (50, 0)) == [1, 2, 3, 0, 0]


def test_the_minute_in_which_it_comes_back_costs_three_again() -> None:
    """A new minute with successes begins a new run; the dead minutes before it are no lasting share."""
    assert counted((0, 50), (50, 0), (50, 0), (25, 25), (0, 50)) == [0, 3, 0, 3, 0]


def test_a_share_that_fails_all_the_time_counts_in_full_from_its_third_minute() -> None:
    """One in five of fifty: two minutes are taken for runs, then all of it counts."""
    assert counted((10, 40), (10, 40), (10, 40), (10, 40)) == [3, 3, 10, 10]


def test_a_receiver_that_always_fails_a_little_does_not_hide_its_death() -> None:
    """4 % of 500 count; the half minute of its death counts no more than that share."""
    assert counted((20, 480), (20, 480), (20, 480), (250, 250), (500, 0)) == [3, 3, 20, 20, 0]


def test_the_lasting_share_is_rounded_up() -> None:
    """Of 30 where 10 of 49 failed: 6.1 makes 7."""
    assert counted((10, 39), (10, 39), (30, 1)) == [3, 3, 7]


def test_the_limit_is_the_plans() -> None:
    """With a limit of one, one of a run counts."""
    assert counted((1, 1), (5, 0), limit=1) == [1, 0]
    assert Streak(run=0, before=(0, 0), last=(0, 0)) == FRESH
