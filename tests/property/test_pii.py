"""Property: planted personal data is found wherever it hides, look-alikes are not (the contract §8)."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from webhooks_core.pii import EventFields, Kind, check, scan

pytestmark = pytest.mark.slow

ZERO_WIDTH = ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad"]
NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=10)

EMAILS = st.builds(
    "{}{}{}@{}.{}".format,
    NAMES,
    st.sampled_from(["", ".x", "+tag", "_1", "-a"]),
    st.sampled_from(["", "7"]),
    NAMES,
    st.sampled_from(["com", "org", "co.uk", "museum", "io"]),
)
IPV4S = st.integers(0x01000000, 0xDFFFFFFF).map(IPv4Address).map(str)
IPV6S = st.builds(
    lambda network, rest: IPv6Address((network << 96) | rest),
    st.sampled_from([0x20010DB8, 0x2A001450, 0xFE800000, 0x26064700]),
    st.integers(1, 2**96 - 1),
).flatmap(lambda address: st.sampled_from([str(address), address.exploded, str(address).upper()]))
PHONES = st.one_of(
    st.builds("+{}{}".format, st.sampled_from([1, 44, 49, 880, 7]), st.integers(200_000_000, 999_999_999)),
    st.builds("+1 ({}) {}-{:04}".format, st.integers(201, 989), st.integers(200, 999), st.integers(0, 9999)),
    st.builds("1-{}-{}-{:04}".format, st.integers(201, 989), st.integers(200, 999), st.integers(0, 9999)),
    st.builds("{} 44 20 {:04} {:04}".format, st.just("00"), st.integers(1000, 9999), st.integers(0, 9999)),
    st.builds("+44 20 {:04} {:04}".format, st.integers(1000, 9999), st.integers(0, 9999)),
    st.builds("({}) {}-{:04}".format, st.integers(201, 989), st.integers(200, 999), st.integers(0, 9999)),
)
HANDLES = st.builds("@{}{}".format, NAMES, st.sampled_from(["", "_x", "99"]))

PLANTS = st.one_of(
    st.tuples(EMAILS, st.just("address")),
    st.tuples(IPV4S, st.just("network")),
    st.tuples(IPV6S, st.just("network")),
    st.tuples(PHONES, st.just("phone")),
    st.tuples(HANDLES, st.just("handle")),
)
AROUND = st.sampled_from(
    [
        *[
            ("", ""),
            ("contact ", " please"),
            ("(", ")"),
            ("<", ">"),
            ("a: ", ", b"),
            ("\n", "\t"),
            ('"', '"'),
        ],
        *[
            ("最新 ", " です"),
            ("x=", ";"),
            ("[", "]"),
            ("http://", "/x"),
            ("a=1&b=", "&c=2"),
            ("'", "'"),
            ("*", "*"),
        ],
    ]
)


PERSONAL = {"address", "handle", "network", "phone", "key"}  # the kinds that are personal data (§8)


def personal(data: dict[str, Any], metadata: dict[str, Any]) -> list[object]:
    """What is personal in an event without an allow-list, its unknown fields left aside."""
    return [found for found in check(data, metadata, None) if str(found.kind) in PERSONAL]


def fullwidth(text: str) -> str:
    """The same text in full-width letters, digits and signs: NFKC makes it plain again."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def small_at(text: str) -> str:
    """The small form variant of the at sign, which NFKC maps to @."""
    return text.replace("@", "\ufe6b")


@st.composite
def disguised(draw: st.DrawFn) -> tuple[str, str]:
    """A planted value, perhaps in another form, perhaps with invisible characters inside."""
    value, kind = draw(PLANTS)
    form = draw(st.sampled_from(["plain", "fullwidth", "small at", "zero width"]))
    if form == "fullwidth":
        value = fullwidth(value)
    elif form == "small at":
        value = small_at(value)
    elif form == "zero width":
        for _ in range(draw(st.integers(1, 3))):
            at = draw(st.integers(1, len(value) - 1))
            value = value[:at] + draw(st.sampled_from(ZERO_WIDTH)) + value[at:]
    before, after = draw(AROUND)
    return before + value + after, kind


HARMLESS_KEYS = st.sampled_from(["tournament_id", "items", "a", "meta", "match", "list"])


@st.composite
def nested(draw: st.DrawFn, text: str) -> dict[str, Any]:
    """Data with *text* at some depth, as a value, as a key, or in JSON inside a string."""
    how = draw(st.sampled_from(["value", "value", "key", "json", "json key"]))
    holder: Any
    if how == "value":
        holder = text
    elif how == "key":
        holder = {text: 1}
    elif how == "json":
        holder = json.dumps({"inner": [1, {"deep": text}]}, ensure_ascii=draw(st.booleans()))
    else:
        holder = json.dumps([{text: None}], ensure_ascii=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 5))):
        holder = {draw(HARMLESS_KEYS): holder} if draw(st.booleans()) else [1, "ok", holder, None]
    return {draw(HARMLESS_KEYS): holder, "other": [1, 2.5, True, "fine"]}


