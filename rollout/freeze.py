"""The times in which nothing goes up: hours of the week, or one stretch of the calendar. UTC everywhere.

A freeze stops increases only; rolling back, holding and pausing go on as ever. No clock lives here: logic is
given `now`. Explained in docs/reference/plan.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from rollout.errors import ConfigError
from rollout.table import Table

__all__ = ["Freeze", "FrozenDates", "FrozenHours", "frozen_until", "parse_freeze"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_WEEK_SECONDS = _WEEK_MINUTES * 60
# The epoch began on a Thursday, the fourth day of a week that begins on Monday.
_EPOCH_OFFSET_SECONDS = 3 * 86_400
_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)
_HOURS_ALLOWED = 'a time of the day in UTC from "00:00" to "24:00"'
_DATES_ALLOWED = 'a moment in UTC such as "2026-12-20T00:00Z"'
# Years in which every moment can be told as a date and as seconds alike.
_FIRST_YEAR, _LAST_YEAR = 1970, 9998


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenHours:
    """Hours of certain days of the week; from 22:00 to 06:00 goes on into the next day.

    Args:
        days: Days on which it begins, such as `("fri", "sat")`; in the order of the week, each once.
        start_minute: Minute of the day at which it begins, 0 to 1439.
        end_minute: Minute of the day at which it is over, 1 to 1440; at or before the start it is that of the
            next day.

    Raises:
        ConfigError: One of them is not so.
    """

    days: tuple[str, ...]
    start_minute: int = 0
    end_minute: int = _DAY_MINUTES

    def __post_init__(self) -> None:
        wanted = tuple(self.days)
        unknown = [day for day in wanted if day not in DAYS]
        if unknown or not wanted or len(set(wanted)) != len(wanted):
            raise ConfigError("freeze.days", f"must be a list of {', '.join(DAYS)}, each at most once")
        object.__setattr__(self, "days", tuple(day for day in DAYS if day in wanted))
        if not (0 <= self.start_minute < _DAY_MINUTES and 0 < self.end_minute <= _DAY_MINUTES):
            raise ConfigError(
                "freeze.from", f"must be {_HOURS_ALLOWED}; it cannot begin at 24:00 or end at 00:00"
            )

    def until(self, now: float) -> float | None:
        """Return when the freeze that *now* lies in is over, or None. Epoch seconds."""
        length = self.end_minute - self.start_minute
        length += _DAY_MINUTES if length <= 0 else 0
        second = (now + _EPOCH_OFFSET_SECONDS) % _WEEK_SECONDS
        for day in self.days:
            begins = (DAYS.index(day) * _DAY_MINUTES + self.start_minute) * 60
            past = (second - begins) % _WEEK_SECONDS
            if past < length * 60:
                # It ends on a whole minute, and a fraction of *now* must not leave it a moment short of that.
                return float(round(now - past + length * 60))
        return None

    def as_dict(self) -> dict[str, object]:
        """Return it as a person would write it."""
        return {"days": list(self.days), "from": _clock(self.start_minute), "to": _clock(self.end_minute)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenDates:
    """One stretch of the calendar.

    Args:
        start: When it begins, epoch seconds, UTC.
        end: When it is over, after *start*.

    Raises:
        ConfigError: It ends before it begins.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ConfigError("freeze.to", "must be later than from")

    def until(self, now: float) -> float | None:
        """Return when the freeze that *now* lies in is over, or None. Epoch seconds."""
        return float(self.end) if self.start <= now < self.end else None

    def as_dict(self) -> dict[str, object]:
        """Return it as a person would write it."""
        return {"from": _moment(self.start), "to": _moment(self.end)}


Freeze: TypeAlias = FrozenHours | FrozenDates


def frozen_until(freezes: Iterable[Freeze], *, now: float) -> float | None:
    """Return when something may go up again, past every freeze that begins where another ends.

    None where *now* lies in none; of hours that never end, a moment more than a week away.
    """
    every = tuple(freezes)
    until = since = now
    # Hours come again each week: a week of nothing else is all there is to see, and a date is passed once.
    while until - since <= _WEEK_SECONDS:
        ends = [(end, freeze) for freeze in every if (end := freeze.until(until)) is not None]
        if not ends:
            return None if until == now else until
        since = max((end for end, freeze in ends if isinstance(freeze, FrozenDates)), default=since)
        until = max(end for end, _ in ends)
    return until


def parse_freeze(data: object, *, path: str) -> Freeze:
    """Turn what a person wrote into a freeze.

    Args:
        data: `{"days": ["fri"], "from": "16:00", "to": "24:00"}` (`from` and `to` may be left out: the whole
            day), or `{"from": "2026-12-20T00:00Z", "to": "2027-01-04T00:00Z"}`.
        path: Where it stands, for the message.

    Raises:
        ConfigError: It is neither.
    """
    table = Table(data, path=path, known=("days", "from", "to"))
    try:
        if "days" not in table:
            return FrozenDates(start=_seconds(table, "from"), end=_seconds(table, "to"))
        return FrozenHours(
            days=tuple(str(each) for _, each in table.items("days", most=7)),
            start_minute=_minute(table, "from") if "from" in table else 0,
            end_minute=_minute(table, "to") if "to" in table else _DAY_MINUTES,
        )
    except ConfigError as error:
        # What the values say of themselves begins with "freeze": here it is known which one.
        raise ConfigError(re.sub(r"^freeze(?=\.)", lambda _: path, error.path), error.problem) from None


def _minute(table: Table, name: str) -> int:
    text = table.text(name)
    found = _CLOCK.fullmatch(text)
    minute = int(found[1]) * 60 + int(found[2]) if found else _DAY_MINUTES + 1
    if minute > _DAY_MINUTES:
        raise ConfigError(table.path(name), f"{text[:24]!a} is not {_HOURS_ALLOWED}")
    return minute


def _seconds(table: Table, name: str) -> int:
    text = table.text(name)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() != UTC.utcoffset(None) or moment.microsecond:
        raise ConfigError(table.path(name), f"{text[:40]!a} is not {_DATES_ALLOWED}")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ConfigError(table.path(name), f"must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return int(moment.timestamp())


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
