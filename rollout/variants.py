"""What a flag answers with: the names of its two values, and the values where they are not true and false.

A percentage or a rule chooses between `on` and `off`; each stands for a value of one kind. The invariants:
both values are of one kind; numbers are exact inside and become binary floats only where they are handed
out; an object is handed out anew each time, so that whoever changes it changes nothing here. Explained in
docs/reference/flag-file.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from rollout.errors import ConfigError
from rollout.jsontext import written

__all__ = ["DEFAULT_VARIANTS", "Json", "Kind", "Value", "Variants", "checked_name", "served", "value_of"]

# Salt, key and variant are hashed and written into URLs, file names and log lines alike (the contract §2).
_NAME = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
# An object is configuration, not a document: what a person reviews in a flag file.
_MOST_BYTES = 16_384
_MOST_LEVELS = 32
_MOST_INTEGER = 2**63


class Kind(StrEnum):
    """The type of a flag's values. Source: OpenFeature specification, types, "Flag Value Type"."""

    BOOLEAN = "boolean"
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Json:
    """An object or a list, kept as the text it is written as."""

    text: str

    def value(self) -> object:
        """Return it as plain data, made anew; fractions are floats."""
        return json.loads(self.text)

    def exact(self) -> object:
        """Return it as plain data, made anew; fractions are Decimals."""
        return json.loads(self.text, parse_float=Decimal)


#: What a variant stands for. Fractions are Decimals, objects and lists are `Json`.
Value: TypeAlias = bool | str | int | Decimal | Json


def checked_name(text: object, path: str) -> None:
    """Refuse what is no name of a flag, a salt or a variant.

    Raises:
        ConfigError: *text* is no text of letters, digits, `.`, `_` and `-`.
    """
    allowed = "letters, digits, '.', '_' and '-'"
    if not isinstance(text, str):
        raise ConfigError(path, f"must be text ({allowed}), got {type(text).__name__}")
    if not _NAME.fullmatch(text):
        raise ConfigError(path, f"{text[:24]!a} is not allowed: {allowed}")


def value_of(raw: object, *, path: str) -> Value:
    """Return what a person wrote as a value.

    Args:
        raw: A boolean, text, an integer below 2^63, a finite fraction, a table or a list of these.

    Raises:
        ConfigError: It is anything else, too long or nested too deeply.
    """
    exact = _exact(raw, path, level=0)
    if not isinstance(exact, (dict, list)):
        if exact is None:
            raise ConfigError(path, "must be true, false, a text, a number, a table or a list")
        return exact
    text = written(exact)
    if len(text.encode()) > _MOST_BYTES:
        raise ConfigError(path, f"an object of more than {_MOST_BYTES:,} bytes: it is configuration")
    return Json(text)


_Exact: TypeAlias = "bool | str | int | Decimal | dict[str, _Exact] | list[_Exact] | None"


def _exact(raw: object, path: str, *, level: int) -> _Exact:
    if isinstance(raw, Json):
        return _exact(raw.exact(), path, level=level)
    if raw is None or isinstance(raw, (bool, str)):
        return _text(raw, path) if isinstance(raw, str) else raw
    if isinstance(raw, int):
        if not -_MOST_INTEGER <= raw < _MOST_INTEGER:
            raise ConfigError(path, "an integer beyond 64 bits")
        return int(raw)
    if isinstance(raw, (float, Decimal)):
        return _fraction(raw, path)
    if level == _MOST_LEVELS:
        raise ConfigError(path, f"nested deeper than {_MOST_LEVELS} levels")
    if isinstance(raw, Mapping):
        if not all(isinstance(key, str) for key in raw):
            raise ConfigError(path, "a key of an object must be text")
        return {_text(key, path): _exact(each, path, level=level + 1) for key, each in raw.items()}
    if isinstance(raw, (list, tuple)):
        return [_exact(each, path, level=level + 1) for each in raw]
    raise ConfigError(path, f"must be a boolean, text, number, table or list, got {type(raw).__name__}")


def _fraction(raw: float | Decimal, path: str) -> Decimal:
    """Return *raw* exactly as it is written; it must come back from a binary float of ordinary size."""
    exact = Decimal(repr(float(raw))) if isinstance(raw, float) else raw
    if not exact.is_finite() or not math.isfinite(float(exact)) or len(format(exact, "f")) > 64:
        raise ConfigError(path, "must be a finite number of at most 64 digits, written out")
    return exact


def _text(raw: str, path: str) -> str:
    try:
        raw.encode()
    except UnicodeEncodeError:
        raise ConfigError(path, "holds half a surrogate pair, which has no UTF-8 form") from None
    return str.__str__(raw)


def _kind(value: Value) -> Kind:
    if isinstance(value, bool):
        return Kind.BOOLEAN
    if isinstance(value, str):
        return Kind.STRING
    if isinstance(value, Json):
        return Kind.OBJECT
    return Kind.INTEGER if isinstance(value, int) else Kind.FLOAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """The two values of a flag: their names, as decisions and metrics show them, and what they stand for.

    Args:
        on: The name of what the units that are in get.
        off: The name of what all others get, and everybody while the flag is stopped.
        on_value: What *on* stands for: a boolean, text, a number, or a table or list of these.
        off_value: What *off* stands for, of the same kind. Booleans are true and false, in this order.

    Raises:
        ConfigError: One of them is not so.
    """

    on: str = "on"
    off: str = "off"
    on_value: Value = True
    off_value: Value = False
    #: The type of both values; whole and broken numbers together are fractions.
    kind: Kind = field(init=False, compare=False, repr=False, default=Kind.BOOLEAN)

    def __post_init__(self) -> None:
        for name in (self.on, self.off):
            checked_name(name, "variants")
        if self.on == self.off:
            raise ConfigError("variants", "on and off must have different names")
        if self.on_value is True and self.off_value is False:
            return
        on = value_of(self.on_value, path=f"values.{self.on}")
        off = value_of(self.off_value, path=f"values.{self.off}")
        kinds = {_kind(on), _kind(off)}
        if kinds == {Kind.INTEGER, Kind.FLOAT}:
            kinds = {Kind.FLOAT}
        if len(kinds) > 1:
            raise ConfigError("values", f"must be of one type, got {' and '.join(sorted(kinds))}")
        if Kind.BOOLEAN in kinds:
            raise ConfigError("values", "of a boolean flag are true for on and false for off")
        object.__setattr__(self, "on_value", on)
        object.__setattr__(self, "off_value", off)
        object.__setattr__(self, "kind", kinds.pop())


DEFAULT_VARIANTS = Variants()


def served(value: Value, kind: Kind) -> object:
    """Return *value* as who asks for *kind* gets it: a float for a fraction, an object made anew."""
    if kind is Kind.FLOAT and not isinstance(value, (bool, str, Json)):
        return float(value)
    return value.value() if isinstance(value, Json) else value
