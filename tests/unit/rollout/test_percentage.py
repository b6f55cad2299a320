"""Percentages are exact decimals from 0 to 100; everything else is refused with what is allowed."""

from __future__ import annotations

import decimal
from decimal import Decimal
from enum import IntEnum

import pytest

from rollout.errors import ConfigError
from rollout.percentage import EVERYBODY, NOBODY, POSITIONS, Percentage


class Share(IntEnum):
    HALF = 50


@pytest.mark.parametrize(
    ("written", "value", "shown", "basis_points"),
    [
        (0, "0", "0", "0"),
        (5, "5", "5", "500"),
        (100, "100", "100", "10000"),
        ("5", "5", "5", "500"),
        ("12.5", "12.5", "12.5", "1250"),
        ("12.50", "12.5", "12.5", "1250"),
        ("0.125", "0.125", "0.125", "12.5"),
        ("100.0", "100", "100", "10000"),
        (Decimal("33.3"), "33.3", "33.3", "3330"),
        (Decimal("1E+1"), "10", "10", "1000"),
        (Decimal("-0"), "0", "0", "0"),
        (
            "0.00000000000000000001",
            "0.00000000000000000001",
            "0.00000000000000000001",
            "0.000000000000000001",
        ),
        (Share.HALF, "50", "50", "5000"),
    ],
)
def test_a_percentage_keeps_exactly_what_was_written(
    written: object, value: str, shown: str, basis_points: str
) -> None:
    """Value, text and basis points are exact, whatever form the number came in."""
    percentage = Percentage.parse(written)

    assert percentage.value == Decimal(value)
    assert str(percentage) == shown
    assert percentage.basis_points == basis_points


@pytest.mark.parametrize(
    "written",
    [
        *(
            "NaN",
            "-1",
            "101",
            "50%",
            "1e400",
            "1e2",
            "",
            " 5",
            "5 ",
            "5\n",
            "+5",
            "05",
            "5.",
            ".5",
            "5,5",
            "1_0",
        ),
        *("٥", "5.000000000000000000001", "Infinity", "0x5", "five", "100.00000000000000000001"),
        *(-1, 101, 10**5000, True, False, None, b"5", [5], 5.0, 0.1, float("nan"), float("inf"), 5j),
        *(
            Decimal("NaN"),
            Decimal("sNaN"),
            Decimal("Infinity"),
            Decimal("-1"),
            Decimal("100.1"),
            Decimal("1E-21"),
        ),
        Decimal("1E+400"),
    ],
    ids=lambda written: type(written).__name__,
)
def test_everything_else_is_refused_by_name(written: object) -> None:
    """The issue's list of bad percentages and more: an error with the path, never a guess."""
    with pytest.raises(ConfigError) as caught:
        Percentage.parse(written, path="flags.webhooks.percentage")

    assert caught.value.path == "flags.webhooks.percentage"
    assert (
        "percentage" in caught.value.problem
        or "100" in caught.value.problem
        or "float" in caught.value.problem
    )
    assert len(str(caught.value)) < 250


def test_the_constructor_takes_decimals_only() -> None:
    """Whoever goes around `parse` is told so."""
    with pytest.raises(ConfigError, match=r"use Percentage\.parse"):
        Percentage(value=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "threshold"),
    [
        ("0", 0),
        ("100", 2**64),
        ("50", 2**63),
        ("5", 922337203685477580),
        ("12.5", 2**61),
        ("0.00000000000000000001", 0),
        ("0.0000000000000000055", 1),
        ("99.99999999999999999999", 2**64 - 1),
    ],
)
def test_the_threshold_is_the_floor_of_the_share_of_all_positions(written: str, threshold: int) -> None:
    """T = floor(percentage · 2^64 / 100): the contract §2."""
    assert Percentage.parse(written).threshold == threshold


def test_a_coarse_decimal_context_changes_nothing() -> None:
    """The caller's context may round to three digits and trap everything: percentages do not notice."""
    with decimal.localcontext(decimal.Context(prec=3, traps=[decimal.Inexact, decimal.Rounded])):
        percentage = Percentage.parse("12.3456789")
        again = Percentage(value=Decimal("12.3456789"))

    assert str(percentage) == "12.3456789"
    assert percentage == again
    assert percentage.threshold == 123456789 * POSITIONS // 10**9


def test_percentages_compare_by_value() -> None:
    """Equal however written, ordered, hashable, and parsing one again gives it back."""
    five = Percentage.parse("5.0")

    assert five == Percentage.parse(5)
    assert hash(five) == hash(Percentage.parse(5))
    assert NOBODY < five < EVERYBODY
    assert Percentage.parse(five) is five
    assert (Percentage.NOBODY, Percentage.EVERYBODY) == (NOBODY, EVERYBODY)
