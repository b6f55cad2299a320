"""Lengths of time as people write and read them: "24h" is 86,400 seconds, and back.

No clock lives here. The invariant: `seconds_of(text_of(n)) == n` for every whole number of seconds from 0 up.
Explained in docs/reference/plan.md.
"""

from __future__ import annotations

import re

from rollout.errors import ConfigError

__all__ = ["seconds_of", "spoken", "text_of"]

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TEXT = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_ALLOWED = 'write whole seconds, or text such as "90s", "30m", "24h", "2d"'


def seconds_of(value: object, *, path: str) -> int:
    """Return the whole seconds that *value* says.

    Args:
        value: An integer of 0 or more, or text: digits and one of `s`, `m`, `h`, `d`.
        path: Where it stands, for the message.

    Raises:
        ConfigError: It is anything else.
    """
    if isinstance(value, str):
        found = _TEXT.fullmatch(value)
        if found is None:
            raise ConfigError(path, f"{value[:24]!a} is no length of time: {_ALLOWED}")
        return int(found[1]) * _UNITS[found[2]]
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(path, f"got {type(value).__name__}: {_ALLOWED}")
    if value < 0:
        raise ConfigError(path, f"less than nothing: {_ALLOWED}")
    return value


def text_of(seconds: float) -> str:
    """Return *seconds* in the largest unit that leaves a whole number: 86,400 is "1d", 5,400 is "90m"."""
    whole = int(seconds)
    if whole == 0:
        return "0s"
    unit = next(unit for unit in reversed(_UNITS) if whole % _UNITS[unit] == 0)
    return f"{whole // _UNITS[unit]}{unit}"


def spoken(seconds: float) -> str:
    """Return *seconds* as a person says them, by the two largest units: 11,520 is "3 h 12 min"."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"
