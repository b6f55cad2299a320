"""One response, in any slices, bounded on every side."""

from __future__ import annotations

import contextlib
import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_core.errors import ResponseBroken
from webhooks_core.transport.base import MAX_RESPONSE_BYTES
from webhooks_core.transport.response import MAX_FRAMING_BYTES, MAX_HEAD_BYTES, ResponseReader

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, *, step: int = 0, close: bool = False) -> ResponseReader:
    """Feed *data* whole or in slices of *step* bytes until the reader is done, then, if asked, the end."""
    reader = ResponseReader()
    step = step or len(data)
    for start in range(0, len(data), step):
        if reader.done:
            break
        reader.feed(data[start : start + step])
    if close and not reader.done:
        reader.end()
    return reader


WHOLE = {
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", b""),
    "lone line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", b"hello"),
    "chunks": (CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
    "chunk extensions": (CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;x\r\n\r\n', b"hello"),
    "chunk sizes in both cases": (
        CHUNKED + b"A\r\n0123456789\r\na \r\n0123456789\r\n00\r\n\r\n",
        b"0123456789" * 2,
    ),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", b"hello"),
    "chunks with lone line feeds": (CHUNKED + b"5\nhello\n0\n\n", b"hello"),
    "no content": (b"HTTP/1.1 204 No\r\n\r\n", b""),
    "interim": (
        b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
        + OK
        + b"Content-Length: 2\r\n\r\nhi",
        b"hi",
    ),
}


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
@pytest.mark.parametrize(("data", "body"), WHOLE.values(), ids=WHOLE)
def test_a_whole_response_reads_the_same_in_any_slices(data: bytes, body: bytes, step: int) -> None:
    """One byte at a time is slow, not different; and the connection may go on."""
    reader = read(data, step=step)

    assert reader.done
    assert reader.reusable
    assert reader.status in (200, 204)
    assert bytes(reader.body) == body
    assert reader.received == len(data)


@pytest.mark.parametrize(("data", "body"), WHOLE.values(), ids=WHOLE)
def test_bytes_after_a_response_make_the_connection_unusable(data: bytes, body: bytes) -> None:
    """What nobody asked for could be read as the answer to the next request."""
    reader = read(data + b"H")

    assert (reader.done, reader.reusable, bytes(reader.body)) == (True, False, body)


@pytest.mark.parametrize("data", [b"", b"hello"])
def test_a_body_may_end_with_the_connection(data: bytes) -> None:
    """Without a length, the end of the connection is the end of the body."""
    reader = read(OK + b"\r\n" + data, close=True)

    assert (reader.done, reader.reusable, bytes(reader.body)) == (True, False, data)


@pytest.mark.parametrize(("data", "_"), WHOLE.values(), ids=WHOLE)
def test_a_response_cut_short_is_broken_wherever_it_is_cut(data: bytes, _: bytes) -> None:
    """Half an answer is none, and the phase says which half."""
    for cut in range(1, len(data)):
        reader = read(data[:cut])
        if reader.done:
            continue
        phase = reader.phase

        with pytest.raises(ResponseBroken) as caught:
            reader.end()

        assert caught.value.phase == phase


def test_the_answer_to_connect_ends_with_its_head() -> None:
    """Whatever length a proxy announces, the tunnel begins."""
    reader = ResponseReader(head_only=True)

    reader.feed(OK + b"Content-Length: 99\r\n\r\n")

    assert (reader.done, reader.reusable, reader.status) == (True, True, 200)


def test_bytes_after_the_answer_to_connect_make_the_tunnel_unusable() -> None:
    """A proxy that speaks first inside the tunnel is no tunnel."""
    reader = ResponseReader(head_only=True)

    reader.feed(OK + b"\r\nx")

    assert (reader.done, reader.reusable) == (True, False)


def test_a_switch_of_protocols_is_refused() -> None:
    """Nobody asked for one, and what follows would not be HTTP."""
    with pytest.raises(ResponseBroken, match="switches protocols"):
        read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")


@pytest.mark.parametrize("size", [MAX_RESPONSE_BYTES, MAX_RESPONSE_BYTES + 1, 1 << 30])
def test_a_long_body_is_cut_at_its_cap(size: int) -> None:
    """The contract §6: at most 16 KiB are read; the status counts all the same."""
    reader = read(OK + b"Content-Length: %d\r\n\r\n" % size + b"x" * (MAX_RESPONSE_BYTES + 10), step=4_096)

    assert reader.done
    assert len(reader.body) == MAX_RESPONSE_BYTES
    assert reader.reusable is False
    assert reader.status == 200


def test_a_body_of_exactly_the_cap_keeps_the_connection() -> None:
    """The cap is what may be read, not what must be refused."""
    reader = read(OK + b"Content-Length: %d\r\n\r\n" % MAX_RESPONSE_BYTES + b"x" * MAX_RESPONSE_BYTES)

    assert (reader.done, reader.reusable, len(reader.body)) == (True, True, MAX_RESPONSE_BYTES)


def test_a_chunked_body_of_exactly_the_cap_keeps_the_connection() -> None:
    """Where its last chunk came along; where it did not, nobody waits for it."""
    data = CHUNKED + b"%x\r\n" % MAX_RESPONSE_BYTES + b"x" * MAX_RESPONSE_BYTES

    whole, cut = read(data + b"\r\n0\r\n\r\n"), read(data)

    assert (whole.done, whole.reusable, len(whole.body)) == (True, True, MAX_RESPONSE_BYTES)
    assert (cut.done, cut.reusable, len(cut.body)) == (True, False, MAX_RESPONSE_BYTES)


@pytest.mark.parametrize(("extra", "accepted"), [(0, True), (1, False)])
def test_a_head_of_exactly_the_bound_is_read(extra: int, accepted: bool) -> None:
    """The bound is what may come, its blank line included."""
    head = OK + b"Content-Length: 0\r\nX: %b\r\n\r\n"
    data = head % (b"y" * (MAX_HEAD_BYTES - len(head) + 2 + extra))

    with contextlib.nullcontext() if accepted else pytest.raises(ResponseBroken):
        assert read(data).reusable


@pytest.mark.parametrize("head", [OK + b"\r\n", CHUNKED + b"fffffff\r\n"])
def test_an_endless_body_is_cut_at_its_cap(head: bytes) -> None:
    """Neither a missing length nor a huge chunk reads more."""
    reader = read(head + b"x" * (3 * MAX_RESPONSE_BYTES), step=1_000)

    assert (reader.done, reader.reusable, len(reader.body)) == (True, False, MAX_RESPONSE_BYTES)
    assert reader.received <= len(head) + MAX_RESPONSE_BYTES + 1_000


def test_it_never_asks_for_more_than_the_cap() -> None:
    """What `wanted` says is what a socket is asked for, so that the kernel keeps the rest."""
    reader = ResponseReader()
    assert 0 < reader.wanted <= MAX_RESPONSE_BYTES

    reader.feed(OK + b"Content-Length: 100\r\n\r\n" + b"x" * 40)
    assert reader.wanted == 60

    reader = read(OK + b"\r\n" + b"x" * 384)
    assert reader.wanted == MAX_RESPONSE_BYTES - 384

    reader = read(CHUNKED)
    assert reader.wanted == MAX_RESPONSE_BYTES


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" * 10_000,
        OK + b"X-Header: y\r\n" * 20_000,
        OK + b"X-Header: " + b"y" * 1_000_000,
        b"HTTP/1.1 200 " + b"O" * 1_000_000,
        b"x" * 1_000_000,
        b"\n" * 0 + b"\x00" * 1_000_000,
    ],
    ids=["100", "102", "many headers", "one long header", "long reason", "no head", "zeros"],
)
@pytest.mark.parametrize("step", [100, 8_192])
def test_headers_without_end_are_refused(flood: bytes, step: int) -> None:
    """Interim responses, header lines, one line of 1 MB: all heads together have one bound."""
    reader = ResponseReader()

    with pytest.raises(ResponseBroken, match="65536 bytes of headers") as caught:
        for start in range(0, len(flood), step):
            reader.feed(flood[start : start + step])

    assert reader.received <= MAX_HEAD_BYTES + step
    assert caught.value.phase == "headers"


