"""An attempt ends within its time-out plus half a second, whatever the other side does (the contract §6)."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from webhooks_core.errors import TimedOut
from webhooks_core.transport.requests import RequestsTransport

pytestmark = pytest.mark.network

TIMEOUT = 0.3
SLACK = 0.5  # the contract §6
OK_HEAD = b"HTTP/1.1 200 OK\r\n"


def hangs(peer: Any) -> None:
    """Accept, and say nothing."""
    peer.hang()


def hangs_after_reading(peer: Any) -> None:
    """Take the request, and say nothing."""
    peer.read()
    peer.hang()


def drips_headers(peer: Any) -> None:
    """Send the head one byte at a time."""
    peer.read()
    peer.drip(OK_HEAD + b"X: " + b"y" * 10_000)


def drips_interim_responses(peer: Any) -> None:
    """Say "go on" for ever, one byte at a time."""
    peer.read()
    peer.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000, every=0.001)


def drips_lines(peer: Any) -> None:
    """Send whole header lines for ever, each well within any read's time-out."""
    peer.read()
    peer.send(OK_HEAD)
    while not peer.receiver.over.wait(0.02):
        peer.send(b"X-Header: y\r\n")


def drips_body(peer: Any) -> None:
    """Send a good head, then the body one byte at a time."""
    peer.read()
    peer.send(OK_HEAD + b"Content-Length: 10000\r\n\r\n")
    peer.drip(b"x" * 10_000)


