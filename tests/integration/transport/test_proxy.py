"""An endpoint's own proxy: judged like a receiver, and none other is ever asked."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from webhooks_core.endpoint import AllowedNetwork
from webhooks_core.errors import AddressBlocked, ConnectFailed
from webhooks_core.transport.requests import RequestsTransport

pytestmark = pytest.mark.network


def carries(peer: Any) -> None:
    """Open the tunnel that CONNECT asks for, always to 127.0.0.1, and carry bytes both ways."""
    request = peer.read()
    port = int(request.split(b" ", 2)[1].rpartition(b":")[2])
    with socket.create_connection(("127.0.0.1", port)) as far:
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=pump, args=(far, peer.connection), daemon=True)
        back.start()
        pump(peer.connection, far)
        back.join(5)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until either side ends."""
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_https_goes_through_a_tunnel_and_is_verified_end_to_end(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any
) -> None:
    """The proxy sees the name; the receiver's certificate is checked for it."""
    receiver = serve(tls=authority.server("hooks.example"))
    proxy = serve(carries)
    request = attempt(
        receiver.url("hooks.example", scheme="https"), proxy=proxy.url(path=""), ca_bundle=authority.bundle
    )

    assert [transport.send(request).status for _ in range(2)] == [200, 200]

    authority_form = f"hooks.example:{receiver.port}"
    assert proxy.requests == [f"CONNECT {authority_form} HTTP/1.1\r\nHost: {authority_form}\r\n\r\n".encode()]
    assert receiver.requests[0].startswith(b"POST /hook HTTP/1.1\r\n")
    assert (receiver.connections, proxy.connections) == (1, 1)


def test_http_is_forwarded_in_absolute_form(serve: Any, transport: RequestsTransport, attempt: Any) -> None:
    """RFC 9112 §3.2.2; the proxy is who answers."""
    proxy = serve()

    transport.send(attempt("http://hooks.example:8080/hook?x=1", proxy=proxy.url(path="")))

    assert proxy.requests[0].startswith(
        b"POST http://hooks.example:8080/hook?x=1 HTTP/1.1\r\nHost: hooks.example:8080\r\n"
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_credentials_of_the_proxy_go_to_the_proxy_only(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any, scheme: str
) -> None:
    """RFC 7617, percent-decoded; inside the tunnel they are not repeated."""
    receiver = serve(tls=authority.server("hooks.example"))
    proxy = serve(
        carries if scheme == "https" else lambda peer: peer.read() and peer.send(b"HTTP/1.1 204 X\r\n\r\n")
    )
    request = attempt(
        receiver.url("hooks.example", scheme=scheme),
        proxy=f"http://us%65r:p%3Ass@127.0.0.1:{proxy.port}",
        ca_bundle=authority.bundle,
    )

    transport.send(request)

    assert b"\r\nProxy-Authorization: Basic dXNlcjpwOnNz\r\n" in proxy.requests[0]
    assert all(b"Proxy-Authorization" not in request for request in receiver.requests)


def test_the_address_of_a_proxy_is_judged(serve: Any, transport: RequestsTransport, attempt: Any) -> None:
    """A proxy inside needs ALLOW_NETWORKS like any receiver inside."""
    proxy = serve()

    with pytest.raises(AddressBlocked, match=r"127\.0\.0\.1 is blocked by the rule loopback"):
        transport.send(attempt("https://hooks.example/", proxy=proxy.url(path=""), allow_networks=()))

    assert proxy.connections == 0


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[::ffff:10.0.0.1]", "[fd00:ec2::254]"])
def test_a_literal_address_behind_a_proxy_is_judged_too(
    serve: Any, transport: RequestsTransport, attempt: Any, host: str
) -> None:
    """The proxy may reach what we may not; it is not asked to."""
    proxy = serve()
    allow = (AllowedNetwork.parse("127.0.0.0/8"),)

    with pytest.raises(AddressBlocked):
        transport.send(attempt(f"http://{host}/", proxy=proxy.url(path=""), allow_networks=allow))

    assert proxy.connections == 0


def test_a_name_behind_a_proxy_is_left_to_the_proxy(serve: Any, attempt: Any) -> None:
    """Hosts that need a proxy often cannot resolve outside names at all."""
    asked: list[str] = []

    def resolve(name: str, port: int) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"]

    proxy = serve()
    with RequestsTransport(resolve=resolve) as transport:
        transport.send(attempt("http://hooks.example/", proxy=f"http://proxy.example:{proxy.port}"))

    assert asked == ["proxy.example"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        b"HTTP/1.1 300 Choose\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_a_proxy_that_opens_no_tunnel_is_a_failed_connection(
    serve: Any, transport: RequestsTransport, attempt: Any, answer: bytes
) -> None:
    """Its answer is never taken for the receiver's."""

    def refuses(peer: Any) -> None:
        peer.read()
        peer.send(answer)

    proxy = serve(refuses)

    with pytest.raises(ConnectFailed, match=r"^the proxy ") as caught:
        transport.send(attempt("https://hooks.example/", proxy=proxy.url(path="")))

    assert caught.value.phase == "proxy"


@pytest.mark.parametrize(
    "proxy", ["https://127.0.0.1:1", "socks5://127.0.0.1:1", "127.0.0.1:1", "http://", "http://a/b"]
)
def test_only_http_proxies_are_spoken_to(transport: RequestsTransport, attempt: Any, proxy: str) -> None:
    """Others are refused by name of the setting, without the value, which may hold a password."""
    with pytest.raises(ConnectFailed, match=r"PROXY must be http://host:port") as caught:
        transport.send(attempt("https://hooks.example/", proxy=proxy))

    assert caught.value.phase == "proxy"


def test_routes_with_and_without_a_proxy_are_not_mixed(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """Taking PROXY out of the settings takes effect with the next attempt."""
    receiver, proxy = serve(), serve()

    transport.send(attempt(receiver.url("hooks.example"), proxy=proxy.url(path="")))
    transport.send(attempt(receiver.url("hooks.example")))

    assert (len(proxy.requests), len(receiver.requests)) == (1, 1)
