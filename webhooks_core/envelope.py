"""The envelope of an event: written once by the sender, read strictly by the receiver.

What belongs here: `seal` (values to bytes), `parse_strict` (bytes to values) and what both refuse. What must
not: signing, and any look at what the values mean (pii.py). The invariant: what `seal` wrote, `parse_strict`
reads back equal, and the bytes are never made a second time: they are stored, signed and sent as they are.
Explained in docs/reference/wire-format.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webhooks_core.errors import EnvelopeError

MAX_BODY_BYTES = 262_144
"""256 KiB (the contract §5). Precedent: the largest message of Amazon SNS and SQS is the same."""

MAX_DEPTH = 64
"""Levels of objects and lists, the envelope itself being the first."""

MAX_INTEGER_BITS = 128
"""Enough for a UUID's number. Readers that use doubles lose digits beyond 2^53: send such ids as text."""

EVENT_NAME = re.compile(r"[a-z0-9_.]{1,64}")
"""The contract §4; match it with `fullmatch`."""

WEBHOOK_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A UUID v4 in its canonical form (RFC 9562, section 5.4); match it with `fullmatch`."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_EVENT_RULE = "an event's name is 1 to 64 of a-z, 0-9, _ and ."
_ID_RULE = "an id is a UUID v4 in lower case with hyphens"
_WHITE_SPACE = " \t\n\r"  # RFC 8259, section 2
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Hold one sealed event: the bytes that are stored, signed and sent.

    Attributes:
        webhook_id: UUID v4, canonical; the same on every attempt.
        event: The event's name.
        body: UTF-8 JSON without spaces; not shown by `repr`.
    """

    webhook_id: str
    event: str
    body: bytes

    def __post_init__(self) -> None:
        if not _is_written(self.event, EVENT_NAME):
            raise EnvelopeError("event", _EVENT_RULE)
        if not _is_written(self.webhook_id, WEBHOOK_ID):
            raise EnvelopeError("metadata.webhook_id", _ID_RULE)
        if len(self.body) > MAX_BODY_BYTES:
            raise EnvelopeError("body", f"{len(self.body)} bytes, {MAX_BODY_BYTES} are allowed")

    def __repr__(self) -> str:
        size = f"<{len(self.body)} bytes>"
        return f"Envelope(webhook_id={self.webhook_id!r}, event={self.event!r}, body={size})"


def seal(
    event: str,
    data: Mapping[str, object],
    *,
    webhook_id: str,
    metadata: Mapping[str, object] | None = None,
) -> Envelope:
    """Write an event as bytes, once: ``{"event":…,"data":…,"metadata":{…,"webhook_id":…}}``.

    Keys keep the order in which they are given; `webhook_id` is put last. Accepted are text, integers, finite
    floats, booleans, None, lists, tuples and mappings with text keys. Anything else is refused rather than
    guessed at: write a `UUID` or a `datetime` as text yourself, so that the receiver reads what you meant.

    Args:
        data: The facts of the event: ids, counts, states.
        webhook_id: UUID v4, canonical.
        metadata: Facts about the event; it must not hold a `webhook_id`.

    Raises:
        EnvelopeError: Names the place and what is wrong there, never the value; a key that is no plain
            identifier is shown as ``*``, for it may be somebody's address.
    """
    if not _is_written(event, EVENT_NAME):
        raise EnvelopeError("event", _EVENT_RULE)
    if not _is_written(webhook_id, WEBHOOK_ID):
        raise EnvelopeError("metadata.webhook_id", _ID_RULE)
    walk = _Walk()
    plain_data = walk.mapping_at("data", data)
    plain_metadata = walk.mapping_at("metadata", {} if metadata is None else metadata)
    if "webhook_id" in plain_metadata:
        raise EnvelopeError("metadata.webhook_id", "this key is set by the sender")
    plain_metadata["webhook_id"] = webhook_id
    whole = {"event": event, "data": plain_data, "metadata": plain_metadata}
    return Envelope(webhook_id=webhook_id, event=event, body=_ENCODER.encode(whole).encode("utf-8"))


def _is_written(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


class _Refused(Exception):
    """Carry what is wrong outwards; each level it passes adds its step of the path."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.steps: list[str] = []

    @property
    def path(self) -> str:
        return "".join(reversed(self.steps))


