"""One exchange over a socket that does what real ones do rarely."""

from __future__ import annotations

import errno
import socket
import ssl
from ipaddress import ip_address

import pytest

from rollout.testing import ManualClock
from webhooks_core.address import Name
from webhooks_core.errors import ResponseBroken, TimedOut, TlsFailed
from webhooks_core.transport.deadline import Deadline
from webhooks_core.transport.http1 import Message
from webhooks_core.transport.pinned import Dropped, Proxy, Route, _exchange
from webhooks_core.transport.response import ResponseReader
from webhooks_core.transport.ssrf import Resolver
from webhooks_core.transport.target import Target

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = Message(b"POST / HTTP/1.1\r\n\r\n")


class FakeSocket(socket.socket):
    """A socket that follows a script, and writes down its time-outs.

    Args:
        sends: Bytes taken by each `send`, or an error to raise.
        receives: What each `recv` returns, or an error to raise.
    """

    def __init__(self, *, sends: list[object], receives: list[object], clock: ManualClock) -> None:
        socket.socket.__init__(self)  # ssl.SSLSocket has no constructor of its own
        self.sends = sends
        self.receives = receives
        self.clock = clock
        self.sent = b""
        self.timeouts: list[float] = []

    def settimeout(self, value: float | None) -> None:
        """Write it down."""
        self.timeouts.append(value or 0.0)

    def send(self, data: bytes | memoryview, flags: int = 0) -> int:
        """Take some of *data*; a second goes by."""
        self.clock.advance(1)
        answer = self.sends.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, int)
        self.sent += bytes(data[:answer])
        return min(answer, len(data))

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return the next part; a second goes by."""
        self.clock.advance(1)
        answer = self.receives.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, bytes)
        return answer


class FakeTlsSocket(FakeSocket, ssl.SSLSocket):
    """The same over TLS."""


def exchange(
    clock: ManualClock, *, sends: list[object], receives: list[object], tls: bool = False
) -> tuple[ResponseReader, FakeSocket]:
    """Run one exchange of ten seconds; return the response and the socket."""
    kind = FakeTlsSocket if tls else FakeSocket
    with kind(sends=sends, receives=receives, clock=clock) as fake:
        deadline = Deadline(10, monotonic=clock)
        return _exchange(fake, REQUEST, ResponseReader(), deadline=deadline), fake


def test_each_call_gets_what_the_calls_before_it_have_left(clock: ManualClock) -> None:
    """Three writes and two reads of a second each, of ten."""
    reader, fake = exchange(clock, sends=[5, 5, 100], receives=[OK[:10], OK[10:]])

    assert reader.status == 200
    assert fake.sent == REQUEST
    assert fake.timeouts == pytest.approx([10, 9, 8, 7, 6])


@pytest.mark.parametrize("error", [BrokenPipeError(), ConnectionResetError(), ssl.SSLEOFError()])
def test_an_early_answer_is_read_though_the_write_failed(clock: ManualClock, error: Exception) -> None:
    """The receiver has said 413 and closed; the reason is in our buffer."""
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"

    reader, _ = exchange(clock, sends=[5, error], receives=[early])

    assert reader.status == 413


@pytest.mark.parametrize(
    ("tls", "sends", "receives"),
    [
        (False, [BrokenPipeError()], [b""]),
        (False, [BrokenPipeError()], [ConnectionResetError()]),
        (False, [100], [b""]),
        (False, [100], [ConnectionResetError()]),
        (True, [BrokenPipeError()], [b""]),
        (True, [ConnectionResetError()], [ConnectionResetError()]),
        (True, [ssl.SSLEOFError()], [ssl.SSLEOFError()]),
        (True, [ssl.SSLZeroReturnError()], [ssl.SSLZeroReturnError()]),
        (True, [100], [b""]),
        (True, [100], [ssl.SSLEOFError()]),
    ],
)
def test_an_end_before_the_first_byte_is_a_drop(
    clock: ManualClock, tls: bool, sends: list[object], receives: list[object]
) -> None:
    """However the end shows itself; the pool decides what it means."""
    with pytest.raises(Dropped):
        exchange(clock, sends=sends, receives=receives, tls=tls)


@pytest.mark.parametrize("error", [ConnectionResetError(), ssl.SSLEOFError()])
def test_an_end_after_the_first_byte_is_a_broken_response(clock: ManualClock, error: Exception) -> None:
    """One byte is enough: the receiver has seen the request."""
    with pytest.raises(ResponseBroken, match="was reset"):
        exchange(clock, sends=[100], receives=[b"H", error], tls=True)


def test_another_error_of_the_socket_is_a_broken_response(clock: ManualClock) -> None:
    """A route that goes away under the connection; the system's words stay out."""
    with pytest.raises(ResponseBroken, match=r"^the connection failed$") as caught:
        exchange(clock, sends=[100], receives=[OSError(errno.EHOSTUNREACH, "No route to 10.0.0.1")])

    assert caught.value.phase == "headers"


def test_an_alert_is_a_tls_failure(clock: ManualClock) -> None:
    """With OpenSSL's constant in plain words."""
    alert = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert (_ssl.c:1)")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"

    with pytest.raises(TlsFailed, match=r"^TLS failed: tlsv13 alert certificate required$"):
        exchange(clock, sends=[100], receives=[alert], tls=True)


def test_an_alert_is_heard_though_the_write_failed(clock: ManualClock) -> None:
    """A server that refuses our certificate has often closed by the time we write."""
    alert = ssl.SSLError(1, "")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"

    with pytest.raises(TlsFailed, match="certificate required"):
        exchange(clock, sends=[ssl.SSLEOFError()], receives=[alert], tls=True)


def test_an_alert_without_a_reason_is_a_tls_failure_all_the_same(clock: ManualClock) -> None:
    """Never the text of the error itself."""
    with pytest.raises(TlsFailed, match=r"^TLS failed: handshake failed$"):
        exchange(clock, sends=[100], receives=[ssl.SSLError("10.0.0.1")], tls=True)


@pytest.mark.parametrize(
    ("sends", "receives", "phase"),
    [
        ([TimeoutError()], [], "send"),
        ([100], [TimeoutError()], "headers"),
        ([100], [OK[:-1], TimeoutError()], "body"),
        ([1] * 11, [], "send"),
        ([100], [b"H"] * 10, "headers"),
    ],
)
def test_the_phase_says_where_the_time_went(
    clock: ManualClock, sends: list[object], receives: list[object], phase: str
) -> None:
    """Whether one call took it all or many took a little."""
    with pytest.raises(TimedOut) as caught:
        exchange(clock, sends=sends, receives=receives)

    assert caught.value.phase == phase


def test_a_route_shows_neither_path_nor_credentials() -> None:
    """It stands in frames that a traceback may show."""
    target = Target(scheme="https", host=Name(text="a.example"), port=443, path="/t0ken")
    proxy = Proxy.of(Target(scheme="http", host=ip_address("10.0.0.1"), port=3128, path="/"), "user:pa55")
    route = Route(target=target, allow=(), resolver=Resolver(), tls=None, proxy=proxy)

    assert "t0ken" not in repr(route)
    assert "Basic" not in repr(route)
    assert proxy.headers == {"Proxy-Authorization": "Basic dXNlcjpwYTU1"}