@settings(max_examples=400)  # kind × disguise × place
@given(st.data())
def test_planted_values_are_found_anywhere(data: st.DataObject) -> None:
    """E-mail, IPv4, IPv6, phone, @handle: in NFKC forms, with zero-width characters, at any place (§8)."""
    text, kind = data.draw(disguised())
    whole = data.draw(nested(text))
    in_metadata = data.draw(st.booleans())

    findings = check({} if in_metadata else whole, whole if in_metadata else {}, None)

    assert kind in {str(finding.kind) for finding in findings}, (text, findings)


@given(disguised())
def test_scan_finds_what_check_finds(planted: tuple[str, str]) -> None:
    """The detectors alone find the same (§8)."""
    text, kind = planted

    assert kind in {str(finding.kind) for finding in scan(text)}


# Without an allow-list a path has nothing of the event but how deep it goes, and the places in lists.
OUR_WORDS = re.compile(
    r"Finding\(kind=<Kind\.[A-Z_]+: '[a-z_]+'>, path='(data|metadata)(\.\*|\[\d+\])*', in_free_text=False\)"
)


@settings(max_examples=200)
@example(("@dat", {"items": "@dat"}))  # the name itself is a part of our own word `data`
@given(PLANTS.flatmap(lambda plant: st.tuples(st.just(plant[0]), nested(plant[0]))))
def test_findings_never_hold_the_value(planted: tuple[str, dict[str, Any]]) -> None:
    """The place is recorded, never the value: not in kind, path, repr or error (§8)."""
    value, whole = planted

    findings = check(whole, {}, None)

    assert findings
    for finding in findings:
        shown = f"{finding!r} {finding} {finding.path} {finding.kind}"
        assert value.casefold() not in shown.casefold()
        assert OUR_WORDS.fullmatch(repr(finding)) and str(finding) == repr(finding)
        assert finding.kind in Kind and finding.path in repr(finding)


@given(st.data())
def test_an_allow_list_hides_nothing(data: st.DataObject) -> None:
    """A declared text field is scanned too, and a hit there is marked as in free text (§8)."""
    value, kind = data.draw(PLANTS)
    fields = EventFields.parse({"tournament_id": "integer", "note": "text"})

    findings = check({"tournament_id": 1, "note": f"see {value} ok"}, {}, fields)

    hits = [finding for finding in findings if str(finding.kind) == kind]
    assert hits
    assert all(finding.in_free_text for finding in hits)


@pytest.mark.parametrize("key", ["email", "username", "ip_address", "phone", "name", "Email", "USERNAME"])
@given(value=st.integers() | st.none() | st.text(max_size=3), depth=st.integers(0, 4))
def test_forbidden_keys_are_found_whatever_they_hold(key: str, value: object, depth: int) -> None:
    """`email`, `username`, `ip_address`, `phone`, `name` are forbidden as keys, at any depth (§8)."""
    data: Any = {key: value}
    for _ in range(depth):
        data = {"a": [data]}

    assert "key" in {str(finding.kind) for finding in check({"a": data}, {}, None)}


