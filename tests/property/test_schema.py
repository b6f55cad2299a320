"""Property: a configuration survives dump and parse, and a damaged file changes nothing (the contract §2)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.snapshot import SourceStatus
from rollout.sources.file import FileSource
from rollout.sources.schema import dumps, loads_json, parse

pytestmark = pytest.mark.slow

KEYS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=20).filter(
    lambda key: key[0].isalnum()
)
SALTS = st.text("ABCabc019._-", min_size=1, max_size=20)
PERCENTS = st.one_of(
    st.sampled_from(["0", "100", "5", "12.5", "0.00000000000000000001", "99.99999999999999999999"]),
    st.builds("{}.{}".format, st.integers(0, 99), st.text("0123456789", min_size=1, max_size=20)),
)
UNIT_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=10)
NUMBERS = st.integers(-(10**9), 10**9)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)


def condition(operator: str) -> st.SearchStrategy[dict[str, Any]]:
    """A condition whose value has the operator's type."""
    value: st.SearchStrategy[Any] = TEXTS
    if operator in {"in", "not_in"}:
        value = st.lists(TEXTS, min_size=1, max_size=3, unique=True)
    elif operator in {"gt", "gte", "lt", "lte"}:
        value = NUMBERS
    return st.fixed_dictionaries(
        {"attribute": st.sampled_from(["region", "size"]), "op": st.just(operator), "value": value}
    )


