"""From the text of a configuration to plain data, JSON or TOML. What the data means is `schema`'s business.

The invariants: numbers stay exact (a fraction becomes a Decimal; an exponent, NaN and infinity a
`RefusedNumber` whose place the schema then names), a key given twice is an error, and nothing but
`ConfigError` comes out, whatever the bytes. Explained in docs/reference/flag-file.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from rollout.errors import ConfigError

__all__ = ["RefusedNumber", "read_json", "read_toml"]


@dataclass(frozen=True, slots=True)
class RefusedNumber:
    """A number written in a way that is not allowed."""

    text: str


class _DoubleKey(Exception):
    """A key stands twice in one object."""


def read_json(text: str | bytes, *, origin: str) -> object:
    """Return the data that *text* holds.

    Args:
        text: UTF-8, without a byte order mark, where it is bytes.
        origin: Where it came from, for the messages.

    Raises:
        ConfigError: It is no JSON; a key is given twice; it is nested too deeply.
    """

    def read(source: str) -> object:
        try:
            return json.loads(
                source, object_pairs_hook=_object, parse_float=_exact, parse_constant=RefusedNumber
            )
        except json.JSONDecodeError as error:
            raise ConfigError(origin, f"no JSON: {error.msg} at line {error.lineno}") from None

    return _read(text, origin, read)


def read_toml(text: str | bytes, *, origin: str) -> object:
    """Return the data that *text* holds; see `read_json`."""
    import tomllib

    def read(source: str) -> object:
        try:
            return tomllib.loads(source, parse_float=_exact)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(origin, f"no TOML: {error}") from None

    return _read(text, origin, read)


def _read(text: str | bytes, origin: str, read: Callable[[str], object]) -> object:
    try:
        return read(text if isinstance(text, str) else text.decode())
    except ConfigError:
        raise
    except _DoubleKey as error:
        raise ConfigError(origin, f"the key {error.args[0][:64]!a} is given twice in one object") from None
    except RecursionError:
        raise ConfigError(origin, "nested too deeply to be a configuration") from None
    except UnicodeDecodeError:
        raise ConfigError(origin, "is not UTF-8") from None
    except ValueError:
        # The one left: Python refuses to read an integer of more than 4,300 digits.
        raise ConfigError(origin, "holds a number with too many digits") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [key for key, _ in pairs]
        raise _DoubleKey(next(key for key in names if names.count(key) > 1))
    return found


def _exact(text: str) -> Decimal | RefusedNumber:
    plain = text.replace("_", "")  # TOML groups digits so.
    return Decimal(plain) if plain.lstrip("+-").replace(".", "", 1).isdecimal() else RefusedNumber(text)
