"""A decision is true only where its value is True, and explains itself."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rollout.decision import Decision, ErrorCode, Reason


def decision(**changes: object) -> Decision:
    """Build a decision that is on by percentage."""
    usual = Decision("webhooks", True, "on", Reason.SPLIT, None, "percentage 5", "101", 2**59, 2**60, 7)
    return usual._replace(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "truth"), [(True, True), (False, False), (1, False), ("on", False), (None, False)]
)
def test_only_exactly_true_is_true(value: object, truth: bool) -> None:
    """A value from elsewhere that is merely truthy does not open a gate."""
    assert bool(decision(value=value)) is truth


@pytest.mark.parametrize(
    ("position", "at"),
    [
        (0, "0.0001"),
        (2**64 - 1, "100.0000"),
        (2**63 - 1, "50.0000"),
        (2**63, "50.0001"),
        (922337203685477579, "5.0000"),
        (922337203685477580, "5.0001"),
    ],
)
def test_turns_on_at_is_rounded_up(position: int, at: str) -> None:
    """The percentage shown is enough to turn the unit on, and the least with 4 places that is."""
    assert decision(position=position).turns_on_at == Decimal(at)


def test_without_a_position_nothing_turns_on() -> None:
    """No unit, no place."""
    assert decision(position=None).turns_on_at is None


def test_a_decision_explains_itself_in_one_line() -> None:
    """Flag, variant, unit, step, reason, where it turns on, version."""
    assert decision().explain() == (
        "webhooks is on for '101': percentage 5 [SPLIT]; this unit turns on at 3.1251 % (version 7)"
    )


def test_an_error_explains_itself_without_a_unit() -> None:
    """What is not known is left out; the unit is escaped, so that it stays one line."""
    failed = decision(
        value=False,
        variant="off",
        reason=Reason.ERROR,
        error_code=ErrorCode.FLAG_NOT_FOUND,
        detail="no such flag",
        unit="",
        position=None,
    )

    assert failed.explain() == "webhooks is off: no such flag [ERROR FLAG_NOT_FOUND] (version 7)"
    assert "\n" not in decision(unit="1\n2").explain()


def test_the_words_are_openfeatures() -> None:
    """Reasons and codes reach metrics and providers under these names."""
    assert [str(reason) for reason in Reason] == [
        *("STATIC", "SPLIT", "TARGETING_MATCH", "DISABLED", "DEFAULT", "ERROR", "STALE", "CACHED", "UNKNOWN")
    ]
    assert [str(code) for code in ErrorCode] == [
        *("FLAG_NOT_FOUND", "PARSE_ERROR", "TYPE_MISMATCH", "TARGETING_KEY_MISSING", "INVALID_CONTEXT"),
        *("PROVIDER_NOT_READY", "GENERAL"),
    ]