@pytest.mark.parametrize(
    "key", ["email_sent", "name_count", "game_id", "phone_calls", "filename_id", "recipient_count"]
)
@given(value=st.integers(0, 10**6))
def test_keys_that_only_contain_a_forbidden_one_are_fine(key: str, value: int) -> None:
    """The count `email_sent` is not personal data: exact names only (§8)."""
    assert not personal({key: value}, {key: value})


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 (zones are put on below)
STAMPS = MOMENTS.flatmap(
    lambda moment: st.sampled_from(
        [
            moment.isoformat(), moment.isoformat(" "), moment.replace(tzinfo=UTC).isoformat(),
            moment.isoformat() + "Z",
            moment.date().isoformat(), moment.time().isoformat(),
            moment.strftime("%Y-%m-%dT%H:%M:%S%z") + "+0530",
            moment.strftime("%Y-%m-%d %H:%M:%S,%f")[:-3], moment.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            (moment.replace(tzinfo=UTC) + timedelta(0)).isoformat(timespec="milliseconds"),
            moment.strftime("%Y%m%dT%H%M%SZ"),
        ]
    )
)  # fmt: skip
INNOCENT = st.one_of(
    st.uuids().flatmap(lambda value: st.sampled_from([str(value), str(value).upper(), value.hex, value.urn])),
    st.binary(min_size=1, max_size=9).flatmap(
        lambda raw: st.sampled_from(
            [
                hashlib.md5(raw).hexdigest(),
                hashlib.sha1(raw).hexdigest(),
                hashlib.sha256(raw).hexdigest(),
                hashlib.sha512(raw).hexdigest(),
            ]
        )
    ),
    STAMPS,
    st.integers(946_684_800, 4_102_444_800).flatmap(
        lambda seconds: st.sampled_from(
            [str(seconds), str(seconds * 1000 + 7), f"{seconds}.25", f"{seconds}000000"]
        )
    ),
    st.builds("{}.{}.{}".format, st.integers(0, 99), st.integers(0, 999), st.integers(0, 99)),
    st.builds(
        "v{}.{}.{}-rc.{}".format, st.integers(0, 9), st.integers(0, 99), st.integers(0, 99), st.integers(0, 9)
    ),
    st.builds(
        "{}.{}.{}+build.{}".format, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)
    ),
    st.builds("{}.{}".format, st.integers(0, 99), st.integers(0, 99)),
    st.integers(0, 10**19).map(str),
    st.builds(
        "{}_{}".format, st.sampled_from(["tournament", "match", "order", "evt"]), st.integers(0, 10**12)
    ),
    st.builds("{}-{}".format, st.sampled_from(["T", "INV", "tournament"]), st.integers(0, 10**9)),
    st.builds("{}:{}".format, st.integers(0, 99), st.integers(10, 59)),
    st.builds("{}:{}:{}".format, st.integers(0, 23), st.integers(10, 59), st.integers(10, 59)),
    st.builds("{}%".format, st.integers(0, 100)),
    st.builds("{}x{}".format, st.integers(1, 4000), st.integers(1, 4000)),
    st.sampled_from(
        [
            "payment_verified",
            "std::vector",
            "eu-west-1",
            "10:00",
            "1 000 000",
            "3 - 2",
            "",
            " ",
            "5 @ 20",
        ]
    ),
)


@settings(max_examples=500)  # sixteen families of look-alikes
@given(INNOCENT)
@example("2025-11-21T10:00:00.000001+00:00")
@example("00000000-0000-4000-8000-000000000000")
@example("12345678-1234-4123-8123-123456789012")
def test_ids_hashes_times_and_versions_are_no_personal_data(text: str) -> None:
    """IDs, UUIDs, hashes, ISO timestamps, epoch numbers and version numbers are not found (§8)."""
    assert not personal({"tournament_id": text}, {"webhook_id": text})
    assert not personal({"items": [{"v": f"seen {text} ok"}]}, {})


@given(st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none())
def test_numbers_are_no_personal_data(value: object) -> None:
    """JSON numbers, true, false and null are never a phone or an address (§8: every string)."""
    assert not personal({"v": value, "w": [value]}, {"created": value})


JSONS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=10), JSONS, max_size=3),
    st.dictionaries(st.text(max_size=10), JSONS, max_size=2),
)
def test_any_data_is_judged_without_an_exception(data: dict[str, Any], metadata: dict[str, Any]) -> None:
    """The check gives findings for any JSON-able data, surrogates and all, and never raises (§8)."""
    fields = EventFields.parse({"tournament_id": "integer"})

    assert isinstance(check(data, metadata, None), tuple)
    assert isinstance(check(data, metadata, fields), tuple)
    if set(data) - {"tournament_id"}:
        assert check(data, {}, fields)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("integer", [0, 5, -1], ["5", 1.5, True, None, [], {}]),
        (
            "uuid",
            [str(UUID(int=5)), "550e8400-e29b-41d4-a716-446655440000"],
            ["5", 5, "x" * 36, True, None, [], {}],
        ),
        ("time", ["2025-11-21T10:00:00Z"], ["soon", True, None, {}]),
        ("count", [0, 5], [-1, "5", 1.5, True, None]),
        ("boolean", [True, False], [0, 1, "true", None]),
        ({"enum": ["a", "b"]}, ["a", "b"], ["c", "A", "", 1, None, ["a"]]),
        ("text", ["hello", ""], [5, True, None, ["hello"], {}]),
    ],
)
def test_a_field_of_another_type_is_found(kind: Any, good: list[object], bad: list[object]) -> None:
    """Each event's allow-list has types; a value of another type is a finding (§8)."""
    fields = EventFields.parse({"v": kind})

    for value in good:
        assert check({"v": value}, {}, fields) == (), value
    for value in bad:
        assert check({"v": value}, {}, fields), value


@given(st.text(min_size=1, max_size=12))
def test_an_unknown_field_is_found_and_named_with_a_star(key: str) -> None:
    """An unlisted key is a finding; its path shows `*`, for the key itself may be personal (§8)."""
    assume(key != "tournament_id")
    fields = EventFields.parse({"tournament_id": "integer"})

    findings = check({key: 1, "tournament_id": 1}, {}, fields)

    assert findings
    assert all("*" in finding.path for finding in findings)
