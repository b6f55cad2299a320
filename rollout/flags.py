"""A flag as a person configured it: key, percentage, forced units, rules. Values only; nothing is decided
here.

A value that exists is a valid one: everything is checked when it is made. The invariant: a flag keeps its
salt and its algorithm for life, since changing either deals every unit again. Explained in
docs/reference/flag-file.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NewType, TypeAlias

from rollout.context import unit_text
from rollout.errors import ConfigError, InvalidContext, TargetingKeyMissing
from rollout.percentage import Percentage
from rollout.variants import DEFAULT_VARIANTS, Json, Variants, checked_name, value_of

__all__ = [
    "DEFAULT_VARIANTS",
    "Condition",
    "Flag",
    "FlagKey",
    "Operator",
    "Rule",
    "Scalar",
    "Serve",
    "Variants",
    "metadata_of",
    "units_of",
]

FlagKey = NewType("FlagKey", str)

#: What a rule may compare with. Numbers are exact: an integer or a Decimal, never a binary float.
Scalar: TypeAlias = str | int | Decimal | bool
#: What a rule gives the units it matches: the flag on, off, or on for a share of them.
Serve: TypeAlias = Literal["on", "off"] | Percentage

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
# Digits before, and after, the point of a number in a rule: far beyond any attribute, and short in every
# file.
_MOST_DIGITS = 40
_MOST_METADATA = 16


class Operator(StrEnum):
    """How a condition compares an attribute with its value."""

    EQUALS = "equals"
    IN = "in"
    NOT_IN = "not_in"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"


LISTS = frozenset({Operator.IN, Operator.NOT_IN})
TEXTS = frozenset({Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.CONTAINS})
NUMBERS = frozenset({Operator.GT, Operator.GTE, Operator.LT, Operator.LTE})


def _match(pattern: re.Pattern[str], text: object, path: str, allowed: str) -> None:
    if not isinstance(text, str):
        raise ConfigError(path, f"must be text ({allowed}), got {type(text).__name__}")
    if not pattern.fullmatch(text):
        raise ConfigError(path, f"{text[:24]!a} is not allowed: {allowed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One question about one attribute, such as `region in ["eu", "uk"]`.

    Args:
        attribute: The attribute's name: a letter or underscore, then letters, digits, `_`, `.` and `-`.
        operator: How to compare; a plain word such as "in" is turned into the `Operator`.
        value: What to compare with: a tuple of scalars for `in` and `not_in`, text for `starts_with`,
            `ends_with` and `contains`, a number for `gt`, `gte`, `lt` and `lte`, any scalar for `equals`.

    Raises:
        ConfigError: One of them is not so.
    """

    attribute: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]

    def __post_init__(self) -> None:
        _match(_ATTRIBUTE, self.attribute, "attribute", "a letter, then letters, digits, '_', '.' and '-'")
        try:
            object.__setattr__(self, "operator", Operator(self.operator))
        except ValueError:
            known = ", ".join(Operator)
            raise ConfigError("op", f"unknown operator; known are {known}") from None
        if self.operator in LISTS:
            object.__setattr__(self, "value", _scalars(self.value))
        elif self.operator in TEXTS:
            if not isinstance(self.value, str) or not self.value:
                raise ConfigError("value", f"{self.operator} needs a text that is not empty")
            _scalar(self.value)
        elif self.operator in NUMBERS:
            if isinstance(_scalar(self.value), (str, bool)):
                raise ConfigError("value", f"{self.operator} needs a number")
        else:
            _scalar(self.value)

    def __str__(self) -> str:
        value = self.value
        shown = f"[{', '.join(map(_shown, value))}]" if isinstance(value, tuple) else _shown(value)
        return f"{self.attribute} {self.operator} {shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Conditions that must all hold, and what is served then. The first rule that matches decides.

    Args:
        conditions: One at least: a rule without conditions would silently be everybody.
        serve: "on", "off", or a `Percentage` of the units, taken at the flag's own positions.
    """

    conditions: tuple[Condition, ...]
    serve: Serve

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditions", tuple(self.conditions))
        if not self.conditions or not all(isinstance(each, Condition) for each in self.conditions):
            raise ConfigError("if", "a rule needs at least one condition")
        if self.serve not in ("on", "off") and not isinstance(self.serve, Percentage):
            raise ConfigError("serve", 'must be "on", "off" or a percentage')

    def __str__(self) -> str:
        return " and ".join(map(str, self.conditions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A decision point and who is in.

    Args:
        key: Its id: letters, digits, `.`, `_` and `-`.
        percentage: The share of the units that is in; None: nobody by percentage, reason DEFAULT.
        enabled: False turns it off for everybody, forced-on units included.
        unit: The name of what the percentage is taken of, such as `tournament_id`.
        salt: What separates its positions from another flag's; empty or None: the key. For life.
        algorithm: The bucket's name; "r1" is the only one so far. For life.
        forced_on: Units that are in whatever the percentage; the texts of `context.unit_text`.
        forced_off: Units that are out whatever else, `forced_on` included.
        rules: Asked in order, after the forced units and before the percentage.
        variants: The two values and their names.
        metadata: What OpenFeature hands out beside the value, by name: text, numbers, booleans; 16 at most.
        version: The version of the configuration it came from, 0 or more.

    Raises:
        ConfigError: One of them is not so.
    """

    key: FlagKey
    percentage: Percentage | None = None
    enabled: bool = True
    unit: str = "tournament_id"
    salt: str = ""
    algorithm: str = "r1"
    forced_on: frozenset[str] = field(default=frozenset())
    forced_off: frozenset[str] = field(default=frozenset())
    rules: tuple[Rule, ...] = ()
    variants: Variants = DEFAULT_VARIANTS
    metadata: tuple[tuple[str, Scalar], ...] = ()
    version: int = 0

    def __post_init__(self) -> None:
        checked_name(self.key, "key")
        if not self.salt:
            object.__setattr__(self, "salt", self.key)
        elif self.salt is not self.key:
            checked_name(self.salt, "salt")
        checked_name(self.algorithm, "algorithm")
        _match(_WORD, self.unit, "unit", "a name: a letter or '_', then letters, digits and '_'")
        if self.percentage is not None and not isinstance(self.percentage, Percentage):
            raise ConfigError("percentage", "must be a Percentage; use Percentage.parse")
        if self.enabled is not True and self.enabled is not False:
            raise ConfigError("enabled", "must be true or false")
        if self.forced_on:
            object.__setattr__(self, "forced_on", units_of(self.forced_on, path="forced_on"))
        if self.forced_off:
            object.__setattr__(self, "forced_off", units_of(self.forced_off, path="forced_off"))
        if self.rules and not all(isinstance(rule, Rule) for rule in self.rules):
            raise ConfigError("rules", "must be a tuple of Rule")
        if self.metadata:
            object.__setattr__(self, "metadata", metadata_of(self.metadata))
        if type(self.version) is not int or self.version < 0:
            raise ConfigError("version", "must be an integer of 0 or more")


