"""Whether a rule matches a unit's attributes. Pure; the rule itself is a value of `rollout.flags`.

The invariant: a rule matches only when that is certain. A missing attribute, an attribute of another type,
not a number, infinity: no match, for `not_in` too, and no exception. Numbers compare exactly (a float
stands for the binary fraction it is), text by code points, and a boolean is no number. Explained in
docs/reference/flag-file.md.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from rollout.flags import Condition, Operator, Rule, Scalar, Serve

__all__ = ["Condition", "Operator", "Rule", "Serve", "matches"]

# A value that can be compared, with the kind it can be compared to.
_Comparable: TypeAlias = tuple[str, str] | tuple[str, bool] | tuple[str, int | Decimal]

_ABSENT = object()

_TEXT: Mapping[Operator, Callable[[str, str], bool]] = {
    Operator.STARTS_WITH: str.startswith,
    Operator.ENDS_WITH: str.endswith,
    Operator.CONTAINS: str.__contains__,
}
_NUMBER: Mapping[Operator, Callable[[int | Decimal, int | Decimal], bool]] = {
    Operator.GT: operator.gt,
    Operator.GTE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LTE: operator.le,
}


def matches(rule: Rule, attributes: Mapping[str, object]) -> bool:
    """Say whether every condition of *rule* holds for *attributes*.

    Args:
        attributes: Names and values; text, numbers, booleans and UUIDs are compared, anything else matches
            nothing.
    """
    return all(
        _holds(condition, attributes.get(condition.attribute, _ABSENT)) for condition in rule.conditions
    )


def _holds(condition: Condition, given: object) -> bool:
    ours = _comparable(given)
    if ours is None:
        return False
    kind, value = ours
    wanted = condition.value
    if condition.operator is Operator.IN:
        return any(ours == _comparable(each) for each in _several(wanted))
    if condition.operator is Operator.NOT_IN:
        listed = [_comparable(each) for each in _several(wanted)]
        # An attribute of a kind that the list does not speak of is not "absent from it": it is ill-typed.
        return any(each is not None and each[0] == kind for each in listed) and ours not in listed
    if condition.operator is Operator.EQUALS:
        return ours == _comparable(wanted)
    if isinstance(value, str) and isinstance(wanted, str) and condition.operator in _TEXT:
        return _TEXT[condition.operator](value, wanted)
    if kind == "number" and isinstance(wanted, (int, Decimal)) and condition.operator in _NUMBER:
        assert not isinstance(value, str)
        return _NUMBER[condition.operator](value, wanted)
    return False


def _several(value: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return value if isinstance(value, tuple) else (value,)


def _comparable(value: object) -> _Comparable | None:
    """Return *value* with its kind, subclasses made plain; None for what cannot be compared."""
    if isinstance(value, str):
        return "text", str.__str__(value)
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int):
        return "number", int.__index__(value)
    if isinstance(value, float):
        return ("number", Decimal.from_float(value)) if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return ("number", value) if value.is_finite() else None
    if isinstance(value, UUID):
        return "text", UUID.__str__(value)
    return None
