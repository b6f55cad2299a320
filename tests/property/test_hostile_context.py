"""Property: no unit and no attribute makes the evaluator raise, or open in doubt (the contract §2)."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rollout.context import EvaluationContext
from rollout.decision import Decision, ErrorCode, Reason
from rollout.evaluator import evaluate
from rollout.flags import FlagKey
from tests.property.evaluator_model import (
    ATTRIBUTES,
    FULL,
    KEY,
    controls,
    decide,
    snapshot_of,
    unit_name,
)


class Hostile:
    """An object that fails, whatever is asked of it."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("touched")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __str__ = __repr__ = __bool__ = __len__ = _fail
    __iter__ = __contains__ = __getitem__ = __int__ = __float__ = __index__ = __format__ = __call__ = _fail
    __hash__ = _fail  # type: ignore[assignment]


class Agreeable(Hostile):
    """An object that says yes to everything."""

    def _yes(self, *_: object) -> Any:
        return True

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __contains__ = _yes

    def __hash__(self) -> int:
        return 1


class HostileText(str):
    """A text whose methods fail."""

    __slots__ = ()

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("touched")

    __eq__ = __lt__ = __str__ = __repr__ = __len__ = encode = startswith = endswith = __contains__ = _fail
    __hash__ = _fail  # type: ignore[assignment]


class HostileNumber(int):
    """A whole number whose methods fail."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("touched")

    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __str__ = __repr__ = __format__ = __bool__ = _fail
    __hash__ = _fail  # type: ignore[assignment]


class HostileMapping(dict):  # type: ignore[type-arg]
    """Attributes that cannot be read."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("touched")

    __getitem__ = __contains__ = __iter__ = __len__ = __bool__ = get = items = keys = _fail


class Box:
    """Keeps a hostile object out of hypothesis' own hands: it would compare and print it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Box(a {type(self.value).__name__})"


NO_UNITS: list[Any] = [None, True, False, "", b"", b"101", 1.0, math.nan, math.inf, object(), ..., int]
NO_UNITS += [Hostile(), Agreeable(), [101], (101,), {"id": 101}, 10**5000, -(10**5000), 1j]
UNITS_OF_A_KIND: list[Any] = [101, "101", HostileText("eu"), HostileNumber(7)]


def boxed(*values: Any) -> st.SearchStrategy[Box]:
    """One of these values, in a box."""
    return st.integers(0, len(values) - 1).map(lambda at: Box(values[at]))


NOT_UNITS = st.one_of(
    boxed(*NO_UNITS),
    st.one_of(st.floats(), st.binary(), st.complex_numbers()).map(Box),
    st.builds(lambda a, c: Box(a + chr(c)), st.text(max_size=3), st.integers(0xD800, 0xDFFF)),
)
ANYTHING = st.one_of(
    NOT_UNITS, boxed(*UNITS_OF_A_KIND), st.one_of(st.text(), st.integers(), st.decimals()).map(Box)
)
OPERATORS = ["equals", "in", "not_in", "starts_with", "ends_with", "contains", "gt", "gte", "lt", "lte"]
WANTED: dict[str, Any] = dict.fromkeys(OPERATORS[:6], "eu") | dict.fromkeys(OPERATORS[6:], 5)
WANTED |= {"in": ["eu", 7], "not_in": ["us", 8]}


@given(NOT_UNITS)
def test_what_is_no_unit_is_off_even_at_a_hundred(unit: Box) -> None:
    """True, None, "", floats, bytes, lone surrogates, objects: off, ERROR, and one of two codes (§2)."""
    decision = decide(FULL, unit.value)

    assert decision.value is False
    assert decision.reason is Reason.ERROR
    assert decision.error_code in {ErrorCode.TARGETING_KEY_MISSING, ErrorCode.INVALID_CONTEXT}
    assert isinstance(decision.explain(), str)


@settings(max_examples=300)  # every operator against every kind of value
@given(ANYTHING, st.sampled_from(OPERATORS), ANYTHING, st.booleans())
@example(Box(101), "in", Box(Hostile()), False)
@example(Box(101), "equals", Box(Agreeable()), False)
@example(Box(101), "not_in", Box(Agreeable()), False)
@example(Box(10**5000), "gt", Box(10**5000), True)
@example(Box(101), "gt", Box(math.nan), False)
@example(Box(101), "not_in", Box(math.nan), False)
def test_no_context_makes_the_evaluator_raise_or_open(
    unit: Box, operator: str, value: Box, full: bool
) -> None:
    """Hostile units and attributes: no exception, and on only for a true unit (§2, fail safe)."""
    rule = {"if": [{"attribute": "region", "op": operator, "value": WANTED[operator]}], "serve": "on"}
    flag = {"percentage": "100" if full else "0", "unit": "tournament_id", "rules": [rule]}

    decision = decide(flag, unit.value, {"region": value.value})

    assert isinstance(decision, Decision)
    assert type(decision.value) is bool
    is_unit = isinstance(unit.value, (str, int)) and any(unit.value is each for each in UNITS_OF_A_KIND)
    if not is_unit and unit_name(unit.value) is None:
        assert decision.value is False
    if not full and isinstance(value.value, (Hostile, bytes, list, tuple, dict, bool, complex, type(None))):
        assert decision.value is False


@given(st.sampled_from(OPERATORS), st.floats(), st.booleans())
def test_numbers_that_are_none_match_nothing(operator: str, number: float, negative: bool) -> None:
    """NaN and infinities match no rule; finite numbers compare exactly with gt, gte, lt, lte (§2)."""
    rule = {"if": [{"attribute": "size", "op": operator, "value": WANTED[operator]}], "serve": "on"}
    flag = {"percentage": "0", "unit": "tournament_id", "rules": [rule]}
    compares = {"gt": number > 5, "gte": number >= 5, "lt": number < 5, "lte": number <= 5}
    compares |= {"in": number == 7, "not_in": number != 8}

    assert decide(flag, 101, {"size": number}).value is (
        math.isfinite(number) and compares.get(operator, False)
    )


@pytest.mark.parametrize("attributes", [None, 5, "region", [], HostileMapping(region="eu"), Hostile()])
def test_attributes_that_are_no_mapping_open_nothing(attributes: Any) -> None:
    """Attributes of another shape: no exception, and the rule does not match (§2)."""
    rule = {"if": [{"attribute": "region", "op": "in", "value": ["eu"]}], "serve": "on"}
    flag = {"percentage": "0", "unit": "tournament_id", "rules": [rule]}
    try:
        context = EvaluationContext(unit=101, attributes=attributes)
    except Exception as error:
        assert type(error).__module__ == "rollout.errors"
        return

    assert evaluate(snapshot_of(flag), KEY, context, controls=controls()).value is False


@given(ATTRIBUTES, st.text(max_size=10).filter(lambda key: key != str(KEY)))
def test_an_unknown_flag_is_off(attributes: dict[str, str], key: str) -> None:
    """A flag that is not there: off, FLAG_NOT_FOUND, no exception (§2, missing flag)."""
    context = EvaluationContext(unit=101, attributes=attributes)

    decision = evaluate(snapshot_of(FULL), FlagKey(key), context, controls=controls())

    assert decision.value is False
    assert decision.error_code is ErrorCode.FLAG_NOT_FOUND
