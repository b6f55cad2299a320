"""Where the guard's reference says in percent how often the five-minute rule ends a healthy rollout."""

from __future__ import annotations

import re
from math import comb, exp, lgamma, log
from pathlib import Path

import pytest

from rollout.criteria import Criteria

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "guard.md").read_text(encoding="utf-8")
HOURS, SUCCESS, CRITERIA = 120, 0.96, Criteria()
IN_A_ROW = CRITERIA.minutes_in_a_row
#: What the success rate of an hour may be, evenly spread, in 40 steps.
STEPS = [(step + 0.5) / 40 for step in range(40)]


def bad_minute(per_minute: float, *, needs: int, success: float) -> float:
    """The chance that a minute is bad: deliveries by Poisson, each of them well or not for itself."""
    chance = 0.0
    for sample in range(needs, int(per_minute + 10 * per_minute**0.5)):
        comes = exp(sample * log(per_minute) - per_minute - lgamma(sample + 1))
        well = sum(
            comb(sample, failed) * (1 - success) ** failed * success ** (sample - failed)
            for failed in range(sample + 1)
            if 100 * (sample - failed) >= CRITERIA.success_roll_back_percent * sample
        )
        chance += comes * (1 - well)
    return chance


def after_an_hour(runs: list[float], bad: float) -> list[float]:
    """How likely each length of the run at the end is, an hour later; the last one has rolled back."""
    for _ in range(60):
        grown = [run * bad for run in runs[:-1]]
        runs = [sum(runs[:-1]) * (1 - bad), *grown[:-1], runs[-1] + grown[-1]]
    return runs


def rolled_back(per_minute: float, *, needs: int, wave: float) -> float:
    """The chance in percent that 120 h contain so many bad minutes in a row."""
    rates = [SUCCESS - wave + 2 * wave * step for step in STEPS] if wave else [SUCCESS]
    hours = [bad_minute(per_minute, needs=needs, success=rate) for rate in rates]
    runs = [1.0] + [0.0] * IN_A_ROW
    for _ in range(HOURS):
        ways = [after_an_hour(runs, bad) for bad in hours]
        runs = [sum(way[length] for way in ways) / len(ways) for length in range(IN_A_ROW + 1)]
    return 100 * runs[-1]


def said(percent: float) -> str:
    """As the page says it: two digits, and nothing of what is below a hundred-thousandth of a percent."""
    return "0 %" if percent < 0.000_01 else f"{float(f'{percent:.2g}'):f}".rstrip("0").rstrip(".") + " %"


def test_the_chances_on_the_page_are_those_that_are_calculated() -> None:
    """Every row: deliveries a minute; `minute_needs` of 20 and 30, without waves and with them."""
    rows = re.findall(r"^\| ([0-9]+) \| (.+ %) \| (.+ %) \| (.+ %) \| (.+ %) \|$", PAGE, re.MULTILINE)

    assert [int(per_minute) for per_minute, *_ in rows] == [20, 28, 50, 100]
    for per_minute, *told in rows:
        assert told == [
            said(rolled_back(int(per_minute), needs=needs, wave=wave))
            for wave in (0.0, 0.03)
            for needs in (CRITERIA.minute_needs, 30)
        ]
