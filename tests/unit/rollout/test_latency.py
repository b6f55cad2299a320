"""Buckets: their edges never change, the contract's thresholds are edges, and what is between holds."""

from __future__ import annotations

import hashlib

import pytest

from rollout.latency import DISPATCH, LATENCY, Buckets, microseconds, rank

SMALL = Buckets(prefix="t", edges=(10, 20, 40))


def test_the_edges_never_change() -> None:
    """Rows are in databases: an edge that moves gives them another meaning."""
    digest = hashlib.sha256(repr((LATENCY.edges, DISPATCH.edges)).encode()).hexdigest()

    assert digest[:16] == "55c3f681a2080a72"
    assert (len(LATENCY.columns), len(DISPATCH.columns)) == (96, 14)


@pytest.mark.parametrize("edge", [500_000, 2_000_000, 5_000_001])
def test_the_thresholds_of_the_contract_are_edges_of_the_latency(edge: int) -> None:
    """Below 500 ms, below 2 s and above 5 s are decided by counting."""
    assert edge in LATENCY.edges


@pytest.mark.parametrize("edge", [5_000, 50_001])
def test_the_thresholds_of_the_contract_are_edges_of_the_dispatch_time(edge: int) -> None:
    """Below 5 ms and above 50 ms are decided by counting."""
    assert edge in DISPATCH.edges


def test_latency_buckets_grow_by_a_tenth() -> None:
    """No bucket between 10 ms and 64 s is wider than 10 % of its beginning (rounding aside)."""
    steps = [high / low for low, high in zip(LATENCY.edges, LATENCY.edges[1:], strict=False)]

    assert max(steps) < 1.1002
    assert LATENCY.edges[0] < 10_100
    assert LATENCY.edges[-1] > 64_000_000


@pytest.mark.parametrize(
    ("seconds", "column"),
    [
        (0.0, "t_00"),
        (9e-6, "t_00"),
        (10e-6, "t_01"),
        (19e-6, "t_01"),
        (40e-6, "t_03"),
        (9.0, "t_03"),
        (-1.0, "t_00"),
    ],
)
def test_a_bucket_begins_with_its_edge(seconds: float, column: str) -> None:
    """An edge belongs to the bucket above it; a time below 0 counts as 0."""
    assert SMALL.column(seconds) == column


def test_seconds_are_rounded_to_microseconds() -> None:
    """Half a microsecond less is the same."""
    assert microseconds(0.0000104) == 10


@pytest.mark.parametrize(
    ("sample", "percent", "place"), [(20, 95, 19), (21, 95, 20), (1, 95, 1), (20, 50, 10), (3, 50, 2)]
)
def test_the_rank_is_the_first_that_has_the_share_at_or_below_it(
    sample: int, percent: int, place: int
) -> None:
    """The nearest rank, rounded up."""
    assert rank(sample, percent) == place


def test_p95_is_below_a_line_where_enough_lie_below_it() -> None:
    """19 of 20 below are enough, 18 of 20 are not, none of none are not."""
    good, bad = {"t_01": 19, "t_02": 1}, {"t_01": 18, "t_02": 2}

    assert SMALL.is_below(good, 20, percent=95)
    assert not SMALL.is_below(bad, 20, percent=95)
    assert not SMALL.is_below({}, 20, percent=95)


def test_p95_is_above_a_line_where_too_many_lie_above_it() -> None:
    """2 of 20 above are enough, 1 of 20 is not, none of none are not."""
    bad, good = {"t_01": 18, "t_02": 2}, {"t_01": 19, "t_02": 1}

    assert SMALL.is_above(bad, 19, percent=95)
    assert not SMALL.is_above(good, 19, percent=95)
    assert not SMALL.is_above({}, 19, percent=95)


def test_a_bucket_that_holds_the_line_speaks_for_neither_side() -> None:
    """With a line inside a bucket, what lies in that bucket is surely neither below nor above."""
    counts = {"t_01": 1, "t_02": 1, "t_03": 1}

    assert (SMALL.below(counts, 30), SMALL.above(counts, 30)) == (1, 1)
    assert (SMALL.below(counts, 99), SMALL.above(counts, 99)) == (2, 0)


def test_a_quantile_is_shown_as_the_end_of_its_bucket() -> None:
    """At most one bucket too high; the last bucket has no end and shows its beginning."""
    assert SMALL.quantile({"t_01": 10, "t_02": 10}, 50) == 20e-6
    assert SMALL.quantile({"t_01": 10, "t_03": 10}, 95) == 40e-6
    assert SMALL.quantile({}, 50) is None
