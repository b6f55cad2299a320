"""The bytes of a request, and what the head of a response says."""

from __future__ import annotations

import pytest

from webhooks_core.errors import ResponseBroken
from webhooks_core.transport.http1 import Framing, Message, read_head, write_request


def test_a_request_is_written_as_one_message() -> None:
    """Head and body leave in one piece; what frames them is counted, not copied from the caller."""
    message = write_request(
        "POST", "/hook?x=1", {"X-Webhook-Id": "1"}, b'{"a":"\xc3\xbc"}', host="a.example:8443"
    )

    assert bytes(message) == (
        b"POST /hook?x=1 HTTP/1.1\r\nHost: a.example:8443\r\nX-Webhook-Id: 1\r\n"
        b"Accept: */*\r\nAccept-Encoding: identity\r\nContent-Length: 10\r\n\r\n"
        b'{"a":"\xc3\xbc"}'
    )


@pytest.mark.parametrize(("method", "length"), [("GET", b""), ("POST", b"Content-Length: 0\r\n")])
def test_an_empty_body_is_announced_where_one_is_expected(method: str, length: bytes) -> None:
    """RFC 9110 §8.6: a POST without a body says so, a GET says nothing."""
    message = write_request(method, "/", {}, b"", host="a")

    assert message.endswith(b"identity\r\n" + length + b"\r\n")


def test_a_message_does_not_show_itself() -> None:
    """Tracebacks with locals print it."""
    assert repr(Message(b"secret")) == "<6 bytes>"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200 OK", 200),
        (b"HTTP/1.1 200 ", 200),
        (b"HTTP/1.1 200", 200),
        (b"HTTP/1.0 404 Not Found", 404),
        (b"HTTP/1.1 599 \xff\xfe", 599),
        (b"HTTP/1.1 103 Early Hints", 103),
    ],
)
def test_a_status_line_is_read(line: bytes, status: int) -> None:
    """With and without a reason, which nobody looks at."""
    assert read_head(line).status == status


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 20",
        b"HTTP/1.1 2000",
        b"HTTP/1.1 600 No",
        b"HTTP/1.1 099 No",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1  200 OK",
        b" HTTP/1.1 200 OK",
        b"HTTP/1.1 +20 OK",
        b"HTTP/1.1 \xb2\xb0\xb0 OK",
        b"http/1.1 200 OK",
        b"HTTP/2 200",
        b"HTTP/1.2 200 OK",
        b"HTTP/0.9 200 OK",
        b"ICY 200 OK",
        b"SSH-2.0-OpenSSH_9.6",
        b"220 mail.example ESMTP",
        b"\x15\x03\x01\x00\x02\x02",
        b"<html>200</html>",
    ],
)
def test_what_is_no_status_line_is_no_response(line: bytes) -> None:
    """Another protocol on the port is named as such, and not one byte of it is repeated."""
    with pytest.raises(ResponseBroken, match=r"^what came back is not HTTP/1$") as caught:
        read_head(line + b"\r\nContent-Length: 0")

    assert caught.value.phase == "headers"


@pytest.mark.parametrize(
    ("fields", "framing", "length"),
    [
        (b"", Framing.CLOSE, 0),
        (b"Content-Length: 5", Framing.LENGTH, 5),
        (b"content-LENGTH:5", Framing.LENGTH, 5),
        (b"Content-Length: \t 5 \t", Framing.LENGTH, 5),
        (b"Content-Length: 5\r\nContent-Length: 5", Framing.LENGTH, 5),
        (b"Content-Length: 5, 5", Framing.LENGTH, 5),
        (b"Transfer-Encoding: chunked", Framing.CHUNKS, 0),
        (b"Transfer-Encoding: gzip, Chunked", Framing.CHUNKS, 0),
        (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", Framing.CHUNKS, 0),
        (b"Transfer-Encoding: chunked, gzip", Framing.CLOSE, 0),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5", Framing.CHUNKS, 0),
        (b"X: Content-Length: 5", Framing.CLOSE, 0),
        (b"Content-Length 5", Framing.CLOSE, 0),
    ],
)
def test_the_end_of_a_body_is_found_as_the_rfc_says(fields: bytes, framing: Framing, length: int) -> None:
    """RFC 9112 §6.3, in its order."""
    head = read_head(b"HTTP/1.1 200 OK\r\n" + fields)

    assert (head.framing, head.length) == (framing, length)


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body_whatever_they_announce(status: int) -> None:
    """RFC 9112 §6.3, item 1."""
    head = read_head(b"HTTP/1.1 %d No\r\nContent-Length: 5" % status)

    assert (head.framing, head.length) == (Framing.LENGTH, 0)


@pytest.mark.parametrize(
    "value", [b"", b"-1", b"+1", b"1.0", b"0x10", b"1 2", b"five", b"5, 6", b"5,", b"\xb2", b"9" * 19, b"1e3"]
)
def test_a_length_that_is_no_single_number_is_refused(value: bytes) -> None:
    """Guessing one would put the next response at the wrong place."""
    with pytest.raises(ResponseBroken, match="no single number"):
        read_head(b"HTTP/1.1 200 OK\r\nContent-Length: " + value)


def test_two_lengths_that_differ_are_refused() -> None:
    """RFC 9110 §8.6."""
    with pytest.raises(ResponseBroken, match="no single number"):
        read_head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6")


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"HTTP/1.1 200 OK", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close", False),
        (b"HTTP/1.1 200 OK\r\nConnection: X, Close", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close", False),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3", False),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive", False),
    ],
)
def test_a_connection_is_kept_only_when_both_sides_agree_on_its_state(head: bytes, keep: bool) -> None:
    """RFC 9112 §9.3; and §6.1 where two framings contradict each other."""
    assert read_head(head).keep is keep


def test_only_headers_that_somebody_decides_by_are_kept() -> None:
    """No cookie, no server banner; the first value counts."""
    head = read_head(
        b"HTTP/1.1 503 Busy\r\nSet-Cookie: a=b\r\nServer: x\r\nRETRY-AFTER:  120 \r\nRetry-After: 1\r\n"
        b"Content-Type: text/plain"
    )

    assert head.headers == {"retry-after": "120", "content-type": "text/plain"}


@pytest.mark.parametrize("value", [b"", b"\xff", b"a\x00b", b"a\x1b[31m", b"1" * 257, b"1\r2"])
def test_a_kept_header_that_a_log_could_not_show_is_dropped(value: bytes) -> None:
    """Values are visible ASCII of at most 256 characters, or not there."""
    assert read_head(b"HTTP/1.1 503 Busy\r\nRetry-After: " + value).headers == {}


def test_lines_may_end_in_a_lone_line_feed() -> None:
    """RFC 9112 §2.2; small servers do it."""
    head = read_head(b"HTTP/1.1 200 OK\nContent-Length: 5\nRetry-After: 3")

    assert (head.status, head.length, head.headers) == (200, 5, {"retry-after": "3"})
