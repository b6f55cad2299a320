"""Times as counts in buckets: log-spaced, mergeable by addition, and exact at the contract's thresholds.

Two scales: what a delivered delivery took, and what `dispatch` added to its caller. Invariants: the edges are
whole microseconds and never change, since rows written before would mean something else; each threshold of
the contract §10 is an edge, so that "p95 below 2 s" is decided by counting. Where a team's own threshold lies
inside a bucket, that bucket speaks for holding: never for going on, never for rolling back. Explained in
docs/explanation/guard.md.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

__all__ = ["DISPATCH", "LATENCY", "Buckets", "Counted", "microseconds", "rank"]

_MICROSECONDS = 1_000_000
# DESIGN §5: ×1.1, so that a quantile is shown at most 10 % too high. Anchored at 500 ms, from 10 ms to 65 s.
_STEP = 1.1
_STEPS_DOWN, _STEPS_UP = 41, 51


class Counted(Protocol):
    """Counts by column; a dictionary is one. Columns that it does not have are 0."""

    def items(self) -> Iterable[tuple[str, int]]:
        """Return the columns that were counted, with their counts."""
        ...


def microseconds(seconds: float) -> int:
    """Return *seconds* in whole microseconds; below 0 (a clock that was set) is 0."""
    return max(0, round(seconds * _MICROSECONDS))


def rank(sample: int, percent: int) -> int:
    """Return which of *sample* values in order is the quantile: the first with *percent* at or below it."""
    return -(-sample * percent // 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """One scale: bucket *i* counts from `edges[i - 1]`, included, to `edges[i]`, not included.

    Args:
        prefix: Begins the names of its columns.
        edges: Microseconds, rising. The first bucket begins at 0, the last has no end.
    """

    prefix: str
    edges: tuple[int, ...]
    columns: tuple[str, ...] = field(init=False)
    #: Column → its place among the buckets.
    places: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns = tuple(f"{self.prefix}_{number:02}" for number in range(len(self.edges) + 1))
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "places", {column: place for place, column in enumerate(columns)})

    def column(self, seconds: float) -> str:
        """Return the column in which *seconds* counts."""
        return self.columns[bisect_right(self.edges, microseconds(seconds))]

    def total(self, counts: Counted) -> int:
        """Return how many values were counted."""
        places = self.places
        return sum([count for column, count in counts.items() if column in places])

    def below(self, counts: Counted, limit: int) -> int:
        """Return how many values are surely below *limit* microseconds."""
        places, end = self.places, bisect_right(self.edges, limit)
        return sum([count for column, count in counts.items() if places.get(column, end) < end])

    def above(self, counts: Counted, limit: int) -> int:
        """Return how many values are surely above *limit* microseconds."""
        places, last = self.places, bisect_right(self.edges, limit)
        return sum([count for column, count in counts.items() if places.get(column, -1) > last])

    def is_below(self, counts: Counted, limit: int, *, percent: int) -> bool:
        """Return whether the quantile is surely below *limit* microseconds; without values it is not."""
        total = self.total(counts)
        return total > 0 and self.below(counts, limit) >= rank(total, percent)

    def is_above(self, counts: Counted, limit: int, *, percent: int) -> bool:
        """Return whether the quantile is surely above *limit* microseconds; without values it is not."""
        total = self.total(counts)
        return total - self.above(counts, limit) < rank(total, percent)

    def quantile(self, counts: Counted, percent: int) -> float | None:
        """Return the quantile in seconds, at most one bucket too high; None without values.

        In the last bucket, which has no end, it is the bucket's beginning.
        """
        known = dict(counts.items())
        sums = list(accumulate(known.get(column, 0) for column in self.columns))
        if not sums[-1]:
            return None
        place = next(place for place, total in enumerate(sums) if total >= rank(sums[-1], percent))
        return self.edges[min(place, len(self.edges) - 1)] / _MICROSECONDS


def _latency_edges() -> tuple[int, ...]:
    grid = (round(500_000 * _STEP**step) for step in range(-_STEPS_DOWN, _STEPS_UP + 1))
    # Contract §10: p50 < 500 ms, p95 < 2 s, p95 > 5 s; "above" begins one microsecond after.
    return tuple(sorted({*grid, 2_000_000, 5_000_001}))


LATENCY = Buckets(prefix="latency", edges=_latency_edges())
# Contract §10: < 5 ms, > 50 ms. The rest is for a person who asks how much.
DISPATCH = Buckets(
    prefix="dispatch",
    edges=(100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_001, 100_000, 200_000, 500_000, 1_000_000),
)
