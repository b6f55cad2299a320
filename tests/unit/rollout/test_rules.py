"""A rule matches only when that is certain; it never raises."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest

from rollout.flags import Condition, Operator, Rule, Scalar
from rollout.rules import matches

TOURNAMENT = UUID("550e8400-e29b-41d4-a716-446655440000")


class Region(StrEnum):
    EU = "eu"


def holds(operator: str, value: Scalar | tuple[Scalar, ...], given: object) -> bool:
    """Ask one condition about one attribute."""
    condition = Condition(attribute="x", operator=Operator(operator), value=value)
    return matches(Rule(conditions=(condition,), serve="on"), {"x": given})


@pytest.mark.parametrize(
    ("operator", "value", "given"),
    [
        ("equals", "eu", "eu"),
        ("equals", "eu", Region.EU),
        ("equals", str(TOURNAMENT), TOURNAMENT),
        ("equals", 5, 5),
        ("equals", 5, Decimal("5.0")),
        ("equals", 5, 5.0),
        ("equals", Decimal("0.5"), 0.5),
        ("equals", True, True),
        ("in", ("eu", "uk"), "uk"),
        ("in", ("eu", 5), 5),
        ("not_in", ("eu", "uk"), "us"),
        ("not_in", (1, 2), 3),
        ("starts_with", "eu-", "eu-west"),
        ("ends_with", "west", "eu-west"),
        ("contains", "u-w", "eu-west"),
        ("gt", 5, 6),
        ("gt", 5, Decimal("5.000000000000000000000000000001")),
        ("gte", 5, 5),
        ("lt", Decimal("0.3"), Decimal("0.29999999999999999999")),
        ("lte", 5, -(10**30)),
        ("lte", 5, 5),
    ],
)
def test_a_condition_holds(operator: str, value: Scalar, given: object) -> None:
    """Text by code points, numbers exactly, subclasses as what they are."""
    assert holds(operator, value, given)


@pytest.mark.parametrize(
    ("operator", "value", "given"),
    [
        ("equals", "eu", "EU"),
        ("equals", "5", 5),
        ("equals", 5, "5"),
        ("equals", 1, True),
        ("equals", True, 1),
        ("equals", Decimal("0.1"), 0.1),
        ("equals", "eu", None),
        ("in", ("eu",), "us"),
        ("in", (1,), True),
        ("not_in", ("eu", "uk"), "uk"),
        ("not_in", ("eu",), 5),
        ("not_in", (1,), True),
        ("not_in", ("eu",), None),
        pytest.param("not_in", ("eu",), object(), id="not_in-eu-object"),
        ("starts_with", "5", 5),
        ("starts_with", "eu-", "us-west"),
        ("ends_with", "west", "eu-east"),
        ("contains", "x", "eu-west"),
        ("gt", 5, 5),
        ("gt", 5, "6"),
        ("gt", 0, True),
        ("gt", 0, float("inf")),
        ("gt", 0, float("nan")),
        ("lt", 0, Decimal("-Infinity")),
        ("gt", 0, Decimal("NaN")),
        ("lt", 0, Decimal("sNaN")),
        ("gte", 5, 4),
        ("lt", 5, 5),
        ("lte", 5, 6),
        ("gt", 5, [6]),
        ("equals", "eu", b"eu"),
    ],
    ids=ascii,
)
def test_a_condition_does_not_hold(operator: str, value: Scalar, given: object) -> None:
    """Another type, no number, infinity, absence: no match, for `not_in` too."""
    assert not holds(operator, value, given)


@pytest.mark.parametrize("operator", ["equals", "in", "not_in", "starts_with", "gt"])
def test_a_missing_attribute_never_matches(operator: str) -> None:
    """Being absent is not being "not in"."""
    value: Scalar | tuple[Scalar, ...] = ("eu",) if "in" in operator else 5 if operator == "gt" else "eu"
    condition = Condition(attribute="region", operator=Operator(operator), value=value)

    assert not matches(Rule(conditions=(condition,), serve="on"), {"other": "eu"})


def test_all_conditions_must_hold() -> None:
    """One that does not is enough."""
    region = Condition(attribute="region", operator=Operator.EQUALS, value="eu")
    size = Condition(attribute="size", operator=Operator.GT, value=8)
    rule = Rule(conditions=(region, size), serve="on")

    assert matches(rule, {"region": "eu", "size": 16})
    assert not matches(rule, {"region": "eu", "size": 8})
    assert not matches(rule, {"region": "us", "size": 16})
