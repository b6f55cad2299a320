"""Property: an envelope is canonical bytes, or an EnvelopeError that says where (the contract §4)."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webhooks_core.envelope import MAX_BODY_BYTES, parse_strict, seal
from webhooks_core.errors import EnvelopeError, WebhookError

pytestmark = pytest.mark.slow

WEBHOOK_ID = "550e8400-e29b-41d4-a716-446655440000"
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
DATA = st.dictionaries(
    TEXT,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)
EVENTS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_.", min_size=1, max_size=64)


class Hostile:
    """An object that fails however it is touched."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("touched")

    def __str__(self) -> str:
        raise RuntimeError("touched")

    __repr__ = __str__

    def __iter__(self) -> object:
        raise RuntimeError("touched")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("touched")

    __hash__ = None  # type: ignore[assignment]


class Liar(str):
    """A text that claims to be a different one."""

    def __str__(self) -> str:
        raise RuntimeError("touched")

    def __hash__(self) -> int:
        raise RuntimeError("touched")


@given(EVENTS, DATA, st.none() | DATA)
@example("payment_verified", {"tournament_id": 101, "recipient_count": 1}, {"created": 1, "email_sent": 1})
@example("a", {"": {"/": '\u2028\u2029\x00"\\é😀'}}, None)
@example("a", {"n": -0.0, "big": 10**38, "e": 1e300}, None)
def test_the_bytes_read_back_as_what_went_in(
    event: str, data: dict[str, Any], metadata: dict[str, Any] | None
) -> None:
    """json.loads of the body gives event, data, and metadata with the webhook id (§4)."""
    metadata = None if metadata is None else {k: v for k, v in metadata.items() if k != "webhook_id"}
    envelope = seal(event, data, metadata=metadata, webhook_id=WEBHOOK_ID)

    wanted = {"event": event, "data": data, "metadata": {**(metadata or {}), "webhook_id": WEBHOOK_ID}}
    assert json.loads(envelope.body) == wanted
    assert list(json.loads(envelope.body)) == ["event", "data", "metadata"]
    assert (envelope.event, envelope.webhook_id) == (event, WEBHOOK_ID)


