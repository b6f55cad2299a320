"""Chance that can be repeated and is cheap: counts of a Poisson stream from a table, times of arrival.

The invariant: the same seed gives the same world, on every machine and Python version. That is why nothing
here asks `random` for more than `random()`, whose sequence is promised.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from functools import lru_cache
from math import exp, log

__all__ = ["Chance"]

_MOST = 700  # beyond it exp(-mean) is no number any more


class Chance:
    """A stream of chance, begun by *seed*."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)  # noqa: S311 (a simulation, not a secret)
        self.share = self._random.random

    def count(self, mean: float) -> int:
        """Return how many events there are where *mean* are expected (Poisson; 0 to 700)."""
        return bisect_right(_sums(mean), self.share()) if mean > 0 else 0

    def wait(self, rate: float) -> float:
        """Return the time to the next event of a stream with *rate* events per unit of time."""
        return -log(1.0 - self.share()) / rate

    def happens(self, probability: float) -> bool:
        """Return true with this probability."""
        return self.share() < probability

    def between(self, low: float, high: float) -> float:
        """Return a number between *low* and *high*, each as likely."""
        return low + (high - low) * self.share()


@lru_cache(maxsize=512)
def _sums(mean: float) -> tuple[float, ...]:
    """Return P(X <= k) for k = 0, 1, … until nothing is left."""
    if mean > _MOST:
        raise ValueError(f"a mean above {_MOST} is not supported")
    term = total = exp(-mean)
    sums = [total]
    while total < 1.0 - 1e-15 and (term > 1e-300 or len(sums) < mean):
        term *= mean / len(sums)
        total += term
        sums.append(total)
    return tuple(sums)
