"""Envelopes: the exact bytes, and every value that is refused with its place."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from uuid import UUID

import pytest

from webhooks_core.envelope import MAX_BODY_BYTES, MAX_DEPTH, Envelope, parse_strict, seal
from webhooks_core.errors import EnvelopeError

ID = "550e8400-e29b-41d4-a716-446655440000"


def body_of(data: Mapping[str, object], metadata: Mapping[str, object] | None = None) -> bytes:
    """Seal with the usual event and id."""
    return seal("payment_verified", data, webhook_id=ID, metadata=metadata).body


def nested(levels: int) -> dict[str, object]:
    """Data of so many levels of objects, the outermost counted."""
    inner: dict[str, object] = {}
    for _ in range(levels - 1):
        inner = {"a": inner}
    return inner


def test_the_bytes_are_those_of_the_contract() -> None:
    """Compact UTF-8 JSON in the order given; the id is repeated inside, last in metadata."""
    envelope = seal(
        "payment_verified",
        {"tournament_id": 101, "recipient_count": 1},
        metadata={"created": 1, "email_sent": 1},
        webhook_id=ID,
    )

    assert envelope.body == (
        b'{"event":"payment_verified","data":{"tournament_id":101,"recipient_count":1},'
        b'"metadata":{"created":1,"email_sent":1,"webhook_id":"' + ID.encode() + b'"}}'
    )
    assert (envelope.event, envelope.webhook_id) == ("payment_verified", ID)


def test_without_metadata_only_the_id_stands_there() -> None:
    """Metadata may be left out."""
    assert body_of({}).endswith(b'"data":{},"metadata":{"webhook_id":"' + ID.encode() + b'"}}')


def test_letters_beyond_ascii_are_written_as_utf_8() -> None:
    """No escapes: the bytes are the letters."""
    assert "Пример ✓ 🏆".encode() in body_of({"note": "Пример ✓ 🏆"})


class State(StrEnum):
    OPEN = "open"


class Level(IntEnum):
    HIGH = 3


class Lazy(str):
    """A text whose own `__str__` says something else."""

    __slots__ = ()

    def __str__(self) -> str:
        return "elsewhere"


def test_what_json_can_say_exactly_is_accepted() -> None:
    """Plain values, their subclasses as what they are, tuples as lists, any mapping as an object."""
    data = OrderedDict(
        a=None, b=True, c=0, d=-1.5, e="x", f=(1, 2), g=[], h={}, i=State.OPEN, j=Level.HIGH, k=Lazy("here")
    )
    data["l"] = 2**128 - 1

    read = json.loads(body_of(data))["data"]

    assert read == {
        **{"a": None, "b": True, "c": 0, "d": -1.5, "e": "x", "f": [1, 2], "g": [], "h": {}},
        **{"i": "open", "j": 3, "k": "here", "l": 2**128 - 1},
    }


def test_one_value_may_stand_in_two_places() -> None:
    """Only a value inside itself is a cycle."""
    shared = [1]

    assert json.loads(body_of({"a": shared, "b": {"c": shared}}))["data"] == {"a": [1], "b": {"c": [1]}}


CYCLE: list[object] = [1]
CYCLE.append({"again": CYCLE})
SELF: dict[str, object] = {}
SELF["me"] = SELF


@pytest.mark.parametrize(
    ("data", "path", "problem"),
    [
        ({"a": float("nan")}, "data.a", "not finite"),
        ({"a": [0.0, float("inf")]}, "data.a[1]", "not finite"),
        ({"players": [1, 2, 3, {"name": -float("inf")}]}, "data.players[3].name", "not finite"),
        ({"a": "x\ud800"}, "data.a", "lone surrogate"),
        ({"\udfff": 1}, "data.*", "lone surrogate"),
        ({"a": {1: 2}}, "data.a", "a key is text, not int"),
        ({None: 1}, "data", "a key is text, not NoneType"),
        ({"a": CYCLE}, "data.a[1].again", "holds itself"),
        (SELF, "data.me", "holds itself"),
        ({"a": UUID(ID)}, "data.a", "a value of type UUID; write it as text"),
        ({"a": Decimal("1.5")}, "data.a", "a value of type Decimal"),
        ({"a": datetime(2025, 11, 13, tzinfo=UTC)}, "data.a", "a value of type datetime"),
        ({"a": b"x"}, "data.a", "a value of type bytes"),
        ({"a": {1, 2}}, "data.a", "a value of type set"),
        ({"a": object()}, "data.a", "a value of type object"),
        ({"a": 2**128}, "data.a", "more than 128 bits"),
        ({"a": -(10**5000)}, "data.a", "more than 128 bits"),
        ({"player@example.org": float("nan")}, "data.*", "not finite"),
        ({"k" * 65: float("nan")}, "data.*", "not finite"),
        ([1], "data", "a mapping is wanted here, not list"),
        (None, "data", "a mapping is wanted here, not NoneType"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_place(data: object, path: str, problem: str) -> None:
    """The error names the place and the type, never the value; a key that may be personal is `*`."""
    with pytest.raises(EnvelopeError) as raised:
        body_of(data)  # type: ignore[arg-type]

    assert raised.value.path == path
    assert problem in raised.value.problem
    assert "player@" not in str(raised.value)


class Twice(Mapping[str, object]):
    """A mapping that gives one key twice."""

    def __getitem__(self, key: str) -> object:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter(["a", "a"])

    def __len__(self) -> int:
        return 2


def test_the_same_key_twice_is_refused() -> None:
    """Readers differ in which of the two they take."""
    with pytest.raises(EnvelopeError, match=r"data\.inner\.a: the same key twice"):
        body_of({"inner": Twice()})


def test_metadata_is_checked_as_data_is() -> None:
    """Its own paths; it must not bring an id of its own, nor be something else."""
    with pytest.raises(EnvelopeError, match=r"metadata\.a\[0\]: .*not finite"):
        body_of({}, {"a": [float("nan")]})
    with pytest.raises(EnvelopeError, match=r"metadata\.webhook_id: this key is set by the sender"):
        body_of({}, {"webhook_id": ID})
    with pytest.raises(EnvelopeError, match="metadata: a mapping is wanted here, not list"):
        body_of({}, [])  # type: ignore[arg-type]


@pytest.mark.parametrize("event", ["", "Payment", "a b", "a-b", "x" * 65, "ä", "a\n", None, 7])
def test_a_bad_event_name_is_refused(event: object) -> None:
    """`[a-z0-9_.]{1,64}`."""
    with pytest.raises(EnvelopeError, match=r"^event: "):
        seal(event, {}, webhook_id=ID)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "webhook_id",
    [
        "",
        "1",
        ID.upper(),
        ID.replace("-", ""),
        ID + "\n",
        "550e8400-e29b-11d4-a716-446655440000",
        UUID(ID),
        None,
    ],
)
def test_a_bad_id_is_refused(webhook_id: object) -> None:
    """UUID v4 in its one canonical form."""
    with pytest.raises(EnvelopeError, match=r"^metadata\.webhook_id: "):
        seal("a", {}, webhook_id=webhook_id)  # type: ignore[arg-type]


def test_64_levels_are_written_and_65_are_not() -> None:
    """The envelope is the first level, data the second."""
    assert parse_strict(body_of(nested(MAX_DEPTH - 1)))
    with pytest.raises(EnvelopeError, match="deeper than 64 levels"):
        body_of(nested(MAX_DEPTH))


def test_256_kib_are_written_and_one_byte_more_is_not() -> None:
    """The bound is on the bytes, not the characters."""
    room = MAX_BODY_BYTES - len(body_of({"t": ""}))

    assert len(body_of({"t": "x" * room})) == MAX_BODY_BYTES
    with pytest.raises(
        EnvelopeError, match=f"body: {MAX_BODY_BYTES + 1} bytes, {MAX_BODY_BYTES} are allowed"
    ):
        body_of({"t": "x" * (room + 1)})
    with pytest.raises(EnvelopeError, match="body: "):
        body_of({"t": "ä" * (room // 2 + 1)})


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"t": "x" * 300000}, r"data\.t"),
        ({"t": [1] * 300000}, r"data\.t\[\d+\]"),
        ({"t": [None] * 300000}, r"data\.t\[\d+\]"),
        ({str(n): 1 for n in range(70000)}, r"data\.\*"),
    ],
)
def test_too_much_is_refused_where_it_becomes_too_much(data: dict[str, object], path: str) -> None:
    """The walk stops early instead of copying all of it first."""
    with pytest.raises(EnvelopeError, match=path + ": here the body grows beyond 262144 bytes"):
        body_of(data)


def test_what_is_small_in_memory_and_huge_when_written_is_refused_at_once() -> None:
    """Ten references to ten references and so on: 10^50 values, refused after some ten thousand."""
    value: list[object] = []
    for _ in range(50):
        value = [value] * 10

    with pytest.raises(EnvelopeError, match="here the body grows beyond 262144 bytes"):
        body_of({"bomb": value})


def test_an_envelope_checks_itself_and_hides_its_body() -> None:
    """Rows from a store become envelopes too."""
    envelope = Envelope(webhook_id=ID, event="a", body=b'{"x":"secret"}')

    assert repr(envelope) == f"Envelope(webhook_id='{ID}', event='a', body=<14 bytes>)"
    with pytest.raises(EnvelopeError, match="event"):
        Envelope(webhook_id=ID, event="A", body=b"")
    with pytest.raises(EnvelopeError, match="webhook_id"):
        Envelope(webhook_id="x", event="a", body=b"")
    with pytest.raises(EnvelopeError, match="body"):
        Envelope(webhook_id=ID, event="a", body=b"x" * (MAX_BODY_BYTES + 1))


def test_reading_gives_back_what_was_written() -> None:
    """seal, then parse_strict."""
    data = {"a": [1, 2.5, None, True, "é\u2028\\u0041"], "b": {"c": {}}}

    assert parse_strict(body_of(data)) == {
        "event": "payment_verified",
        "data": data,
        "metadata": {"webhook_id": ID},
    }


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{}x", "something follows"),
        (b"{} {}", "something follows"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"NaN", "not finite"),
        (b'{"a":NaN}', "not finite"),
        (b'{"a":-Infinity}', "not finite"),
        (b'{"a":1e999}', "not finite"),
        (b'{"a":1,"a":1}', "the same key twice"),
        (b'{"a":[{"b":1,"c":2,"b":3}]}', "the same key twice"),
        (b'{"a":1,"\\u0061":2}', "the same key twice"),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"\\udfff":1}', "lone surrogate"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a":1' + b"0" * 5000 + b"}", "not JSON"),
        (b'{"a":"\x00"}', "not JSON"),
        (b"\xa0{}", "not UTF-8"),
        ("\u00a0{}".encode(), "not JSON"),
        (b"[" * 100_000, "deeper than 64"),
        (b'{"a":' * 50_000, "deeper than 64"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "deeper than 64"),
        (b'{"":' * 64 + b"{}" + b"}" * 64, "deeper than 64"),
        (b" " * (MAX_BODY_BYTES + 1), "more than 262144 bytes"),
    ],
)
def test_a_body_with_more_than_one_meaning_is_refused(body: bytes, problem: str) -> None:
    """Whatever two readers could read differently, or one could choke on."""
    with pytest.raises(EnvelopeError, match=problem) as raised:
        parse_strict(body)

    assert raised.value.path == "body"


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 63 + b"{}" + b"}" * 63,
        b'{"a":' + b"[" * 63 + b"]" * 63 + b"}",
        b'{"a":[' + b"[]," * 100 + b"[]]}",
        b' \t\r\n{"a": "\\ud83c\\udfc6", "b": 1.5e3} \n',
        b'{"a":"{[{[{[\\\\u"}',
    ],
)
def test_unusual_but_unmistakable_bodies_are_read(body: bytes) -> None:
    """64 levels, many lists side by side, white space around, paired surrogates, brackets inside text."""
    assert parse_strict(body) == json.loads(body)