@given(EVENTS, DATA)
def test_the_bytes_are_canonical_and_stable(event: str, data: dict[str, Any]) -> None:
    """UTF-8 without spaces around `,` and `:`, non-ASCII as itself, and the same bytes each time (§4)."""
    one = seal(event, data, webhook_id=WEBHOOK_ID).body
    again = seal(event, json.loads(json.dumps(data)), webhook_id=WEBHOOK_ID).body

    assert one == again
    decoded = json.loads(one)
    assert one == json.dumps(decoded, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode(
        "utf-8"
    )


@given(EVENTS, DATA)
def test_a_receiver_reads_what_was_sealed(event: str, data: dict[str, Any]) -> None:
    """parse_strict takes every body that seal makes (§4, §5)."""
    body = seal(event, data, webhook_id=WEBHOOK_ID).body

    assert parse_strict(body) == json.loads(body)


@given(DATA)
def test_sealing_leaves_the_callers_data_alone(data: dict[str, Any]) -> None:
    """Neither data nor metadata of the caller is changed (§4: the id goes into the envelope)."""
    before, metadata = json.dumps(data), {"created": 1}

    seal("e", data, metadata=metadata, webhook_id=WEBHOOK_ID)

    assert json.dumps(data) == before
    assert metadata == {"created": 1}


def poisons() -> st.SearchStrategy[object]:
    """Values that have no place in JSON, or no single one."""
    surrogate = st.builds(lambda a, c, b: a + chr(c) + b, TEXT, st.integers(0xD800, 0xDFFF), TEXT)
    return st.one_of(
        st.sampled_from([math.nan, math.inf, -math.inf]),
        surrogate,
        st.dictionaries(surrogate, st.none(), min_size=1, max_size=1),
        st.dictionaries(
            st.integers() | st.booleans() | st.none() | st.floats(), st.none(), min_size=1, max_size=2
        ),
        st.dictionaries(st.binary() | st.tuples(st.integers()), st.none(), min_size=1, max_size=1),
        st.binary(),
        st.sets(st.integers(), max_size=2),
        st.complex_numbers(),
        st.sampled_from([object(), Hostile(), range(3), Decimal("1"), ..., int]),
        st.just(datetime(2025, 1, 1, tzinfo=UTC)) | st.just(UUID(int=1)),
        st.integers(4500, 6000).map(lambda digits: 10**digits),
    )


def bury(value: object, path: list[str | int]) -> object:
    """Put *value* under nested mappings and lists."""
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [0] * step + [value]
    return value


@settings(max_examples=200)  # many kinds of poison: 100 would leave some untried
@given(poisons(), st.lists(TEXT | st.integers(0, 3), max_size=6), st.booleans())
def test_what_is_no_json_is_refused_with_a_place(
    poison: object, path: list[str | int], in_metadata: bool
) -> None:
    """NaN, surrogates, keys that are no text, sets, bytes, objects: EnvelopeError that names a path (§4)."""
    buried = {"planted": bury(poison, path)}
    with pytest.raises(EnvelopeError) as caught:
        if in_metadata:
            seal("e", {}, metadata=buried, webhook_id=WEBHOOK_ID)
        else:
            seal("e", buried, webhook_id=WEBHOOK_ID)

    assert isinstance(caught.value.path, str)
    assert caught.value.path
    str(caught.value).encode("utf-8")


@given(
    st.text(max_size=70).filter(
        lambda name: not name or set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789_.")
    )
)
@example("Payment")
@example("a\n")
@example("a" * 65)
@example("")
@example("é")
@example("٣")
def test_an_event_name_is_plain(name: str) -> None:
    """Event names are `[a-z0-9_.]{1,64}`, whole text, and nothing else (§4)."""
    with pytest.raises(EnvelopeError):
        seal(name, {}, webhook_id=WEBHOOK_ID)


@given(st.integers(1, 60), st.booleans())
def test_reasonable_depth_is_taken(depth: int, lists: bool) -> None:
    """Up to 60 levels below `data` always pass (§4, limit 64)."""
    value: object = 1
    for _ in range(depth):
        value = [value] if lists else {"a": value}

    assert json.loads(seal("e", {"v": value}, webhook_id=WEBHOOK_ID).body)["data"]["v"] == value


@given(st.integers(65, 300) | st.sampled_from([5_000, 100_000]), st.booleans())
def test_too_deep_is_refused_without_a_recursion_error(depth: int, lists: bool) -> None:
    """Deeper than 64 is EnvelopeError, however deep, for the sender and the receiver alike (§4)."""
    value: object = 1
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    text = (
        '{"event":"e","data":'
        + ("[" if lists else '{"a":') * depth
        + "1"
        + ("]" if lists else "}") * depth
        + "}"
    )

    with pytest.raises(EnvelopeError):
        seal("e", {"v": value}, webhook_id=WEBHOOK_ID)
    with pytest.raises(WebhookError):
        parse_strict(text.encode())


def test_a_cycle_is_refused() -> None:
    """A structure that holds itself ends in EnvelopeError, not in recursion (§4)."""
    ring: dict[str, object] = {"a": 1}
    ring["self"] = [ring]

    with pytest.raises(EnvelopeError):
        seal("e", ring, webhook_id=WEBHOOK_ID)


@given(st.integers(-40, 40))
def test_the_size_limit_is_exact(off: int) -> None:
    """A body of 262,144 bytes passes, one byte more is refused (§5: 256 KiB)."""
    empty = len(seal("e", {"v": ""}, webhook_id=WEBHOOK_ID).body)
    text = "x" * (MAX_BODY_BYTES - empty + off)

    assert MAX_BODY_BYTES == 256 * 1024
    if off <= 0:
        assert len(seal("e", {"v": text}, webhook_id=WEBHOOK_ID).body) == MAX_BODY_BYTES + off
    else:
        with pytest.raises(EnvelopeError):
            seal("e", {"v": text}, webhook_id=WEBHOOK_ID)


@given(st.sampled_from("é東😀\u2028\u00ad"), st.integers(1, 3))
def test_size_is_counted_in_bytes_not_characters(letter: str, beyond: int) -> None:
    """Text of fewer characters than the limit and more bytes is refused; the last that fits passes (§5)."""
    width = len(letter.encode())
    room = MAX_BODY_BYTES - len(seal("e", {"v": ""}, webhook_id=WEBHOOK_ID).body)

    assert len(seal("e", {"v": letter * (room // width)}, webhook_id=WEBHOOK_ID).body) <= MAX_BODY_BYTES
    with pytest.raises(EnvelopeError):
        seal("e", {"v": letter * (room // width + beyond)}, webhook_id=WEBHOOK_ID)


@given(st.one_of(st.binary(max_size=200), TEXT.map(str.encode), DATA.map(lambda d: json.dumps(d).encode())))
@example(b'{"event":"e","event":"f","data":{}}')
@example(b"[" * 100_000)
@example(b'{"event":"e","data":{"n":NaN},"metadata":{}}')
@example(b'\xef\xbb\xbf{"event":"e","data":{},"metadata":{}}')
@example(b'{"event":"e","data":{"n":' + b"9" * 5000 + b'},"metadata":{}}')
@example(b'{"event":"e","data":{"n":1e999},"metadata":{}}')
def test_any_bytes_are_parsed_or_refused_with_our_error(body: bytes) -> None:
    """parse_strict gives a mapping or our error, for any bytes (§5)."""
    try:
        parsed = parse_strict(body)
    except WebhookError:
        return
    assert isinstance(parsed, dict)


@given(TEXT.filter(lambda key: key not in {"event", "data", "metadata"}), st.integers(1, 5))
def test_duplicate_keys_are_refused(key: str, depth: int) -> None:
    """Two readers may pick different ones of two equal keys: refused at any depth (§4, §5)."""
    name = json.dumps(key)
    pair = f"{{{name}:1,{name}:2}}"
    body = '{"event":"e","data":' + '{"a":' * depth + pair + "}" * depth + ',"metadata":{}}'

    with pytest.raises(WebhookError):
        parse_strict(body.encode())


def test_a_text_that_lies_about_itself_breaks_nothing() -> None:
    """A str subclass with raising methods is sealed by its characters or refused with our error (§4)."""
    try:
        body = seal("e", {"v": Liar("x")}, webhook_id=WEBHOOK_ID).body
    except EnvelopeError:
        return
    assert json.loads(body)["data"] == {"v": "x"}