@pytest.mark.parametrize(
    "flood",
    [
        b"5;" + b"x" * 1_000_000,
        b"5;x\r\nhello\r\n" * 100_000,
        b"1\r\nx\r\n" * 100_000,
        b"0\r\n" + b"X-Trailer: y\r\n" * 100_000,
        b"0\r\nX-Trailer: " + b"y" * 1_000_000,
    ],
    ids=["one extension", "extensions", "tiny chunks", "trailers", "one trailer"],
)
@pytest.mark.parametrize("step", [100, 8_192])
def test_framing_without_end_is_cut(flood: bytes, step: int) -> None:
    """Chunk extensions and trailers have a bound of their own; the status, already known, counts."""
    reader = read(CHUNKED + flood, step=step)

    assert (reader.status, reader.done, reader.reusable) == (200, True, False)
    assert reader.received <= len(CHUNKED) + MAX_RESPONSE_BYTES + MAX_FRAMING_BYTES + 2 * step


@pytest.mark.parametrize(
    "chunks",
    [
        b"\r\n",
        b"x\r\n",
        b"-5\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 6\r\n",
        b"f" * 16 + b"\r\n",
        b"5_0\r\n",
    ],
)
def test_a_chunk_size_that_is_no_number_is_refused(chunks: bytes) -> None:
    """RFC 9112 §7.1: hexadecimal digits and nothing else."""
    with pytest.raises(ResponseBroken, match="size of a chunk"):
        read(CHUNKED + chunks)