class _Walk:
    """Copy values into what JSON can say exactly; one walk serves one envelope.

    The budget stops what is small in memory and huge when written, such as a list that holds one list ten
    times, which holds another ten times, and so on.
    """

    def __init__(self) -> None:
        self._budget = MAX_BODY_BYTES
        self._open: list[int] = []

    def mapping_at(self, name: str, value: object) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise EnvelopeError(name, f"a mapping is wanted here, not {type(value).__name__}")
        try:
            return self._mapping(value)
        except _Refused as refused:
            raise EnvelopeError(name + refused.path, refused.problem) from None

    def _value(self, value: object) -> object:
        kind = type(value)
        if kind is str:
            return self._text(value)  # type: ignore[arg-type]
        if kind is int:
            return self._integer(value)  # type: ignore[arg-type]
        self._budget -= 2  # The shortest value and its comma.
        if value is None or kind is bool:
            return value
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list | tuple):
            return self._list(value)
        return self._scalar(value)

    def _mapping(self, value: Mapping[object, object]) -> dict[str, object]:
        self._enter(value)
        plain: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise _Refused(f"a key is text, not {type(key).__name__}")
            try:
                name = self._text(str.__str__(key))
                if name in plain:
                    raise _Refused("the same key twice")
                plain[name] = self._value(item)
            except _Refused as refused:
                refused.steps.append(f".{shown(key)}")
                raise
        self._open.pop()
        return plain

    def _list(self, value: Sequence[object]) -> list[object]:
        self._enter(value)
        plain: list[object] = []
        for index, item in enumerate(value):
            try:
                plain.append(self._value(item))
                self._within_budget()
            except _Refused as refused:
                refused.steps.append(f"[{index}]")
                raise
        self._open.pop()
        return plain

    def _within_budget(self) -> None:
        if self._budget < 0:
            raise _Refused(f"here the body grows beyond {MAX_BODY_BYTES} bytes")

    def _enter(self, value: object) -> None:
        if id(value) in self._open:
            raise _Refused("a value that holds itself")
        if len(self._open) + 2 > MAX_DEPTH:  # The envelope itself is the first level.
            raise _Refused(f"deeper than {MAX_DEPTH} levels")
        self._open.append(id(value))

    def _scalar(self, value: object) -> object:
        """Return a float, or a subclass of a plain type (an enum's member), as that plain type."""
        if isinstance(value, float):
            if not math.isfinite(value):
                raise _Refused("a number that is not finite (NaN or infinity)")
            return float(value)
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, int):
            return self._integer(int(value))
        raise _Refused(f"a value of type {type(value).__name__}; write it as text or a number yourself")

    def _integer(self, value: int) -> int:
        # The text of an integer costs time with the square of its digits; Python itself stops at 4,300.
        if value.bit_length() > MAX_INTEGER_BITS:
            raise _Refused(f"an integer of more than {MAX_INTEGER_BITS} bits; write it as text")
        self._budget -= 2
        return value

    def _text(self, value: str) -> str:
        self._budget -= len(value) + 3
        self._within_budget()
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise _Refused("text with a lone surrogate, which UTF-8 cannot write") from None
        return value


def shown(key: str) -> str:
    """Return *key* as a path may show it: itself when it is a plain identifier, ``*`` when it is not."""
    return str.__str__(key) if _PLAIN_KEY.fullmatch(key) else "*"


def parse_strict(body: bytes) -> dict[str, object]:
    """Read a body the way a receiver must: one JSON object, one meaning.

    Args:
        body: Raw bytes as received; UTF-8 without a byte order mark, at most 256 KiB.

    Raises:
        EnvelopeError: With the path ``body``: too large, not UTF-8, not JSON, not an object, a key given
            twice, a number that is not finite, a lone surrogate, or deeper than 64 levels. Nothing else
            escapes.
    """
    if len(body) > MAX_BODY_BYTES:
        raise EnvelopeError("body", f"more than {MAX_BODY_BYTES} bytes")
    try:
        text = str(body, "utf-8").strip(_WHITE_SPACE)
        value, end = _DECODER.raw_decode(text)
        if "\\" in text and "\\u" in text:  # Only an escape smuggles a lone surrogate into valid UTF-8.
            _ENCODER.encode(value).encode("utf-8")
    except RecursionError:
        raise EnvelopeError("body", f"deeper than {MAX_DEPTH} levels") from None
    except _Refused as refused:
        raise EnvelopeError("body", refused.problem) from None
    except UnicodeEncodeError:
        raise EnvelopeError("body", "text with a lone surrogate") from None
    except UnicodeDecodeError:
        raise EnvelopeError("body", "not UTF-8 throughout") from None
    except ValueError:
        raise EnvelopeError("body", "not JSON") from None
    if end != len(text):
        raise EnvelopeError("body", "not JSON: something follows it")
    if type(value) is not dict:
        raise EnvelopeError("body", "not a JSON object")
    if _may_be_deep(text) and _depth(value) > MAX_DEPTH:
        raise EnvelopeError("body", f"deeper than {MAX_DEPTH} levels")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(found := dict(pairs)) == len(pairs):
        return found
    raise _Refused("the same key twice in one object")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Refused("a number that is not finite")
    return value


def _no_constant(_text: str) -> object:
    raise _Refused("a number that is not finite")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)


def _may_be_deep(text: str) -> bool:
    """Tell cheaply, for most bodies, that they cannot be deeper than allowed.

    A level of objects takes five characters (``{"":}``); and no body is deeper than it has openings. They are
    looked for one by one, since a search skips what lies between ten times as fast as `str.count` does.
    """
    if len(text) <= 5 * MAX_DEPTH and "[" not in text:
        return False
    openings = 0
    for bracket in "{[":
        position = text.find(bracket)
        while position >= 0 and openings <= MAX_DEPTH:
            openings += 1
            position = text.find(bracket, position + 1)
    return openings > MAX_DEPTH


def _depth(value: object) -> int:
    level, depth = [value], 0
    while level:
        containers = [item for item in level if isinstance(item, dict | list)]
        depth += bool(containers)
        level = [
            inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return depth
