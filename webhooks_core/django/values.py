"""What a setting may say: readers of one value each, and `Reading`, which gathers what is wrong.

No Django and no environment in here: `conf.py` brings the values. Both apps read by these rules.
Invariants: no text of a problem repeats a value (it may be a secret), it names the setting, the value's
type and what is allowed; no value of any type makes `Reading` raise. The settings are listed in
docs/reference/settings.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

T = TypeVar("T")
D = TypeVar("D")

ON_WORDS = frozenset({"true", "1", "yes", "on"})  # contract §1
OFF_WORDS = frozenset({"false", "0", "no", "off", ""})  # empty is off
SWITCH_ALLOWED = "must be True or False, or one of the words true, 1, yes, on, false, 0, no, off"
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?\Z")
_COUNT = re.compile(r"[0-9]{1,9}\Z")
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+\Z")
_SHOWN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


class BadValue(Exception):
    """A value that is not allowed; the text says what is, and never what the value was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One bad value: a stable id, the setting's name, the type of what was found, and what is allowed."""

    id: str
    setting: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.setting} ({self.found}): {self.allowed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A value where it was found: the id of the problem it may become, the setting, the value itself."""

    id: str
    setting: str
    raw: object = field(repr=False)


class Reading:
    """Gather problems while settings are read; a bad value never stops the reading."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, spot: Spot, allowed: str) -> None:
        """Note that what was found at *spot* is not what is *allowed*."""
        self.problems.append(Problem(id=spot.id, setting=spot.setting, found=kind(spot.raw), allowed=allowed))

    def value(self, spot: Spot, read: Callable[[object], T], *, default: D) -> T | D:
        """Return what *read* makes of the value at *spot*; *default* where it is unset (None) or bad."""
        if spot.raw is None:
            return default
        try:
            return read(spot.raw)
        except BadValue as error:
            self.add(spot, str(error))
        except Exception as error:  # noqa: BLE001 - a hostile value becomes a problem, never a crash
            self.add(spot, f"could not be read ({type(error).__name__})")
        return default

    def table(self, spot: Spot, known: Iterable[str]) -> dict[str, object]:
        """Return the *known* keys of a dictionary; any other key is a problem that names the nearest one."""
        known = tuple(known)
        nothing: list[tuple[object, object]] = []
        items = self.value(spot, _items, default=nothing)
        for key, _ in items:
            if key not in known:
                place = f"{spot.setting}[{shown(key)}]"
                self.add(Spot(id=spot.id, setting=place, raw=key), unknown_key(key, known))
        return {key: value for key, value in items if isinstance(key, str) and key in known}


def _items(raw: object) -> list[tuple[object, object]]:
    if not isinstance(raw, Mapping):
        raise BadValue("must be a dictionary")
    return list(raw.items())


def kind(raw: object) -> str:
    """Name the type of a value, for a message."""
    return "unset" if raw is None else type(raw).__name__


def shown(key: object) -> str:
    """Return a dictionary key as it may stand in a message."""
    return f'"{key}"' if isinstance(key, str) and _SHOWN_NAME.match(key) else "?"


def unknown_key(key: object, known: Iterable[str]) -> str:
    """Say that *key* is not known, and which known one is nearest."""
    known = tuple(known)
    near = nearest(key, known)
    return f'is not known; did you mean "{near}"?' if near else f"is not known; known are {', '.join(known)}"


def nearest(name: object, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known name that *name* was probably meant to be, if any comes near."""
    from difflib import get_close_matches  # only a misspelling pays for it

    if not isinstance(name, str):
        return None
    upper = {word.upper(): word for word in known}
    found = get_close_matches(name[:64].upper(), upper, n=1, cutoff=cutoff)
    return upper[found[0]] if found else None


def clean(text: str) -> str:
    """Strip white space, line ends and one kind of surrounding quotes, which env files leave on values."""
    return text.strip().strip("\"'").strip()


def switch(raw: object) -> bool:
    """Read a switch.

    Raises:
        BadValue: Neither a bool nor one of the words. Whoever asks takes that for *off*.
    """
    if raw is True or raw is False:
        return raw
    if type(raw) is int and raw in (0, 1):
        return raw == 1
    if isinstance(raw, str):
        word = clean(raw).lower()
        if word in ON_WORDS:
            return True
        if word in OFF_WORDS:
            return False
    raise BadValue(SWITCH_ALLOWED)


def number(
    *, above: float | None = None, at_least: float | None = None, at_most: float = math.inf
) -> Callable[[object], float]:
    """Return a reader of a finite number (also a decimal, or text of digits) within bounds."""
    low = above if above is not None else at_least if at_least is not None else -math.inf
    words = f"must be a number {'above' if above is not None else 'of at least'} {low:g}"
    allowed = words if at_most == math.inf else f"{words} and at most {at_most:g}"

    def read(raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, (int, float, Decimal, str)):
            raise BadValue(allowed)
        if isinstance(raw, str) and not _NUMBER.match(raw):
            raise BadValue(allowed)
        try:
            value = float(raw)
        except (OverflowError, ValueError):  # too large, or a signalling NaN
            raise BadValue(allowed) from None
        if not math.isfinite(value) or value < low or value > at_most or value == above:
            raise BadValue(allowed)
        return value

    return read


def count(*, at_least: int, at_most: float = math.inf) -> Callable[[object], int]:
    """Return a reader of a whole number (also as text of digits) within bounds."""
    words = f"must be a whole number of at least {at_least}"
    allowed = words if at_most == math.inf else f"{words} and at most {at_most:g}"

    def read(raw: object) -> int:
        if isinstance(raw, bool) or not isinstance(raw, (int, str)):
            raise BadValue(allowed)
        if isinstance(raw, str) and not _COUNT.match(raw):
            raise BadValue(allowed)
        value = int(raw)
        if not at_least <= value <= at_most:
            raise BadValue(allowed)
        return value

    return read


def several(read: Callable[[object], T], *, at_most: int) -> Callable[[object], tuple[T, ...]]:
    """Return a reader of a list of at most *at_most* values, each by *read*."""

    def read_all(raw: object) -> tuple[T, ...]:
        if not isinstance(raw, (list, tuple)) or len(raw) > at_most:
            raise BadValue(f"must be a list of at most {at_most}")
        try:
            return tuple(read(value) for value in raw)
        except BadValue as error:
            raise BadValue(f"each {error}") from None

    return read_all


def one_of(words: Iterable[str]) -> Callable[[object], str]:
    """Return a reader of one of *words*."""
    words = tuple(words)

    def read(raw: object) -> str:
        if isinstance(raw, str) and raw in words:
            return str(raw)
        raise BadValue(f"must be one of {', '.join(words)}")

    return read


def matching(pattern: str | re.Pattern[str], allowed: str) -> Callable[[object], str]:
    """Return a reader of text that *pattern* matches as a whole."""
    compiled = re.compile(pattern)

    def read(raw: object) -> str:
        if isinstance(raw, str) and compiled.fullmatch(raw):
            return str(raw)
        raise BadValue(allowed)

    return read


def is_dotted_path(raw: object) -> bool:
    """Return whether *raw* is text that looks like `package.module.name`."""
    return isinstance(raw, str) and len(raw) <= 255 and _DOTTED.match(raw) is not None