@pytest.mark.parametrize("chunks", [b"5\r\nhello!\r\n", b"5\r\nhello\rx", b"5\r\nhello\r\r\n"])
@pytest.mark.parametrize("step", [0, 1])
def test_a_chunk_longer_than_its_size_is_refused(chunks: bytes, step: int) -> None:
    """The byte after it is not its line end, so nothing after it can be trusted."""
    with pytest.raises(ResponseBroken, match="longer than its size"):
        read(CHUNKED + chunks, step=step)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=30))
def test_any_bytes_end_in_a_response_or_in_our_error(slices: list[bytes]) -> None:
    """The invariant of the module, for what no server sends."""
    reader = ResponseReader()

    try:
        for data in slices:
            if reader.done:
                break
            reader.feed(data)
            assert reader.wanted > 0 or reader.done
        else:
            reader.end()
    except ResponseBroken:
        return

    assert reader.done or not slices
    assert 200 <= reader.status <= 599


FIELDS = st.sampled_from(
    [
        b"Content-Length: 3",
        b"Content-Length: 0",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"X: y",
        b"Retry-After: 7",
    ]
)
BODIES = st.sampled_from(
    [b"", b"abc", b"abcdef", b"3\r\nabc\r\n0\r\n\r\n", b"0\r\n\r\n", b"1;x\r\na\r\n0\r\nT: 1\r\n\r\n"]
)


@given(st.lists(FIELDS, max_size=4, unique=True), BODIES, st.integers(1, 50))
def test_it_agrees_with_the_standard_library(fields: list[bytes], body: bytes, step: int) -> None:
    """Where http.client reads a whole response, we read the same status and body."""
    data = OK + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body
    theirs = http.client.HTTPResponse(FakeSocket(data), method="POST")  # type: ignore[arg-type]
    try:
        theirs.begin()
        expected: bytes | None = theirs.read()
    except http.client.HTTPException:
        expected = None
    finally:
        theirs.close()

    try:
        reader = read(data, step=step, close=True)
        found: bytes | None = bytes(reader.body)
    except ResponseBroken:
        found = None

    if expected is not None and not {b"Content-Length: 3", b"Content-Length: 0"} <= set(fields):
        assert found == expected


class FakeSocket:
    """As much of a socket as http.client wants."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, mode: str) -> io.BytesIO:
        """Return the bytes as a file."""
        return io.BytesIO(self.data)