OPERATORS = ["equals", "in", "not_in", "starts_with", "ends_with", "contains", "gt", "gte", "lt", "lte"]
RULES = st.fixed_dictionaries(
    {
        "if": st.lists(st.sampled_from(OPERATORS).flatmap(condition), min_size=1, max_size=2),
        "serve": st.sampled_from(["on", "off"]) | st.fixed_dictionaries({"percentage": PERCENTS}),
    }
)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Valid configurations: up to four flags with everything a file may say."""
    flags = {}
    for key in draw(st.lists(KEYS, max_size=4, unique=True)):
        forced = draw(st.lists(UNIT_TEXTS, max_size=4, unique=True))
        cut = draw(st.integers(0, len(forced)))
        flag: dict[str, Any] = {
            "percentage": draw(PERCENTS),
            "unit": draw(st.sampled_from(["tournament_id", "user"])),
        }
        if draw(st.booleans()):
            flag |= {"enabled": draw(st.booleans()), "forced_on": forced[:cut], "forced_off": forced[cut:]}
        if draw(st.booleans()):
            flag |= {"salt": draw(SALTS), "algorithm": "r1", "rules": draw(st.lists(RULES, max_size=2))}
        flags[key] = flag
    return {"schema": 1, "version": draw(st.integers(1, 10**9)), "flags": flags}


@given(configurations(), st.booleans())
def test_parse_after_dump_is_the_identity(data: dict[str, Any], sealed: bool) -> None:
    """Parse ∘ dump = identity, and dump ∘ parse ∘ dump = dump, sealed or not (§2: one strict schema)."""
    first = parse(data, origin="test")
    text = dumps(first, sealed=sealed)
    second = loads_json(text, origin="test")

    assert second == first
    assert dumps(second, sealed=sealed) == text
    assert second.version == data["version"]
    assert set(second.flags) == set(data["flags"])
    for key, flag in data["flags"].items():
        assert str(second.flags[key].percentage.value.normalize()) == str(
            first.flags[key].percentage.value.normalize()
        )
        assert second.flags[key].unit == flag["unit"]


@settings(max_examples=200)  # a byte and its replacement are drawn
@given(configurations(), st.data())
def test_a_corrupted_byte_of_a_sealed_dump_changes_nothing(data: dict[str, Any], draw: st.DataObject) -> None:
    """Any one byte replaced: refused with our error, or the very same configuration (§2)."""
    good = parse(data, origin="test")
    raw = dumps(good, sealed=True).encode()
    at, byte = draw.draw(st.integers(0, len(raw) - 1)), draw.draw(st.integers(0, 255))
    changed = raw[:at] + bytes([byte]) + raw[at + 1 :]

    try:
        loaded = loads_json(changed, origin="test")
    except ConfigError:
        return
    assert loaded == good


def test_no_flipped_bit_of_a_sealed_dump_is_taken_for_a_configuration() -> None:
    """Every single bit of one sealed file: refused, or the very same configuration (§2)."""
    rule = {"if": [{"attribute": "size", "op": "gt", "value": 8}], "serve": {"percentage": "50"}}
    flag = {
        "percentage": "12.5",
        "unit": "tournament_id",
        "salt": "s1",
        "forced_on": ["101"],
        "rules": [rule],
    }
    good = parse({"schema": 1, "version": 7, "flags": {"a": flag}}, origin="test")
    raw = dumps(good, sealed=True).encode()
    refused = 0
    for at in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[at // 8] ^= 1 << at % 8
        try:
            assert loads_json(bytes(changed), origin="test") == good, bytes(changed)
        except ConfigError:
            refused += 1

    assert refused > 7 * len(raw)


@settings(max_examples=60)  # each example writes files
@given(configurations(), st.data())
def test_a_damaged_file_leaves_the_last_known_good(data: dict[str, Any], draw: st.DataObject) -> None:
    """FileSource on a sealed file with any byte damaged, cut or emptied: the flags stay as they were (§2)."""
    good = parse(data, origin="test")
    raw = dumps(good, sealed=True).encode()
    kind = draw.draw(st.sampled_from(["byte", "cut", "empty", "gone", "directory"]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        path.write_bytes(raw)
        source = FileSource(path)
        before = source.snapshot()

        at = draw.draw(st.integers(0, len(raw) - 1))
        path.unlink()
        if kind == "directory":
            path.mkdir()
        elif kind != "gone":
            byte = bytes([draw.draw(st.integers(0, 255))])
            path.write_bytes({"byte": raw[:at] + byte + raw[at + 1 :], "cut": raw[:at], "empty": b""}[kind])
        after = source.snapshot()

    assert before.status is SourceStatus.READY
    assert dict(before.flags) == dict(good.flags)
    assert dict(after.flags) == dict(good.flags)
    assert after.version == good.version
    if kind in {"empty", "directory", "gone"}:
        assert after.status is not SourceStatus.READY
        assert after.problem


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff\xfe{\x00")
@example(b"null")
@example(b"[" * 100_000)
@example(b'{"schema":1,"version":1,"flags":{"a":{"percentage":' + b"9" * 5000 + b"}}}")
def test_any_bytes_are_read_or_refused_with_our_error(raw: bytes) -> None:
    """loads_json gives a FlagSet or ConfigError, for any bytes (§2)."""
    with pytest.raises(ConfigError) as caught:
        loads_json(raw, origin="test")

    assert str(caught.value)


@given(
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3)
        ),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.sampled_from(["whole", "flags", "flag", "percentage", "rules", "forced_on", "salt", "version"]),
)
def test_any_data_is_parsed_or_refused_with_our_error(value: Any, where: str) -> None:
    """Parse gives a FlagSet or ConfigError, whatever stands wherever (§2)."""
    flag: Any = {"percentage": "5", "unit": "tournament_id"}
    if where in {"percentage", "rules", "forced_on", "salt"}:
        flag = flag | {where: value}
    flags: Any = {"a": value if where == "flag" else flag}
    whole: Any = {"schema": 1, "version": 1, "flags": flags}
    if where in {"flags", "version"}:
        whole[where] = value

    try:
        parse(value if where == "whole" else whole, origin="test")
    except ConfigError as error:
        assert error.path is not None
        assert str(error)


HOSTILE = [
    "NaN", '"NaN"', "-1", '"-1"', "101", '"101"', '"50%"', '"1e2"', "1e2", "1e400", '"1e400"', "true",
    "false", "Infinity",
    "-Infinity", '""', '" 5"', '"5 "', '"+5"', '"٥"', '"5_0"', '"0x5"', "[]", "{}",
    '"100.00000000000000000001"', '"."',
    '"5."', '".5"', '"-0.1"', '"5,5"', '"0.000000000000000000001"', '"²"', '"5\\n"', '"1/2"', "100.5",
    "5E0", '"inf"',
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_percentage_that_is_none_is_refused(text: str) -> None:
    """NaN, −1, 101, "50%", exponents, other digits, true: ConfigError that names the place (§2)."""
    whole = (
        '{"schema":1,"version":1,"flags":{"tournament-webhooks":{"percentage":%s,"unit":"tournament_id"}}}'
    )

    with pytest.raises(ConfigError) as caught:
        loads_json(whole % text, origin="test")

    assert "percentage" in caught.value.path or "percentage" in str(caught.value)


@given(
    st.sampled_from(["percentage", "enabled", "forced_on", "rules", "algorithm"]),
    st.integers(0, 20),
    st.characters(),
)
def test_a_misspelt_key_is_refused(word: str, at: int, letter: str) -> None:
    """An unknown key is an error, never ignored: a misspelt percentage must not read as a default (§1)."""
    at %= len(word)
    spelt = word[:at] + letter + word[at:]
    flag: dict[str, Any] = {"percentage": "5", "unit": "tournament_id", spelt: []}

    with pytest.raises(ConfigError):
        parse({"schema": 1, "version": 1, "flags": {"a": flag}}, origin="test")


@given(st.sampled_from(["schema", "version", "flags"]))
def test_a_key_said_twice_is_refused(key: str) -> None:
    """Two readers may pick different ones of two equal keys (§2: one strict schema)."""
    body = {"schema": "1", "version": "1", "flags": "{}"}
    text = ",".join(f'"{name}":{value}' for name, value in body.items())

    loads_json("{" + text + "}", origin="test")
    with pytest.raises(ConfigError):
        loads_json("{" + text + f',"{key}":{body[key]}' + "}", origin="test")


@settings(max_examples=40)  # each example writes files
@given(st.integers(2, 100), st.integers(1, 99))
def test_an_older_file_is_not_taken(version: int, percent: int) -> None:
    """A lower version than seen: the last good stays, and the status says that the store went back (§2)."""

    def text(number: int, share: int) -> str:
        flag = {"percentage": str(share), "unit": "tournament_id"}
        return json.dumps({"schema": 1, "version": number, "flags": {"a": flag}})

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        path.write_text(text(version, percent))
        source = FileSource(path)
        before = source.snapshot()
        path.unlink()
        path.write_text(text(version - 1, 100) + " ")
        after = source.snapshot()

    assert dict(after.flags) == dict(before.flags)
    assert after.status is SourceStatus.STORE_WENT_BACK


@settings(max_examples=60)  # each example writes files
@given(SALTS, SALTS, PERCENTS, PERCENTS, st.integers(0, 2))
def test_a_file_may_change_a_percentage_but_never_a_salt(
    one: str, other: str, before: str, after: str, step: int
) -> None:
    """A percentage takes effect at once, up or down; another salt is refused and the last good kept (§2)."""

    def text(salt: str, share: str, version: int) -> str:
        flag = {"percentage": share, "unit": "tournament_id", "salt": salt}
        return json.dumps({"schema": 1, "version": version, "flags": {"a": flag}})

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        path.write_text(text(one, before, 5))
        source = FileSource(path)
        source.snapshot()
        path.write_text(text(one, after, 5 + step))
        changed = source.snapshot()
        path.write_text(text(other, "100", 9))
        last = source.snapshot()

    assert changed.flags[FlagKey("a")].percentage == Percentage.parse(after)
    assert last.flags[FlagKey("a")].salt == one
    if other != one:
        assert dict(last.flags) == dict(changed.flags)
        assert last.status is not SourceStatus.READY
    else:
        assert last.flags[FlagKey("a")].percentage == Percentage.EVERYBODY
