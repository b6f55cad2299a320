"""The guard's reference has every threshold with its default, every column, every measure."""

from __future__ import annotations

import re
from pathlib import Path

from rollout.counters import COLUMNS
from rollout.criteria import LEAVABLE, Criteria
from rollout.guard import SOURCES, judge
from rollout.testing.worlds import CATALOGUE
from tests.guarding import BEGIN, WELL, row, seen

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "guard.md").read_text(encoding="utf-8")


def test_every_threshold_has_its_row_with_its_default() -> None:
    """In the order of the class."""
    rows = dict(re.findall(r"^\| `([a-z_0-9]+)` \| ([0-9.]+|none) \|", PAGE, re.MULTILINE))

    assert rows == {
        name: "none" if name == "leave_out" else str(value) for name, value in Criteria().as_dict().items()
    }


def test_every_column_is_named() -> None:
    """Buckets by their first and last."""
    buckets = ("latency_", "dispatch_")
    wanted = {name for name in COLUMNS if not name.startswith(buckets)}

    assert {name for name in wanted if f"`{name}`" not in PAGE} == set()
    assert all(f"`{name}`" in PAGE for name in ("latency_00", "latency_95", "dispatch_00", "dispatch_13"))


def test_every_measure_has_its_row() -> None:
    """Those of a stage that sends, in order, and those of a shadow stage."""
    evidence = seen([row(0, WELL)], minutes=1)
    sends = [one.measure for one in judge(Criteria(), evidence, BEGIN + 60).readings]
    shadow = [one.measure for one in judge(Criteria(), evidence, BEGIN + 60, is_shadow=True).readings]

    rows = re.findall(r"^\| `([a-z_0-9]+)` \|", PAGE.partition("## Thresholds")[0], re.MULTILINE)

    assert rows == [*sends, "envelopes"]
    assert set(shadow) <= set(rows)


def test_sources_and_what_may_be_left_out_are_named() -> None:
    """Each by its word."""
    assert {name for name in (*SOURCES, *LEAVABLE) if f"`{name}`" not in PAGE} == set()


def test_the_worlds_on_the_page_are_those_of_the_catalogue() -> None:
    """A kind that came or went shows: run `python -m tests.worlds --worlds 10000` and paste its table."""
    rows = re.findall(r"^\| ([a-z][^|]+) \| [0-9]+ \| [0-9.]+ % \|", PAGE, re.MULTILINE)

    assert rows == [kind.world.name for kind in CATALOGUE]
