"""A unit is an integer, a text or a UUID, and has one text; nothing else is a unit."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from uuid import UUID

import pytest

from rollout.context import EvaluationContext, unit_text
from rollout.errors import InvalidContext, TargetingKeyMissing

TOURNAMENT = UUID("550e8400-e29b-41d4-a716-446655440000")


class Number(IntEnum):
    ONE = 101


class Name(StrEnum):
    ONE = "101"


class Loud(str):
    """A text whose own idea of itself must not matter."""

    def __str__(self) -> str:
        return "LOUD"


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (101, "101"),
        ("101", "101"),
        (Number.ONE, "101"),
        (Name.ONE, "101"),
        (Loud("101"), "101"),
        (-7, "-7"),
        (0, "0"),
        (10**40, "1" + "0" * 40),
        (TOURNAMENT, "550e8400-e29b-41d4-a716-446655440000"),
        (" 101", " 101"),
        ("Zürich", "Zürich"),
        ("🏆", "🏆"),
    ],
)
def test_a_unit_has_one_text(unit: object, text: str) -> None:
    """101 and "101" are one unit; nothing is trimmed or folded; subclasses do not get a say."""
    found = unit_text(unit, flag="webhooks")

    assert found == text
    assert type(found) is str


@pytest.mark.parametrize("unit", [None, ""], ids=ascii)
def test_no_unit_is_said_to_be_missing(unit: object) -> None:
    """None and the empty text: TARGETING_KEY_MISSING."""
    with pytest.raises(TargetingKeyMissing, match="webhooks"):
        unit_text(unit, flag="webhooks")


@pytest.mark.parametrize(
    "unit",
    [True, False, 1.0, float("nan"), b"101", ["101"], object(), "\ud800", "a\udfff", 10**5000, {}],
    ids=lambda unit: type(unit).__name__,
)
def test_what_is_no_unit_is_refused(unit: object) -> None:
    """Booleans, floats, bytes, half surrogate pairs, absurdly long integers and all other types."""
    with pytest.raises(InvalidContext) as caught:
        unit_text(unit, flag="webhooks")

    assert caught.value.key == "webhooks"
    assert len(str(caught.value)) < 200


def test_a_context_takes_whatever_it_is_given() -> None:
    """Judging is the evaluator's: building one never raises."""
    assert EvaluationContext().unit is None
    assert EvaluationContext(unit=1.5).attributes == {}