def drips_chunks(peer: Any) -> None:
    """Send chunks of one byte for ever."""
    peer.read()
    peer.send(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    peer.drip(b"1\r\nx\r\n" * 10_000, every=0.005)


def drips_trailers(peer: Any) -> None:
    """End the body, then send trailers for ever."""
    peer.read()
    peer.send(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    peer.drip(b"X-Trailer: y\r\n" * 10_000, every=0.005)


def hangs_in_the_body(peer: Any) -> None:
    """Send a part of the body, and then nothing."""
    peer.read()
    peer.send(OK_HEAD + b"Content-Length: 10\r\n\r\nhello")
    peer.hang()


@pytest.mark.parametrize(
    ("script", "phase"),
    [
        (hangs, "headers"),
        (hangs_after_reading, "headers"),
        (drips_headers, "headers"),
        (drips_interim_responses, "headers"),
        (drips_lines, "headers"),
        (drips_body, "body"),
        (drips_chunks, "body"),
        (drips_trailers, "body"),
        (hangs_in_the_body, "body"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_receiver_that_is_slow_is_left_at_the_deadline(
    serve: Any,
    transport: RequestsTransport,
    attempt: Any,
    stopwatch: Callable[[], float],
    authority: Any,
    script: Callable[[Any], None],
    phase: str,
    scheme: str,
) -> None:
    """No number of bytes, each in time, makes an attempt longer."""
    receiver = serve(script, tls=authority.server("127.0.0.1") if scheme == "https" else None)
    request = attempt(receiver.url(scheme=scheme), timeout=TIMEOUT, ca_bundle=authority.bundle)

    with pytest.raises(TimedOut, match=r"^no whole answer within 0\.3 s$") as caught:
        transport.send(request)

    assert TIMEOUT <= stopwatch() < TIMEOUT + SLACK
    assert caught.value.phase == phase


def test_a_receiver_that_does_not_read_is_left_at_the_deadline(
    serve: Any, transport: RequestsTransport, attempt: Any, stopwatch: Callable[[], float]
) -> None:
    """A body that the kernel cannot take in one go waits no longer than anything else."""
    receiver = serve(hangs, buffer=4_096)
    request = attempt(receiver.url(), timeout=TIMEOUT, body=b"x" * 16_000_000)

    with pytest.raises(TimedOut) as caught:
        transport.send(request)

    assert stopwatch() < TIMEOUT + SLACK
    assert caught.value.phase == "send"


def test_a_receiver_that_reads_slowly_is_left_at_the_deadline(
    serve: Any, transport: RequestsTransport, attempt: Any, stopwatch: Callable[[], float], authority: Any
) -> None:
    """Over TLS each record is a send of its own, and each would start a time-out of its own."""

    def reads_slowly(peer: Any) -> None:
        while not peer.receiver.over.wait(0.02) and peer.connection.recv(2_000):
            pass

    receiver = serve(reads_slowly, tls=authority.server("127.0.0.1"), buffer=4_096)
    request = attempt(
        receiver.url(scheme="https"), timeout=TIMEOUT, body=b"x" * 16_000_000, ca_bundle=authority.bundle
    )

    with pytest.raises(TimedOut) as caught:
        transport.send(request)

    assert stopwatch() < TIMEOUT + SLACK
    assert caught.value.phase == "send"


def test_a_tls_handshake_that_hangs_is_left_at_the_deadline(
    serve: Any, transport: RequestsTransport, attempt: Any, stopwatch: Callable[[], float]
) -> None:
    """A port that accepts and says nothing."""
    receiver = serve(hangs)

    with pytest.raises(TimedOut) as caught:
        transport.send(attempt(receiver.url(scheme="https"), timeout=TIMEOUT))

    assert stopwatch() < TIMEOUT + SLACK
    assert caught.value.phase == "tls"


def test_a_tls_handshake_in_drips_is_left_at_the_deadline(
    serve: Any, transport: RequestsTransport, attempt: Any, stopwatch: Callable[[], float], authority: Any
) -> None:
    """A server hello, one byte at a time: a time-out of each read would never fire."""
    hello = record_of_a_server_hello(authority.server("127.0.0.1"))

    def drips_hello(peer: Any) -> None:
        peer.connection.recv(65_536)
        peer.drip(hello)

    receiver = serve(drips_hello)

    with pytest.raises(TimedOut) as caught:
        transport.send(attempt(receiver.url(scheme="https"), timeout=TIMEOUT))

    assert stopwatch() < TIMEOUT + SLACK
    assert caught.value.phase == "tls"


def record_of_a_server_hello(server: ssl.SSLContext) -> bytes:
    """Return what a server says first, taken from a handshake in memory."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (ours, theirs):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return to_client.read()


@contextlib.contextmanager
def full_queue(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Hold a port whose queue of connections is full, so that one more never comes about."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_connection_that_never_comes_about_is_left_at_the_deadline(
    transport: RequestsTransport, attempt: Any, stopwatch: Callable[[], float]
) -> None:
    """A firewall that drops, or a server that is too busy to accept."""
    with full_queue() as full, pytest.raises(TimedOut) as caught:
        transport.send(attempt(f"http://127.0.0.1:{full}/", timeout=TIMEOUT))

    assert stopwatch() < TIMEOUT + SLACK
    assert caught.value.phase == "connect"


def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    serve: Any, attempt: Any, stopwatch: Callable[[], float]
) -> None:
    """Of two addresses the first gets half of the time, not all of it."""
    receiver = serve(host="127.0.0.2")
    port = receiver.port
    with full_queue(port=port), RequestsTransport(resolve=lambda *_: ["127.0.0.1", "127.0.0.2"]) as two:
        response = two.send(attempt(f"http://two.example:{port}/", timeout=0.6))

    assert response.status == 200
    assert stopwatch() < 0.6


def test_a_resolver_that_hangs_is_left_at_the_deadline(attempt: Any, stopwatch: Callable[[], float]) -> None:
    """`getaddrinfo` waits as long as it likes; the attempt does not."""
    let_go = threading.Event()

    def hang(name: str, port: int) -> Sequence[str]:
        let_go.wait(30)
        return []

    with RequestsTransport(resolve=hang) as transport:
        with pytest.raises(TimedOut, match=r"not resolved in time|no whole answer within") as caught:
            transport.send(attempt("https://slow.example/", timeout=TIMEOUT))
        let_go.set()

    assert stopwatch() < TIMEOUT + SLACK
    assert caught.value.phase == "dns"


def test_time_spent_resolving_is_not_given_again(
    serve: Any, attempt: Any, stopwatch: Callable[[], float]
) -> None:
    """One deadline for all phases together."""
    receiver = serve(hangs)
    pause = threading.Event()

    def slow(name: str, port: int) -> Sequence[str]:
        pause.wait(0.2)
        return ["127.0.0.1"]

    with RequestsTransport(resolve=slow) as transport, pytest.raises(TimedOut) as caught:
        transport.send(attempt(receiver.url("slow.example"), timeout=TIMEOUT))

    assert stopwatch() < TIMEOUT + 0.15
    assert caught.value.phase == "headers"


def test_a_proxy_that_hangs_is_left_at_the_deadline(
    serve: Any, transport: RequestsTransport, attempt: Any, stopwatch: Callable[[], float]
) -> None:
    """CONNECT is part of the attempt."""

    def drips_connect(peer: Any) -> None:
        peer.read()
        peer.drip(OK_HEAD + b"X: " + b"y" * 10_000)

    proxy = serve(drips_connect)
    request = attempt("https://a.example/", timeout=TIMEOUT, proxy=proxy.url(path=""))

    with pytest.raises(TimedOut) as caught:
        transport.send(request)

    assert stopwatch() < TIMEOUT + SLACK
    assert caught.value.phase == "proxy"
