"""Read one response, bounded on every side. No I/O.

The invariant: for any bytes in any slices, `ResponseReader` ends in a response or in `ResponseBroken`, having
kept at most `MAX_HEAD_BYTES` of headers, `MAX_RESPONSE_BYTES` of body and `MAX_FRAMING_BYTES` of what frames
it. Once the status is known, a response that is merely too long is cut, not refused: the receiver has
answered. Explained in docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from webhooks_core.errors import ResponseBroken
from webhooks_core.transport.base import MAX_RESPONSE_BYTES
from webhooks_core.transport.http1 import Framing, Head, read_head

MAX_HEAD_BYTES = 65_536  # all heads together, interim (1xx) ones included; servers allow 8 to 16 KiB for one
MAX_FRAMING_BYTES = 16_384  # chunk sizes, their extensions and trailers: no more than the body they carry

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")  # RFC 9112 §2.2: a lone LF may end a line
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?", re.DOTALL)  # RFC 9112 §7.1


class Chunks:
    """Take a chunked body apart (RFC 9112 §7.1), with a bound on everything that is not body."""

    __slots__ = ("_in_trailers", "_left", "framing_left")

    def __init__(self) -> None:
        self.framing_left = MAX_FRAMING_BYTES
        self._left = 0  # of the current chunk, its line end included; 0: a size line (or trailer) is next
        self._in_trailers = False

    def take(self, held: bytearray, body: bytearray) -> bool:
        """Move what can be read from *held* to *body*; return whether the last chunk and its trailers are in.

        Raises:
            ResponseBroken: A chunk's size is no number, or a chunk is longer than its size.
        """
        while held and self.framing_left > 0:
            if self._left:
                self._take_data(held, body)
                continue
            end = held.find(b"\n", 0, self.framing_left)
            if end < 0:
                if len(held) >= self.framing_left:
                    self.framing_left = 0
                return False
            line = bytes(held[:end])
            del held[: end + 1]
            self.framing_left -= end + 1
            if self._in_trailers:
                if line in (b"", b"\r"):
                    return True
            else:
                self._start(line)
        return False

    def _start(self, line: bytes) -> None:
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise ResponseBroken("the size of a chunk is no number", phase="body")
        data = int(size[1], 16)
        self._in_trailers = data == 0
        self._left = data + 2 if data else 0

    def _take_data(self, held: bytearray, body: bytearray) -> None:
        data = max(0, self._left - 2)
        body += held[:data]
        taken = min(len(held), data)
        del held[:taken]
        self._left -= taken
        if held and self._left <= 2:
            self._take_line_end(held)

    def _take_line_end(self, held: bytearray) -> None:
        """Take the CR LF (or lone LF) after a chunk's data."""
        byte = held.pop(0)
        self.framing_left -= 1
        if byte == 0x0A:
            self._left = 0
        elif byte == 0x0D and self._left == 2:
            self._left = 1
        else:
            raise ResponseBroken("a chunk is longer than its size", phase="body")


class ResponseReader:
    """Take the bytes of one response as they come; say when enough is there.

    Args:
        head_only: True when no body follows whatever the head says (the answer to CONNECT).

    Attributes:
        status: 200 to 599, or 0 while the head is incomplete.
        headers: Those of the few that are kept, lower-case names.
        body: At most `MAX_RESPONSE_BYTES`, undecoded.
        received: Bytes fed so far.
        done: True once nothing more is to be read.
        reusable: True when the connection may carry another request.
        is_repeat: True when the request had been written before, on a connection that dropped.
    """

    __slots__ = (
        "_chunks",
        "_head",
        "_head_bytes",
        "_head_only",
        "_held",
        "_scan_from",
        "body",
        "done",
        "headers",
        "is_repeat",
        "received",
        "reusable",
        "status",
    )

    def __init__(self, *, head_only: bool = False) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.body = bytearray()
        self.received = 0
        self.done = False
        self.reusable = False
        self.is_repeat = False
        self._held = bytearray()
        self._head: Head | None = None
        self._head_only = head_only
        self._head_bytes = 0
        self._scan_from = 0
        self._chunks = Chunks()

    @property
    def phase(self) -> str:
        """Name what is being read, for errors."""
        return "body" if self.status else "headers"

    @property
    def wanted(self) -> int:
        """Return how many bytes to read at most next; above 0 while not done."""
        if self._head is None:
            return 8_192
        if self._head.framing is Framing.CHUNKS:
            return MAX_RESPONSE_BYTES
        return self._goal(self._head) - len(self.body)

    def feed(self, data: bytes) -> None:
        """Take *data*, not empty, while not done.

        Raises:
            ResponseBroken: What came is no HTTP response, or its headers are too large.
        """
        self.received += len(data)
        self._held += data
        head = self._head or self._read_heads()
        if head is not None:
            self._read_body(head)

    def end(self) -> None:
        """Say that the peer has closed the connection.

        Raises:
            ResponseBroken: Something is missing.
        """
        if self._head is None:
            raise ResponseBroken("the connection ended before the headers did", phase="headers")
        if not self.done and self._head.framing is not Framing.CLOSE:
            raise ResponseBroken("the connection ended before the body did", phase="body")
        self.done = True
        self.reusable = False

    def _read_heads(self) -> Head | None:
        """Read the head, past any interim responses (RFC 9110 §15.2); None while it is incomplete."""
        while True:
            blank = _BLANK_LINE.search(self._held, self._scan_from)
            size = blank.end() if blank else len(self._held)
            if self._head_bytes + size > MAX_HEAD_BYTES:
                raise ResponseBroken(f"more than {MAX_HEAD_BYTES} bytes of headers", phase="headers")
            if blank is None:
                self._scan_from = max(0, size - 3)  # a blank line is at most 4 bytes, and 3 may be here
                return None
            head = read_head(bytes(self._held[: blank.start()]))
            del self._held[:size]
            self._head_bytes += size
            self._scan_from = 0
            if head.status == 101:
                raise ResponseBroken("the receiver switches protocols unasked", phase="headers")
            if head.status >= 200:
                self._head, self.status, self.headers = head, head.status, head.headers
                return head

    def _read_body(self, head: Head) -> None:
        if self._head_only:
            self.done, self.reusable = True, not self._held
            return
        if head.framing is Framing.CHUNKS:
            self._read_chunks(head)
            return
        goal = self._goal(head)
        self.body += self._held
        self._held.clear()
        if len(self.body) >= goal:
            whole = head.framing is Framing.LENGTH and len(self.body) == head.length
            self.done, self.reusable = True, whole and head.keep
            del self.body[goal:]

    def _read_chunks(self, head: Head) -> None:
        whole = self._chunks.take(self._held, self.body)
        if whole:
            self.reusable = head.keep and not self._held and len(self.body) <= MAX_RESPONSE_BYTES
        self.done = whole or len(self.body) >= MAX_RESPONSE_BYTES or self._chunks.framing_left <= 0
        del self.body[MAX_RESPONSE_BYTES:]

    @staticmethod
    def _goal(head: Head) -> int:
        """Return how much of the body is read: as much as there is, up to the cap."""
        return min(head.length, MAX_RESPONSE_BYTES) if head.framing is Framing.LENGTH else MAX_RESPONSE_BYTES
