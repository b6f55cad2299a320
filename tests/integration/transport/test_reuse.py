"""Connections are kept alive, and a request is written a second time in one case only."""

from __future__ import annotations

import time
from typing import Any

import pytest

from webhooks_core.errors import ConnectFailed, ResponseBroken, TimedOut
from webhooks_core.transport.requests import RequestsTransport

pytestmark = pytest.mark.network

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_attempts_in_a_row_share_one_connection(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """A handshake per attempt would cost more than the attempt."""
    receiver = serve()

    for _ in range(5):
        assert transport.send(attempt(receiver.url())).status == 200

    assert (receiver.connections, len(receiver.requests)) == (1, 5)


def test_a_connection_that_says_close_is_not_kept(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """The receiver's word counts, even before it closes."""

    def closes(peer: Any) -> None:
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        peer.hang()

    receiver = serve(closes)

    for _ in range(3):
        transport.send(attempt(receiver.url()))

    assert receiver.connections == 3


def test_a_connection_that_was_closed_at_rest_is_replaced(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """Every receiver ends idle connections sooner or later; no attempt is spent on finding out."""

    def one_each(peer: Any) -> None:
        peer.read()
        peer.send(OK)

    receiver = serve(one_each)

    for _ in range(3):
        assert transport.send(attempt(receiver.url())).status == 200
        time.sleep(0.02)  # for the farewell to arrive

    assert (receiver.connections, len(receiver.requests)) == (3, 3)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_kept_connection_that_drops_before_an_answer_is_replaced_once(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any, how: str, scheme: str
) -> None:
    """The contract §6: tried once more on a fresh one within the same attempt."""

    def drops_the_second(peer: Any) -> None:
        peer.read()
        peer.send(OK)
        if peer.receiver.connections == 1:
            peer.read()
            if how == "reset":
                peer.reset()
            return
        while peer.read():
            peer.send(OK)

    receiver = serve(drops_the_second, tls=authority.server("127.0.0.1") if scheme == "https" else None)
    request = attempt(receiver.url(scheme=scheme), ca_bundle=authority.bundle)

    answers = [transport.send(request) for _ in range(3)]
    assert [(answer.status, answer.is_repeat) for answer in answers] == [
        (200, False),
        (200, True),
        (200, False),
    ]
    assert receiver.connections == 2
    assert len(receiver.requests) == 4


def test_a_fresh_connection_that_drops_is_not_replaced(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """It may have been handled: whether to send again is the retry policy's decision."""

    def drops(peer: Any) -> None:
        peer.read()

    receiver = serve(drops)

    with pytest.raises(ResponseBroken, match="without an answer") as caught:
        transport.send(attempt(receiver.url()))

    assert caught.value.phase == "headers"
    assert (receiver.connections, len(receiver.requests)) == (1, 1)


def test_the_replacement_is_not_replaced(serve: Any, transport: RequestsTransport, attempt: Any) -> None:
    """Once means once."""

    def answers_the_first_only(peer: Any) -> None:
        peer.read()
        if len(peer.receiver.requests) == 1:
            peer.send(OK)
            peer.read()

    receiver = serve(answers_the_first_only)
    transport.send(attempt(receiver.url()))

    with pytest.raises(ResponseBroken, match="without an answer"):
        transport.send(attempt(receiver.url()))

    assert (receiver.connections, len(receiver.requests)) == (2, 3)


@pytest.mark.parametrize(
    "first", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_kept_connection_that_drops_within_an_answer_is_not_replaced(
    serve: Any, transport: RequestsTransport, attempt: Any, first: bytes
) -> None:
    """One byte of a response, and the receiver has handled the request."""

    def breaks_the_second(peer: Any) -> None:
        peer.read()
        peer.send(OK)
        peer.read()
        peer.send(first)

    receiver = serve(breaks_the_second)
    transport.send(attempt(receiver.url()))

    with pytest.raises(ResponseBroken):
        transport.send(attempt(receiver.url()))

    assert (receiver.connections, len(receiver.requests)) == (1, 2)


def test_the_replacement_shares_the_deadline(serve: Any, transport: RequestsTransport, attempt: Any) -> None:
    """Two connections, one time-out."""

    def slow_to_drop(peer: Any) -> None:
        peer.read()
        if len(peer.receiver.requests) == 1:
            peer.send(OK)
            peer.read()
            peer.receiver.over.wait(0.2)
        else:
            peer.hang()

    receiver = serve(slow_to_drop)
    transport.send(attempt(receiver.url()))
    begun = time.monotonic()

    with pytest.raises(TimedOut):
        transport.send(attempt(receiver.url(), timeout=0.3))

    assert time.monotonic() - begun < 0.45


def test_bytes_that_nobody_asked_for_end_the_connection(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """A second response sent along with the first would be read as the answer to the next request."""

    def two_answers(peer: Any) -> None:
        while peer.read():
            peer.send(OK)
            peer.send(b"HTTP/1.1 500 Forged\r\nContent-Length: 0\r\n\r\n")

    receiver = serve(two_answers)

    statuses = []
    for _ in range(3):
        statuses.append(transport.send(attempt(receiver.url())).status)
        time.sleep(0.02)

    assert statuses == [200, 200, 200]
    assert receiver.connections == 3


def test_closing_ends_idle_connections_and_a_later_attempt_begins_anew(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """`close` is not the end of the transport."""
    receiver = serve()
    transport.send(attempt(receiver.url()))

    transport.close()
    transport.send(attempt(receiver.url()))

    assert receiver.connections == 2


def test_a_refused_connection_is_named_so(transport: RequestsTransport, attempt: Any, serve: Any) -> None:
    """The guard's measure "receiver unreachable" tells it from a slow one by this."""
    receiver = serve()
    port = receiver.port + 1 if receiver.port < 65_000 else receiver.port - 1

    with pytest.raises(ConnectFailed, match=r"^connection refused$") as caught:
        transport.send(attempt(f"http://127.0.0.3:{port}/"))

    assert caught.value.phase == "connect"
