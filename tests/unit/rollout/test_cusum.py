"""The sequential test: the weights of the contract's rates, and what it takes to reach the limit."""

from __future__ import annotations

from math import log

import pytest

from rollout.criteria import Criteria
from rollout.cusum import Weights

WEIGHTS = Weights.of(Criteria())


def test_the_weights_are_the_log_likelihood_ratios() -> None:
    """A failure is 2.5 times likelier at 80 % than at 92 %, a success 0.87 times."""
    assert WEIGHTS.failure == pytest.approx(log(0.20 / 0.08))
    assert WEIGHTS.success == pytest.approx(log(0.92 / 0.80))


def test_ten_failures_are_below_the_limit_and_eleven_reach_it() -> None:
    """From nothing, in a row, with the defaults of the contract."""
    limit = Criteria().cusum_limit

    assert WEIGHTS.after(0.0, failed=10, succeeded=0) < limit
    assert WEIGHTS.after(0.0, failed=11, succeeded=0) >= limit


def test_the_sum_never_falls_below_nought() -> None:
    """A long time of health is not saved up against a fault."""
    assert WEIGHTS.after(1.0, failed=0, succeeded=1_000) == 0.0