def metadata_of(pairs: object) -> tuple[tuple[str, Scalar], ...]:
    """Return *pairs*, a mapping or name and value one by one, sorted by name.

    Raises:
        ConfigError: A name is none, a value is no scalar, or there are more than 16.
    """
    items = list(pairs.items() if isinstance(pairs, Mapping) else pairs if isinstance(pairs, tuple) else ())
    if not items or len(items) > _MOST_METADATA:
        raise ConfigError("metadata", f"must be a table of 1 to {_MOST_METADATA} names and values")
    for name, _ in items:
        _match(_ATTRIBUTE, name, "metadata", "a letter or '_', then letters, digits, '_', '.' and '-'")
    return tuple(sorted((name, _fact(value, f"metadata.{name}")) for name, value in items))


def _fact(raw: object, path: str) -> Scalar:
    value = value_of(raw, path=path)
    if isinstance(value, Json):
        raise ConfigError(path, "must be a text, a number or a boolean")
    return value


def units_of(units: object, *, path: str) -> frozenset[str]:
    """Return the texts of *units*, a list of integers, texts and UUIDs.

    Raises:
        ConfigError: It is no list, or holds something that is no unit.
    """
    if not isinstance(units, (list, tuple, set, frozenset)):
        raise ConfigError(path, f"must be a list of units, got {type(units).__name__}")
    try:
        return frozenset(unit_text(unit, flag=path) for unit in units)
    except TargetingKeyMissing:
        raise ConfigError(path, "holds an empty unit") from None
    except InvalidContext as error:
        raise ConfigError(path, error.problem) from None


def _scalars(value: object) -> tuple[Scalar, ...]:
    if not isinstance(value, (tuple, list)) or not value:
        raise ConfigError("value", "must be a list with at least one text, number or boolean")
    return tuple(_scalar(each) for each in value)


def _scalar(value: object) -> Scalar:
    if not isinstance(value, (str, int, Decimal)):
        raise ConfigError("value", f"must be a text, a number or a boolean, got {type(value).__name__}")
    if isinstance(value, str):
        if not _is_utf8(value):
            raise ConfigError("value", "holds half a surrogate pair, which has no UTF-8 form")
        return value
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_MOST_DIGITS or abs(number) >= 10**_MOST_DIGITS:
        raise ConfigError("value", f"must be a finite number of at most {_MOST_DIGITS} digits on either side")
    return value


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: Scalar) -> str:
    return (
        ascii(value)
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
