"""Freezes: hours of the week over midnight and over Sunday, and stretches of the calendar; UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rollout.duration import seconds_of, spoken, text_of
from rollout.errors import ConfigError
from rollout.freeze import FrozenDates, FrozenHours, frozen_until, parse_freeze
from rollout.table import Table


def at(text: str) -> float:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


# 2026-11-20 is a Friday.
@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-20T15:59:59", None),
        ("2026-11-20T16:00:00", "2026-11-21T00:00:00"),
        ("2026-11-20T23:59:59", "2026-11-21T00:00:00"),
        ("2026-11-21T00:00:00", None),
        ("2026-11-27T16:00:00", "2026-11-28T00:00:00"),
    ],
)
def test_hours_of_a_day(now: str, until: str | None) -> None:
    """The first second is in, the last one is not, and it comes again each week."""
    freeze = FrozenHours(days=("fri",), start_minute=16 * 60)

    assert freeze.until(at(now)) == (None if until is None else at(until))


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-22T21:59:59", None),
        ("2026-11-22T22:00:00", "2026-11-23T06:00:00"),
        ("2026-11-23T05:59:59", "2026-11-23T06:00:00"),
        ("2026-11-23T06:00:00", None),
    ],
)
def test_hours_over_midnight_belong_to_the_day_on_which_they_begin(now: str, until: str | None) -> None:
    """From Sunday 22:00 to Monday 06:00, over the end of the week."""
    freeze = parse_freeze({"days": ["sun"], "from": "22:00", "to": "06:00"}, path="freeze[0]")

    assert freeze.until(at(now)) == (None if until is None else at(until))


def test_dates_begin_and_end_to_the_second() -> None:
    """The beginning is in, the end is not."""
    freeze = parse_freeze({"from": "2026-12-20T00:00Z", "to": "2027-01-04T00:00Z"}, path="freeze[0]")
    begins, ends = at("2026-12-20T00:00:00"), at("2027-01-04T00:00:00")

    assert [freeze.until(begins - 1), freeze.until(begins), freeze.until(ends - 1), freeze.until(ends)] == [
        *(None, ends),
        *(ends, None),
    ]


def test_of_several_the_longest_counts() -> None:
    """While one of them is on nothing goes up."""
    freezes = (FrozenDates(start=0, end=10), FrozenDates(start=0, end=20), FrozenDates(start=30, end=40))

    assert [frozen_until(freezes, now=now) for now in (5.0, 15.0, 25.0)] == [20.0, 20.0, None]


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-20T15:59:59", "2026-11-23T06:00:00"),
        ("2026-11-21T12:00:00.123456", "2026-11-23T06:00:00"),
        ("2026-11-23T06:00:00", None),
        ("2026-12-10T00:00:00", "2026-12-21T06:00:00"),
    ],
    ids=["friday", "saturday-and-a-bit", "over", "dates-into-hours"],
)
def test_a_freeze_is_over_where_no_other_begins(now: str, until: str | None) -> None:
    """The end of Friday is not the end of a frozen weekend, nor that of a stretch of the calendar."""
    freezes = (
        FrozenHours(days=("fri", "sat", "sun")),
        FrozenHours(days=("sun",), start_minute=22 * 60, end_minute=6 * 60),
        FrozenDates(start=int(at("2026-12-09T00:00:00")), end=int(at("2026-12-18T00:00:00"))),
    )

    found = frozen_until(freezes, now=at(now))

    assert found == (None if until is None else at(until))


def test_hours_that_never_end_are_followed_for_a_week_and_no_longer() -> None:
    """Beside a date that lies a lifetime away, too."""
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    now = at("2026-11-20T12:00:00")
    far = FrozenDates(start=int(at("2026-11-24T00:00:00")), end=int(at("2096-01-01T00:00:00")))

    always = frozen_until((FrozenHours(days=days),), now=now)
    beside = frozen_until((FrozenHours(days=days), far), now=now)

    assert always == at("2026-11-28T00:00:00")
    assert beside == at("2096-01-09T00:00:00")


def test_freezes_are_written_as_they_are_read() -> None:
    """A round trip, in the order of the week."""
    hours = FrozenHours(days=("sun", "fri"), start_minute=90, end_minute=1_440)
    dates = FrozenDates(start=0, end=60)

    assert hours.as_dict() == {"days": ["fri", "sun"], "from": "01:30", "to": "24:00"}
    assert parse_freeze(hours.as_dict(), path="x") == hours
    assert parse_freeze(dates.as_dict(), path="x") == dates


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), ("24h", 86_400), ("2d", 172_800), (90, 90), ("0s", 0)]
)
def test_lengths_of_time_are_read(text: object, seconds: int) -> None:
    """Text with a unit, or whole seconds; and back."""
    assert seconds_of(text, path="bake") == seconds
    assert seconds_of(text_of(seconds), path="bake") == seconds


@pytest.mark.parametrize("value", ["", "h", "1.5h", "1 h", "-1s", "٣h", "1w", 1.5, True, None, -1])
def test_what_is_no_length_of_time_is_refused(value: object) -> None:
    """With what is allowed."""
    with pytest.raises(ConfigError, match='"24h"'):
        seconds_of(value, path="bake")


def test_lengths_of_time_are_spoken() -> None:
    """By the two largest units."""
    assert [spoken(each) for each in (0, 59.9, 60, 3_599, 3_600, 11_520)] == [
        *("0 s", "59 s", "1 min 0 s"),
        *("59 min 59 s", "1 h 0 min", "3 h 12 min"),
    ]


def test_a_table_is_strict() -> None:
    """Whole numbers, numbers, texts and booleans are what they say; what is missing is said."""
    table = Table({"a": 1, "b": True, "c": 1.5, "d": "x"}, path="t", known=("a", "b", "c", "d", "e"))

    assert (table.whole("a"), table.boolean("b"), table.number("c"), table.text("d")) == (1, True, 1.5, "x")
    assert list(table) == ["a", "b", "c", "d"]
    assert table.boolean("e", default=True) is True
    assert list(table.items("e", most=1)) == []
    for read, name in ((table.whole, "b"), (table.whole, "c"), (table.number, "b"), (table.text, "a")):
        with pytest.raises(ConfigError, match=f"t.{name}: must be"):
            read(name)
    with pytest.raises(ConfigError, match=r"t\.e: is missing"):
        table.boolean("e")
