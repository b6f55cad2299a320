"""Text becomes plain data with exact numbers, or a `ConfigError`, whatever the bytes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from rollout.errors import ConfigError
from rollout.sources.syntax import RefusedNumber, read_json, read_toml


def test_json_numbers_stay_exact() -> None:
    """Fractions are Decimals, integers are integers, exponents are refused where they stand."""
    data = read_json('{"a": 0.1, "b": 5, "c": 1e2, "d": NaN, "e": -Infinity, "f": 12.50}', origin="x")

    assert data == {
        "a": Decimal("0.1"),
        "b": 5,
        "c": RefusedNumber("1e2"),
        "d": RefusedNumber("NaN"),
        "e": RefusedNumber("-Infinity"),
        "f": Decimal("12.50"),
    }


def test_toml_numbers_stay_exact() -> None:
    """The same, with TOML's spellings."""
    data = read_toml(b"a = 0.1\nb = 5\nc = 1e2\nd = nan\ne = -inf\nf = 1_0.5\ng = +5.5\n", origin="x")

    assert data == {
        "a": Decimal("0.1"),
        "b": 5,
        "c": RefusedNumber("1e2"),
        "d": RefusedNumber("nan"),
        "e": RefusedNumber("-inf"),
        "f": Decimal("10.5"),
        "g": Decimal("5.5"),
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ('{"a": 1,}', "no JSON"),
        ("\ufeff{}", "no JSON"),
        ('{"a": 1, "a": 2}', "the key 'a' is given twice"),
        ('{"b": {"a": 1, "c": 1, "a": 1}}', "the key 'a' is given twice"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "too many digits"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8"),
        (b'{"a": "\xe4"}', "is not UTF-8"),
        (b"\x00", "no JSON"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_json_is_refused(text: str | bytes, problem: str) -> None:
    """By our own error, with the origin."""
    with pytest.raises(ConfigError, match=problem) as caught:
        read_json(text, origin="flags.json")

    assert caught.value.path == "flags.json"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = ", "no TOML"),
        ("a = 1\na = 2", "no TOML"),
        (b"\xff", "is not UTF-8"),
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "9" * 5000, "too many digits"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_toml_is_refused(text: str | bytes, problem: str) -> None:
    """By our own error, with the origin."""
    with pytest.raises(ConfigError, match=problem) as caught:
        read_toml(text, origin="flags.toml")

    assert caught.value.path == "flags.toml"


@pytest.mark.parametrize("read", [read_json, read_toml])
def test_text_and_bytes_are_alike(read: Callable[..., object]) -> None:
    """UTF-8 is the only encoding."""
    text = '{"a": "ä"}' if read is read_json else 'a = "ä"'

    assert read(text, origin="x") == read(text.encode(), origin="x") == {"a": "ä"}
