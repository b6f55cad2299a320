"""As much HTTP/1.1 as a webhook needs: the bytes of a request, and what the head of a response says. No I/O.

What a client library would also do (redirects, decoding, cookies, variables for proxies) is left out on
purpose. The invariants: a request is one message whatever its headers hold (`Request` has checked them), and
for any bytes `read_head` returns or raises `ResponseBroken`. `response.py` puts heads and bodies together.
Explained in docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from webhooks_core.errors import ResponseBroken

_KEPT = (b"content-type", b"retry-after")  # what somebody decides by; the rest is not even stored
_LISTS = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_READ = _LISTS.union(_KEPT)

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?")  # RFC 9112 §4
_LENGTH = re.compile(rb"[0-9]{1,18}")
_KEPT_VALUE = re.compile(rb"[\t\x20-\x7e]{1,256}")  # no date, number of seconds or media type is longer


class Message(bytes):
    """A request as it goes out; its repr says nothing, because tracebacks with locals show it."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


class Framing(Enum):
    """What ends a body (RFC 9112 §6.3)."""

    LENGTH = "Content-Length"
    CHUNKS = "chunked"
    CLOSE = "end of the connection"


def write_request(method: str, target: str, headers: Mapping[str, str], body: bytes, *, host: str) -> Message:
    """Return the bytes of one request.

    Args:
        target: Request target, visible ASCII: path and query, or the absolute form for a proxy.
        host: Value of `Host`.
        headers: As `Request` has checked them.
    """
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    length = f"Content-Length: {len(body)}\r\n" if body or method != "GET" else ""
    start = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n"
    head = f"{start}{fields}Accept: */*\r\nAccept-Encoding: identity\r\n{length}\r\n"
    return Message(head.encode("ascii") + body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the head of one response says."""

    status: int
    headers: Mapping[str, str]
    framing: Framing
    length: int
    keep: bool


def read_head(head: bytes) -> Head:
    """Read a status line and its fields, without the blank line.

    Raises:
        ResponseBroken: No HTTP/1 status line, or lengths that contradict each other.
    """
    lines = head.split(b"\n")
    line = _STATUS.fullmatch(lines[0].removesuffix(b"\r"))
    if line is None:
        raise ResponseBroken("what came back is not HTTP/1", phase="headers")
    seen: dict[bytes, bytes] = {}
    for text in lines[1:]:
        name, _, value = text.partition(b":")
        name = name.lower()
        if name in _READ:
            # Several fields of one name are one list (RFC 9110 §5.3); of what is kept, the first counts.
            first = seen.get(name)
            seen[name] = value if first is None else (first + b"," + value if name in _LISTS else first)
    status, version = int(line[2]), line[1]
    framing, length = _framing(status, seen)
    connection = {token.strip() for token in seen.get(b"connection", b"").lower().split(b",")}
    keep = b"close" not in connection if version == b"1" else b"keep-alive" in connection
    contradicts = b"transfer-encoding" in seen and (b"content-length" in seen or version == b"0")
    # RFC 9112 §6.1: where two framings contradict each other, the next response cannot be trusted.
    keep = keep and not contradicts
    return Head(status=status, headers=_kept(seen), framing=framing, length=length, keep=keep)


def _framing(status: int, seen: Mapping[bytes, bytes]) -> tuple[Framing, int]:
    if status in (204, 304):
        return Framing.LENGTH, 0
    coding = seen.get(b"transfer-encoding")
    if coding is not None:
        last = coding.lower().rpartition(b",")[2].strip()
        return (Framing.CHUNKS if last == b"chunked" else Framing.CLOSE), 0
    if b"content-length" not in seen:
        return Framing.CLOSE, 0
    lengths = {value.strip() for value in seen[b"content-length"].split(b",")}
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise ResponseBroken("the length of the body is no single number", phase="headers")
    return Framing.LENGTH, int(length)


def _kept(seen: Mapping[bytes, bytes]) -> dict[str, str]:
    values = ((name, seen[name].strip()) for name in _KEPT if name in seen)
    return {name.decode(): value.decode() for name, value in values if _KEPT_VALUE.fullmatch(value)}
