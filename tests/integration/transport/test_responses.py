"""Whatever comes back: bounded, undecoded, and never followed anywhere."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from typing import Any

import pytest

from webhooks_core.errors import ResponseBroken
from webhooks_core.transport.base import MAX_RESPONSE_BYTES
from webhooks_core.transport.requests import RequestsTransport

pytestmark = pytest.mark.network

LIMIT = MAX_RESPONSE_BYTES


def answers(data: bytes) -> Any:
    """Return a script that answers every request with *data* and keeps the connection."""

    def script(peer: Any) -> None:
        while peer.read():
            peer.send(data)

    return script


@pytest.mark.parametrize("status", [200, 201, 204, 299, 304, 400, 404, 410, 429, 500, 503, 599])
def test_every_status_is_a_response(
    serve: Any, transport: RequestsTransport, attempt: Any, status: int
) -> None:
    """A 500 is what the receiver says, not an error of ours."""
    receiver = serve(answers(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nRetry-After: 7\r\n\r\n" % status))

    response = transport.send(attempt(receiver.url()))

    assert (response.status, response.body, response.headers["retry-after"]) == (status, b"", "7")
    assert 0 < response.elapsed_seconds < 2


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["http://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "/elsewhere"])
def test_a_redirect_is_a_response_and_nobody_goes_there(
    serve: Any, transport: RequestsTransport, attempt: Any, status: int, location: str
) -> None:
    """The contract §4: a 3xx is a failure; a redirect to loopback would reach inside."""
    inside = serve()
    where = location.format(port=inside.port).encode()
    receiver = serve(answers(b"HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, where)))

    response = transport.send(attempt(receiver.url()))

    assert response.status == status
    assert inside.connections == 0
    assert len(receiver.requests) == 1


def test_a_response_of_one_gibibyte_is_cut_at_16_kib(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """The contract §6: the status counts, 16 KiB are read, the rest is left to the kernel to throw away."""
    sent = 0

    def gibibyte(peer: Any) -> None:
        nonlocal sent
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        block = b"x" * 65_536
        for _ in range(16_384):
            peer.send(block)
            sent += len(block)

    receiver = serve(gibibyte)
    tracemalloc.start()
    try:
        response = transport.send(attempt(receiver.url()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (response.status, len(response.body)) == (200, LIMIT)
    assert peak < 1_000_000
    assert sent < 100_000_000
    transport.send(attempt(receiver.url()))
    assert receiver.connections == 2


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-gzip, gzip"])
def test_a_bomb_is_not_decompressed(
    serve: Any, transport: RequestsTransport, attempt: Any, encoding: str
) -> None:
    """200 KB that would become 200 MB stay the bytes they are; and we never asked for them."""
    bomb = gzip.compress(b"\0" * 200_000_000, 1) if "gzip" in encoding else zlib.compress(b"\0" * 50_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(bomb)}\r\n\r\n"
    receiver = serve(answers(head.encode() + bomb))

    response = transport.send(attempt(receiver.url()))

    assert response.body == bomb[:LIMIT]
    assert b"\r\nAccept-Encoding: identity\r\n" in receiver.requests[0]


def test_a_small_compressed_body_stays_compressed(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """Nothing is decoded at all, so there is no bomb to look for."""
    small = gzip.compress(b'{"status":"ok"}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(small)
    receiver = serve(answers(head + small))

    assert transport.send(attempt(receiver.url())).body == small


def test_a_chunked_body_is_put_together(serve: Any, transport: RequestsTransport, attempt: Any) -> None:
    """And the connection goes on."""
    receiver = serve(answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))

    assert [transport.send(attempt(receiver.url())).body for _ in range(2)] == [b"hello", b"hello"]
    assert receiver.connections == 1


def test_interim_responses_are_passed_over(serve: Any, transport: RequestsTransport, attempt: Any) -> None:
    """103 Early Hints is not the answer, which http.client would take it for."""
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    receiver = serve(answers(hints + b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"))

    response = transport.send(attempt(receiver.url()))

    assert (response.status, response.body) == (202, b"ok")


@pytest.mark.parametrize(
    ("data", "phase"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "headers"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "headers"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "headers"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000, "headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000, "headers"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "body"),
    ],
    ids=["ssh", "length", "switch", "many headers", "long header", "continue", "chunk"],
)
def test_what_is_no_response_is_refused_at_once(
    serve: Any, transport: RequestsTransport, attempt: Any, data: bytes, phase: str
) -> None:
    """With the phase in the error, and not a byte of what came."""
    receiver = serve(answers(data))

    with pytest.raises(ResponseBroken) as caught:
        transport.send(attempt(receiver.url()))

    assert caught.value.phase == phase
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("data", "phase"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Le", "headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "body"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "body"),
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_response_that_breaks_off_is_broken(
    serve: Any, transport: RequestsTransport, attempt: Any, data: bytes, phase: str, how: str
) -> None:
    """Half an answer is none; it is not asked for again within the attempt either."""

    def breaks_off(peer: Any) -> None:
        peer.read()
        peer.send(data)
        if how == "reset":
            peer.receiver.over.wait(0.05)
            peer.reset()

    receiver = serve(breaks_off)

    with pytest.raises(ResponseBroken) as caught:
        transport.send(attempt(receiver.url()))

    assert caught.value.phase == phase
    assert len(receiver.requests) == 1


def test_an_answer_given_before_the_body_was_read_is_heard(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """413 and good-bye: our write fails, and the reason is already there."""

    def too_large(peer: Any) -> None:
        peer.connection.recv(1_000)
        peer.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        peer.connection.shutdown(1)
        while peer.connection.recv(65_536):
            pass

    receiver = serve(too_large)

    assert transport.send(attempt(receiver.url(), body=b"x" * 2_000_000)).status == 413


def test_a_body_without_length_ends_with_the_connection(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """HTTP/1.0 receivers do that."""

    def old(peer: Any) -> None:
        peer.read()
        peer.send(b"HTTP/1.0 200 OK\r\n\r\nhello")

    receiver = serve(old)

    assert [transport.send(attempt(receiver.url())).body for _ in range(2)] == [b"hello"] * 2
    assert receiver.connections == 2


def test_cookies_are_not_stored(serve: Any, transport: RequestsTransport, attempt: Any) -> None:
    """What a receiver sets, it never sees again."""
    receiver = serve(answers(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"))

    responses = [transport.send(attempt(receiver.url())) for _ in range(2)]

    assert all("cookie" not in request.decode().lower() for request in receiver.requests)
    assert all(response.headers == {} for response in responses)


def test_the_request_is_on_the_wire_as_it_was_given(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """The signed bytes, the headers of the contract §4, the path with its query, and the framing."""
    receiver = serve()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "DeltaCrown-Webhook/1.0",
        "X-Webhook-Id": "1",
    }
    body = '{"name":"ü","n":1}'.encode()

    transport.send(attempt(receiver.url("a.example", path="/hook?x=%2F&y"), headers=headers, body=body))

    assert receiver.requests == [
        b"POST /hook?x=%%2F&y HTTP/1.1\r\nHost: a.example:%d\r\nContent-Type: application/json\r\n"
        b"User-Agent: DeltaCrown-Webhook/1.0\r\nX-Webhook-Id: 1\r\nAccept: */*\r\n"
        b"Accept-Encoding: identity\r\nContent-Length: %d\r\n\r\n%b" % (receiver.port, len(body), body)
    ]


def test_a_health_url_is_asked_with_get(serve: Any, transport: RequestsTransport, attempt: Any) -> None:
    """No body, and no length of one."""
    receiver = serve()

    response = transport.send(attempt(receiver.url(path="/health"), method="GET", body=b""))

    assert response.status == 200
    assert receiver.requests[0].startswith(b"GET /health HTTP/1.1\r\n")
    assert b"Content-Length" not in receiver.requests[0]
