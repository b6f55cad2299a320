"""A flag that exists is a valid one; each wrong part is refused by name."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rollout.errors import ConfigError
from rollout.flags import Condition, Flag, FlagKey, Operator, Rule, Variants, units_of
from rollout.percentage import Percentage

KEY = FlagKey("tournament-webhooks")
EU = Condition(attribute="region", operator=Operator.IN, value=("eu",))


def test_a_flag_has_safe_defaults() -> None:
    """Nobody by percentage, its key as salt, algorithm r1."""
    flag = Flag(key=KEY)

    assert (flag.percentage, flag.enabled, flag.salt, flag.algorithm) == (None, True, KEY, "r1")
    assert (flag.forced_on, flag.forced_off, flag.rules, flag.version) == (frozenset(), frozenset(), (), 0)
    assert (flag.variants.on, flag.variants.off) == ("on", "off")


def test_forced_units_become_texts() -> None:
    """101 and "101" are one unit in a list, too."""
    flag = Flag(key=KEY, forced_on=[101, "101", "a"], forced_off=(7,))  # type: ignore[arg-type]

    assert flag.forced_on == {"101", "a"}
    assert flag.forced_off == {"7"}


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"key": ""}, "key"),
        ({"key": "a b"}, "key"),
        ({"key": "ä"}, "key"),
        ({"key": "a\n"}, "key"),
        ({"key": 5}, "key"),
        ({"salt": "a:b"}, "salt"),
        ({"salt": 5}, "salt"),
        ({"algorithm": ""}, "algorithm"),
        ({"unit": "tournament id"}, "unit"),
        ({"unit": "1st"}, "unit"),
        ({"percentage": 5}, "percentage"),
        ({"enabled": 1}, "enabled"),
        ({"forced_on": "101"}, "forced_on"),
        ({"forced_on": [True]}, "forced_on"),
        ({"forced_on": [""]}, "forced_on"),
        ({"forced_off": {"a": 1}}, "forced_off"),
        ({"forced_off": [1.5]}, "forced_off"),
        ({"rules": ("on",)}, "rules"),
        ({"version": -1}, "version"),
        ({"version": True}, "version"),
        ({"version": "7"}, "version"),
    ],
    ids=ascii,
)
def test_each_wrong_part_of_a_flag_is_refused(wrong: dict[str, object], path: str) -> None:
    """The error names the part."""
    with pytest.raises(ConfigError) as caught:
        Flag(**{"key": KEY, **wrong})  # type: ignore[arg-type]

    assert caught.value.path == path


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"attribute": ""}, "attribute"),
        ({"attribute": "a b"}, "attribute"),
        ({"attribute": 5}, "attribute"),
        ({"operator": "is"}, "op"),
        ({"operator": "in", "value": "eu"}, "value"),
        ({"operator": "in", "value": ()}, "value"),
        ({"operator": "not_in", "value": (None,)}, "value"),
        ({"operator": "starts_with", "value": ""}, "value"),
        ({"operator": "contains", "value": 5}, "value"),
        ({"operator": "ends_with", "value": "\ud800"}, "value"),
        ({"operator": "gt", "value": "5"}, "value"),
        ({"operator": "lte", "value": True}, "value"),
        ({"operator": "gte", "value": Decimal("NaN")}, "value"),
        ({"operator": "lt", "value": Decimal("1E+400")}, "value"),
        ({"operator": "lt", "value": Decimal("1E-400")}, "value"),
        ({"operator": "lt", "value": 10**41}, "value"),
        ({"operator": "equals", "value": 1.5}, "value"),
        ({"operator": "equals", "value": None}, "value"),
        ({"operator": "equals", "value": ("a",)}, "value"),
    ],
    ids=ascii,
)
def test_each_wrong_part_of_a_condition_is_refused(wrong: dict[str, object], path: str) -> None:
    """The error names the part."""
    good: dict[str, object] = {"attribute": "region", "operator": "equals", "value": "eu"}

    with pytest.raises(ConfigError) as caught:
        Condition(**{**good, **wrong})  # type: ignore[arg-type]

    assert caught.value.path == path


def test_a_condition_takes_plain_words_and_lists() -> None:
    """An operator may be written as its word, several values as a list."""
    condition = Condition(attribute="region", operator="in", value=["eu", 5])  # type: ignore[arg-type]

    assert condition.operator is Operator.IN
    assert condition.value == ("eu", 5)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (EU, "region in ['eu']"),
        (Condition(attribute="size", operator=Operator.GT, value=Decimal("2.5")), "size gt 2.5"),
        (Condition(attribute="paid", operator=Operator.EQUALS, value=True), "paid equals true"),
    ],
)
def test_a_condition_reads_as_it_is_written(condition: Condition, text: str) -> None:
    """Decisions quote the rule that decided."""
    assert str(condition) == text


@pytest.mark.parametrize(
    ("conditions", "serve", "path"), [((), "on", "if"), (("x",), "on", "if"), ((EU,), "yes", "serve")]
)
def test_each_wrong_part_of_a_rule_is_refused(conditions: object, serve: object, path: str) -> None:
    """A rule without conditions would silently be everybody."""
    with pytest.raises(ConfigError) as caught:
        Rule(conditions=conditions, serve=serve)  # type: ignore[arg-type]

    assert caught.value.path == path


def test_a_rule_reads_as_its_conditions() -> None:
    """All of them must hold: they are joined by "and"."""
    rule = Rule(conditions=(EU, EU), serve=Percentage.parse(5))

    assert str(rule) == "region in ['eu'] and region in ['eu']"


@pytest.mark.parametrize("names", [{"on": "a", "off": "a"}, {"on": ""}, {"off": "a b"}], ids=ascii)
def test_variants_need_two_names(names: dict[str, str]) -> None:
    """Two names, both plain."""
    with pytest.raises(ConfigError) as caught:
        Variants(**names)

    assert caught.value.path == "variants"


def test_units_of_takes_any_list() -> None:
    """Lists, tuples and sets, as JSON, settings and code have them."""
    assert units_of({"a"}, path="x") == units_of(["a"], path="x") == units_of(("a",), path="x") == {"a"}
