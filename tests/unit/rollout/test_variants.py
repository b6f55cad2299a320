"""What a flag answers with: names, values of one kind, exact numbers, objects that nobody can change."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rollout.errors import ConfigError
from rollout.flags import Flag, FlagKey, Variants
from rollout.sources.dump import FlagSet, dumps
from rollout.sources.schema import loads_json
from rollout.variants import Json, Kind, served, value_of


@pytest.mark.parametrize(
    ("on", "off", "kind"),
    [
        pytest.param(True, False, Kind.BOOLEAN, id="boolean"),
        pytest.param("hi", "bye", Kind.STRING, id="string"),
        pytest.param(10, 1, Kind.INTEGER, id="integer"),
        pytest.param(Decimal("0.5"), Decimal("0.1"), Kind.FLOAT, id="float"),
        pytest.param(0.5, 0, Kind.FLOAT, id="float-and-integer"),
        pytest.param({"a": [1, None, 0.5]}, [], Kind.OBJECT, id="object-and-list"),
    ],
)
def test_both_values_are_of_one_kind(on: object, off: object, kind: Kind) -> None:
    """The kind is told by the values; whole and broken numbers together are fractions."""
    variants = Variants(on_value=on, off_value=off)  # type: ignore[arg-type]

    assert variants.kind is kind


@pytest.mark.parametrize(
    ("on", "off", "path", "message"),
    [
        pytest.param("hi", 1, "values", "one type, got integer and string", id="two-kinds"),
        pytest.param(False, True, "values", "true for on and false for off", id="booleans-swapped"),
        pytest.param(True, "x", "values", "one type", id="boolean-and-text"),
        pytest.param(None, "x", "values.on", "must be true, false", id="null"),
        pytest.param(2**63, 1, "values.on", "beyond 64 bits", id="integer-too-large"),
        pytest.param(float("nan"), 1, "values.on", "finite", id="nan"),
        pytest.param(Decimal("1e400"), 1, "values.on", "finite", id="decimal-too-large"),
        pytest.param(Decimal("0." + "1" * 70), 1, "values.on", "64 digits", id="too-many-digits"),
        pytest.param("\ud800", "x", "values.on", "surrogate", id="surrogate"),
        pytest.param({1: 2}, {}, "values.on", "key of an object", id="key-no-text"),
        pytest.param({"a": object()}, {}, "values.on", "got object", id="no-json"),
        pytest.param({"a": "x" * 16_384}, {}, "values.on", "16,384 bytes", id="too-long"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(on: object, off: object, path: str, message: str) -> None:
    """The error names the value's place and what is allowed."""
    with pytest.raises(ConfigError, match=message) as caught:
        Variants(on_value=on, off_value=off)  # type: ignore[arg-type]

    assert caught.value.path == path


def test_an_object_nested_too_deeply_is_refused() -> None:
    """33 levels are one too many."""
    nested: object = 1
    for _ in range(33):
        nested = [nested]

    with pytest.raises(ConfigError, match="deeper than 32"):
        value_of(nested, path="values.on")


def test_an_object_is_handed_out_anew_each_time() -> None:
    """Whoever changes what it got changes nothing here; fractions are floats outside, exact inside."""
    value = value_of({"b": [Decimal("0.10")], "a": "ü"}, path="values.on")

    first, second = served(value, Kind.OBJECT), served(value, Kind.OBJECT)

    assert first == second == {"a": "ü", "b": [0.1]}
    assert first is not second
    assert value == Json('{"a":"ü","b":[0.10]}')
    assert value_of(value, path="values.on") == value


def test_a_fraction_is_handed_out_as_a_float() -> None:
    """A whole number too, where a fraction was asked for; text and booleans stay as they are."""
    assert served(Decimal("0.5"), Kind.FLOAT) == 0.5
    assert type(served(10, Kind.FLOAT)) is float
    assert served(10, Kind.INTEGER) == 10
    assert served("hi", Kind.STRING) == "hi"


def test_values_and_metadata_survive_a_file() -> None:
    """What is written reads back the same, exact numbers included."""
    flag = Flag(
        key=FlagKey("f"),
        variants=Variants(on="template", off="empty", on_value=Json('{"n":0.10}'), off_value=Json("{}")),
        metadata=(("float", Decimal("0.1")), ("string", "1.0.2")),
        version=3,
    )

    read = loads_json(dumps(FlagSet(flags={flag.key: flag}, version=3), sealed=True))

    assert read.flags[flag.key] == flag
    assert hash(read.flags[flag.key]) == hash(flag)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param('{"values": {"on": "a"}}', "flags.f.values.off: is missing", id="one-missing"),
        pytest.param('{"values": {"on": "a", "off": "b", "x": "c"}}', "unknown key 'x'", id="a-third"),
        pytest.param('{"values": {"on": 1e3, "off": 1}}', "no exponent", id="exponent"),
        pytest.param('{"values": {"on": {"a": [1e3]}, "off": {}}}', "no exponent", id="exponent-inside"),
        pytest.param('{"metadata": {}}', "1 to 16", id="no-metadata"),
        pytest.param('{"metadata": {"a b": 1}}', "is not allowed", id="metadata-name"),
        pytest.param('{"metadata": {"a": {}}}', "flags.f.metadata.a: must be a text", id="metadata-object"),
        pytest.param('{"metadata": {"a": null}}', "flags.f.metadata.a: must be true", id="metadata-null"),
    ],
)
def test_a_file_with_bad_values_is_refused(body: str, message: str) -> None:
    """With the place, as everywhere in the schema."""
    with pytest.raises(ConfigError) as caught:
        loads_json(f'{{"schema": 1, "flags": {{"f": {body}}}}}')

    assert message in str(caught.value)


def test_metadata_that_is_no_table_is_refused() -> None:
    """In code it is a mapping, or names and values one by one."""
    with pytest.raises(ConfigError, match="1 to 16"):
        Flag(key=FlagKey("f"), metadata=5)  # type: ignore[arg-type]
