"""The schema reads what is right exactly, refuses what is wrong by its path, and is what is published."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import jsonschema
import pytest

import rollout.sources.schema
from rollout.errors import ConfigError
from rollout.flags import Condition, Flag, FlagKey, Operator, Rule, Variants
from rollout.percentage import Percentage
from rollout.sources.dump import FlagSet, checksum, dumps
from rollout.sources.schema import loads_json, loads_toml, parse, parse_flag

PUBLISHED = json.loads((Path(rollout.sources.schema.__file__).parent / "flags.schema.json").read_text())

FULL = """
{"schema": 1, "version": 7, "flags": {"tournament-webhooks": {
  "percentage": 5.5, "unit": "match_id", "enabled": false, "salt": "s", "algorithm": "r1",
  "forced_on": [101, "a"], "forced_off": [7],
  "rules": [
    {"if": [{"attribute": "region", "op": "in", "value": ["eu", 1, 2.5, true]},
            {"attribute": "size", "op": "gte", "value": 8}], "serve": {"percentage": "50"}},
    {"if": [{"attribute": "name", "op": "starts_with", "value": "Zü"}], "serve": "off"}],
  "variants": {"on": "new", "off": "old"}}}}
"""

FLAG = Flag(
    key=FlagKey("tournament-webhooks"),
    percentage=Percentage.parse("5.5"),
    unit="match_id",
    enabled=False,
    salt="s",
    forced_on=frozenset({"101", "a"}),
    forced_off=frozenset({"7"}),
    rules=(
        Rule(
            conditions=(
                Condition(attribute="region", operator=Operator.IN, value=("eu", 1, Decimal("2.5"), True)),
                Condition(attribute="size", operator=Operator.GTE, value=8),
            ),
            serve=Percentage.parse(50),
        ),
        Rule(
            conditions=(Condition(attribute="name", operator=Operator.STARTS_WITH, value="Zü"),), serve="off"
        ),
    ),
    variants=Variants(on="new", off="old"),
    version=7,
)


def one(body: object, **top: object) -> dict[str, object]:
    """Build the data of a configuration with one flag, `a`."""
    return {"schema": 1, "flags": {"a": body}, **top}


def test_a_full_configuration_is_read_exactly() -> None:
    """Every key there is."""
    assert loads_json(FULL) == FlagSet(flags={FLAG.key: FLAG}, version=7)


def test_toml_says_the_same() -> None:
    """One schema, two languages."""
    read = loads_toml(
        """
        schema = 1
        version = 7
        [flags.tournament-webhooks]
        percentage = 5.5
        unit = "match_id"
        enabled = false
        salt = "s"
        algorithm = "r1"
        forced_on = [101, "a"]
        forced_off = [7]
        variants = { on = "new", off = "old" }
        [[flags.tournament-webhooks.rules]]
        if = [{ attribute = "region", op = "in", value = ["eu", 1, 2.5, true] },
              { attribute = "size", op = "gte", value = 8 }]
        serve = { percentage = "50" }
        [[flags.tournament-webhooks.rules]]
        if = [{ attribute = "name", op = "starts_with", value = "Zü" }]
        serve = "off"
        """
    )

    assert read == loads_json(FULL)


def test_an_empty_configuration_and_an_empty_flag_are_good() -> None:
    """A flag without a percentage is nobody."""
    assert loads_json('{"schema": 1, "flags": {}}') == FlagSet()
    assert parse(one({}), origin="x").flags[FlagKey("a")].percentage is None


@pytest.mark.parametrize("written", ["5", "5.0", "5.00", '"5"', '"5.00"'])
def test_a_percentage_may_be_a_number_or_its_text(written: str) -> None:
    """JSON numbers are read as the decimal they are written as."""
    flags = loads_json(f'{{"schema": 1, "flags": {{"a": {{"percentage": {written}}}}}}}').flags

    assert flags[FlagKey("a")].percentage == Percentage.parse(5)


def test_settings_may_hold_decimals_uuids_and_ready_flags() -> None:
    """What Python code has and JSON has not."""
    uuid = UUID(int=5)
    flag = Flag(key=FlagKey("a"), percentage=Percentage.parse(5))

    read = parse(one({"percentage": Decimal("2.5"), "forced_on": {uuid}}), origin="x").flags[FlagKey("a")]

    assert read.percentage == Percentage.parse("2.5")
    assert read.forced_on == {str(uuid)}
    assert parse(one(flag), origin="x").flags[FlagKey("a")] is flag
    with pytest.raises(ConfigError, match=r"flags\.b: must be a table"):
        parse_flag("b", flag)


CONDITION = {"attribute": "region", "op": "equals", "value": "eu"}

WRONG: list[tuple[object, str]] = [
    ([], "x: must be a table"),
    ({"flags": {}}, "x: schema: is missing"),
    ({"schema": 1}, "x: flags: is missing"),
    ({"schema": 2, "flags": {}}, "x: schema: must be 1"),
    ({"schema": True, "flags": {}}, "x: schema: must be 1"),
    ({"schema": "1", "flags": {}}, "x: schema: must be 1"),
    ({"schema": 1, "flags": []}, "x: flags: must be a table"),
    ({"schema": 1, "flags": {}, "vesion": 1}, "x: unknown key 'vesion'; nearest known: version"),
    ({"schema": 1, "flags": {5: {}}}, "x: flags: a key must be text"),
    (one({}, version=-1), "x: version: must be an integer"),
    (one({}, version=2**63), "x: version: must be an integer"),
    (one({}, version="7"), "x: version: must be an integer"),
    (one({}, version=True), "x: version: must be an integer"),
    (one({}, checksum="sha256:00"), "x: checksum: does not hold"),
    (one({}, checksum=None), "x: checksum: does not hold"),
    (one(None), r"x: flags\.a: must be a table"),
    (one(50), r"x: flags\.a: must be a table"),
    (one({"percent": 5}), r"x: flags\.a: unknown key 'percent'; nearest known: percentage"),
    (one({"zzz": 5}), r"x: flags\.a: unknown key 'zzz'; known: percentage, unit"),
    (one({"percentage": None}), r"x: flags\.a\.percentage: got NoneType"),
    (one({"percentage": "50%"}), r"x: flags\.a\.percentage: '50%' is no percentage"),
    (one({"percentage": "NaN"}), r"x: flags\.a\.percentage"),
    (one({"percentage": -1}), r"x: flags\.a\.percentage"),
    (one({"percentage": 101}), r"x: flags\.a\.percentage"),
    (one({"percentage": True}), r"x: flags\.a\.percentage: got bool"),
    (one({"percentage": 0.5}), r"x: flags\.a\.percentage: a float is not exact"),
    (one({"enabled": "yes"}), r"x: flags\.a\.enabled: must be true or false"),
    (one({"enabled": 1}), r"x: flags\.a\.enabled"),
    (one({"salt": ""}), r"x: flags\.a\.salt: must be a text"),
    (one({"salt": "a b"}), r"x: flags\.a\.salt"),
    (one({"unit": None}), r"x: flags\.a\.unit: must be a text"),
    (one({"algorithm": "r2"}), r"x: flags\.a\.algorithm: must be one of r1"),
    (one({"algorithm": ["r1"]}), r"x: flags\.a\.algorithm"),
    (one({"forced_on": "101"}), r"x: flags\.a\.forced_on: must be a list"),
    (one({"forced_on": [True]}), r"x: flags\.a\.forced_on: a unit is"),
    (one({"forced_off": [""]}), r"x: flags\.a\.forced_off: holds an empty unit"),
    (one({"forced_off": None}), r"x: flags\.a\.forced_off: must be a list"),
    (one({"rules": {}}), r"x: flags\.a\.rules: must be a list"),
    (one({"rules": ["on"]}), r"x: flags\.a\.rules\[0\]: must be a table"),
    (one({"rules": [{"serve": "on"}]}), r"x: flags\.a\.rules\[0\]\.if: is missing"),
    (one({"rules": [{"if": [CONDITION]}]}), r"x: flags\.a\.rules\[0\]\.serve: is missing"),
    (one({"rules": [{"if": [], "serve": "on"}]}), r"x: flags\.a\.rules\[0\]\.if: a rule needs"),
    (one({"rules": [{"if": [CONDITION], "serve": "yes"}]}), r"x: flags\.a\.rules\[0\]\.serve: must be"),
    (
        one({"rules": [{"if": [CONDITION], "serve": {}}]}),
        r"x: flags\.a\.rules\[0\]\.serve\.percentage: is missing",
    ),
    (
        one({"rules": [{"if": [CONDITION], "serve": {"percentage": 101}}]}),
        r"x: flags\.a\.rules\[0\]\.serve\.percentage",
    ),
    (
        one({"rules": [{"if": [CONDITION], "serve": {"share": 5}}]}),
        r"x: flags\.a\.rules\[0\]\.serve: unknown key",
    ),
    (
        one(
            {
                "rules": [
                    {"if": [CONDITION], "serve": "on"},
                    {"if": [{**CONDITION, "op": "iss"}], "serve": "on"},
                ]
            }
        ),
        r"x: flags\.a\.rules\[1\]\.if\[0\]\.op: unknown operator",
    ),
    (one({"rules": [{"if": [{**CONDITION, "op": 5}], "serve": "on"}]}), r"if\[0\]\.op: must be a text"),
    (
        one({"rules": [{"if": [{**CONDITION, "value": 0.5}], "serve": "on"}]}),
        r"if\[0\]\.value: a float is not exact",
    ),
    (
        one({"rules": [{"if": [{**CONDITION, "value": None}], "serve": "on"}]}),
        r"if\[0\]\.value: must be a text, a",
    ),
    (
        one({"rules": [{"if": [{**CONDITION, "op": "in", "value": ["eu", None]}], "serve": "on"}]}),
        r"if\[0\]\.value\[1\]: must be a text, a",
    ),
    (one({"rules": [{"if": [{**CONDITION, "attribute": "a b"}], "serve": "on"}]}), r"if\[0\]\.attribute"),
    (one({"rules": [{"if": [{"op": "in", "value": []}], "serve": "on"}]}), r"if\[0\]\.attribute: is missing"),
    (one({"variants": "on"}), r"x: flags\.a\.variants: must be a table"),
    (one({"variants": {"on": "off"}}), r"x: flags\.a\.variants: on and off must have different names"),
    (one({"variants": {"onn": "x"}}), r"x: flags\.a\.variants: unknown key 'onn'; nearest known: on"),
    (one({"variants": {"on": ""}}), r"x: flags\.a\.variants\.on: must be a text"),
    ({"schema": 1, "flags": {"a b": {}}}, r"x: flags\.a b\.key: 'a b' is not allowed"),
    ({"schema": 1, "flags": {"ä" * 99: {}}}, r"x: flags\.'\\xe4"),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=[ascii(row[0])[:60] for row in WRONG])
def test_what_is_wrong_is_refused_by_its_path(data: object, message: str) -> None:
    """One error, with origin, path and what is allowed; never the whole value."""
    with pytest.raises(ConfigError, match=message) as caught:
        parse(data, origin="x")

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("number", ["1e2", "1E400", "NaN", "Infinity", "-Infinity", "5e-1"])
@pytest.mark.parametrize(
    "place",
    ['"percentage": %s', '"rules": [{"if": [{"attribute": "b", "op": "gt", "value": %s}], "serve": "on"}]'],
)
def test_exponents_and_no_numbers_are_refused_where_they_stand(number: str, place: str) -> None:
    """In a percentage and in a rule."""
    with pytest.raises(ConfigError, match=r"flags\.a\..*: no exponent, NaN or infinity"):
        loads_json(f'{{"schema": 1, "flags": {{"a": {{{place % number}}}}}}}')


def test_what_is_written_reads_back_the_same() -> None:
    """Parse ∘ dump = identity, sealed or not."""
    flags = loads_json(FULL)

    assert loads_json(dumps(flags)) == flags
    assert loads_json(dumps(flags, sealed=True)) == flags


def test_a_seal_holds_over_spaces_and_defaults_and_breaks_with_the_meaning() -> None:
    """The checksum is over what the configuration means."""
    flags = loads_json(FULL)
    data = json.loads(dumps(flags, sealed=True), parse_float=Decimal)

    assert parse(data, origin="x") == flags
    data["flags"]["tournament-webhooks"]["percentage"] = "5.50"
    assert parse(data, origin="x") == flags
    data["flags"]["tournament-webhooks"]["percentage"] = "5.51"
    with pytest.raises(ConfigError, match="checksum: does not hold"):
        parse(data, origin="x")


def test_any_changed_byte_of_a_sealed_file_is_refused_or_means_the_same() -> None:
    """The whole text, one bit at a time."""
    flags = parse(one({"percentage": "5", "forced_on": [101]}, version=3), origin="x")
    text = dumps(flags, sealed=True).encode()
    different = []

    for place in range(len(text)):
        for bit in (0, 3, 6):
            damaged = bytearray(text)
            damaged[place] ^= 1 << bit
            try:
                read = loads_json(bytes(damaged))
            except ConfigError:
                continue
            if read != flags:
                different.append((place, bit))

    assert different == []


GOOD = [
    json.loads(FULL),
    {"schema": 1, "flags": {}},
    one({}),
    one({"percentage": "0.5"}),
    one({"percentage": 100}),
]


@pytest.mark.parametrize("data", GOOD, ids=ascii)
def test_the_published_schema_accepts_what_the_parser_does(data: object) -> None:
    """flags.schema.json is for editors and pipelines."""
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)

    jsonschema.validate(data, PUBLISHED, cls=jsonschema.Draft202012Validator)


#: Refused by the parser, and beyond what a JSON Schema sees: sums, exact numbers, Python types.
BEYOND = ("checksum", "different names", "float", "a key must be", "half a surrogate")


@pytest.mark.parametrize(
    "data",
    [data for data, message in WRONG if not any(word in message for word in BEYOND)],
    ids=lambda data: ascii(data)[:60],
)
def test_the_published_schema_refuses_what_the_parser_does(data: object) -> None:
    """So that an editor underlines what the process would refuse."""
    assert not jsonschema.Draft202012Validator(PUBLISHED).is_valid(data)


def test_the_published_schema_knows_the_same_words() -> None:
    """Keys, operators and algorithms of both lists."""
    flag = PUBLISHED["$defs"]["flag"]["properties"]

    assert set(flag) == set(rollout.sources.schema._FLAG_KEYS)
    assert set(PUBLISHED["properties"]) == set(rollout.sources.schema._FILE_KEYS)
    assert set(PUBLISHED["$defs"]["condition"]["properties"]["op"]["enum"]) == set(Operator)
    assert flag["algorithm"]["enum"] == ["r1"]


def test_a_checksum_does_not_depend_on_the_order_of_keys() -> None:
    """Equal flags, equal checksum."""
    one_way = parse({"schema": 1, "flags": {"a": {}, "b": {"percentage": 5}}}, origin="x")
    other_way = parse({"schema": 1, "flags": {"b": {"percentage": "5.0"}, "a": {}}}, origin="x")

    assert checksum(one_way) == checksum(other_way)
    written = b'{"flags":{"a":{},"b":{"percentage":"5"}},"schema":1,"version":0}'
    assert checksum(one_way) == f"sha256:{hashlib.sha256(written).hexdigest()}"
