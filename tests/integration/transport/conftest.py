"""Receivers on loopback that do what a test tells them, and endpoints that point at them."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from webhooks_core.endpoint import AllowedNetwork, Endpoint
from webhooks_core.keys import KeyRing
from webhooks_core.transport.base import Request
from webhooks_core.transport.requests import RequestsTransport

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)


class Peer:
    """The receiver's end of one connection."""

    def __init__(self, connection: socket.socket, receiver: Receiver) -> None:
        self.connection = connection
        self.receiver = receiver
        self.held = b""

    def read(self) -> bytes:
        """Return one whole request (the receiver keeps it too), or nothing once the sender has closed."""
        while (head := self.held.find(b"\r\n\r\n") + 4) < 4 or len(self.held) < head + self.length(head):
            data = self.connection.recv(65_536)
            if not data:
                return b""
            self.held += data
        size = head + self.length(head)
        request, self.held = self.held[:size], self.held[size:]
        self.receiver.requests.append(request)
        return request

    def length(self, head: int) -> int:
        """Return the announced length of the body."""
        found = LENGTH.search(self.held, 0, head)
        return int(found[1]) if found else 0

    def send(self, data: bytes) -> None:
        """Send *data* at once."""
        self.connection.sendall(data)

    def drip(self, data: bytes, *, every: float = 0.02) -> None:
        """Send *data* one byte at a time until it is out or the test is over."""
        for position in range(len(data)):
            self.send(data[position : position + 1])
            if self.receiver.over.wait(every):
                return

    def hang(self) -> None:
        """Do nothing until the test is over."""
        self.receiver.over.wait(30)

    def reset(self) -> None:
        """Close so that the sender sees a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.connection.close()


@dataclass
class Receiver:
    """A listening socket and what came in on it."""

    port: int
    over: threading.Event
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    names: list[str | None] = field(default_factory=list)

    def url(self, host: str = "127.0.0.1", *, scheme: str = "http", path: str = "/hook") -> str:
        """Return a URL that leads here."""
        return f"{scheme}://{host}:{self.port}{path}"


Serve = Callable[..., Receiver]


def answer_all(peer: Peer) -> None:
    """Answer 200 to every request of a connection."""
    while peer.read():
        peer.send(OK)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start receivers: `serve(script, tls=context)`; the script gets a `Peer` for each connection."""
    over = threading.Event()
    with contextlib.ExitStack() as stack:

        def start(
            script: Callable[[Peer], None] = answer_all,
            *,
            tls: ssl.SSLContext | None = None,
            host: str = "127.0.0.1",
            buffer: int = 0,
        ) -> Receiver:
            listener = stack.enter_context(listen(host, buffer))
            receiver = Receiver(listener.getsockname()[1], over)
            if tls is not None:
                tls.sni_callback = lambda _socket, name, _context: receiver.names.append(name)
            thread = threading.Thread(target=accept, args=(listener, receiver, script, tls), daemon=True)
            thread.start()
            stack.callback(thread.join, 5)
            stack.callback(wake, listener)
            return receiver

        try:
            yield start
        finally:
            over.set()


def listen(host: str, buffer: int) -> socket.socket:
    """Return a listening socket, with a small receive buffer if asked."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    listener.bind((host, 0))
    listener.listen(64)
    return listener


def wake(listener: socket.socket) -> None:
    """Make a blocked `accept` return."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)


def accept(
    listener: socket.socket, receiver: Receiver, script: Callable[[Peer], None], tls: ssl.SSLContext | None
) -> None:
    """Give each connection a thread, until the listener is shut."""
    threads = []
    while not receiver.over.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            break
        receiver.connections += 1
        threads.append(threading.Thread(target=attend, args=(connection, receiver, script, tls), daemon=True))
        threads[-1].start()
    receiver.over.wait(30)
    for thread in threads:
        thread.join(5)


def attend(
    connection: socket.socket, receiver: Receiver, script: Callable[[Peer], None], tls: ssl.SSLContext | None
) -> None:
    """Run the script on one connection; what the sender does to it is no error here."""
    connection.settimeout(20)
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        stack.callback(connection.close)
        if tls is not None:
            connection = stack.enter_context(tls.wrap_socket(connection, server_side=True))
        closer = threading.Thread(target=shut_when_over, args=(connection, receiver.over), daemon=True)
        closer.start()
        script(Peer(connection, receiver))


def shut_when_over(connection: socket.socket, over: threading.Event) -> None:
    """End a script that blocks in a read once the test is over."""
    over.wait(30)
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Authority:
    """A certificate authority of the test run, and TLS contexts for receivers."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.folder = folder
        self.bundle = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.bundle)

    def server(self, *names: str, **options: Any) -> ssl.SSLContext:
        """Return a server's context with a certificate for *names*."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names, **options).configure_cert(context)
        return context

    def client_files(self, name: str) -> tuple[str, str]:
        """Write a client certificate and its key; return both paths."""
        issued = self.ca.issue_cert(name)
        certificate, key = self.folder / "client.pem", self.folder / "client.key"
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        return str(certificate), str(key)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One authority for the whole run; making keys takes time."""
    return Authority(tmp_path_factory.mktemp("authority"))


def to_loopback(name: str, port: int) -> list[str]:
    """Resolve every name to 127.0.0.1."""
    return ["127.0.0.1"]


@pytest.fixture
def transport() -> Iterator[RequestsTransport]:
    """A transport to which every name is on loopback."""
    with RequestsTransport(resolve=to_loopback) as made:
        yield made


Attempt = Callable[..., Request]
LOOPBACK = (AllowedNetwork.parse("127.0.0.0/8"), AllowedNetwork.parse("::1/128"))


@pytest.fixture
def attempt(secret: str) -> Attempt:
    """Build a request: `attempt(url, timeout=…, body=…, headers=…, **endpoint fields)`."""

    def build(
        url: str,
        *,
        timeout: float = 5.0,
        body: bytes = b'{"event":"e"}',
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        **fields: Any,
    ) -> Request:
        fields.setdefault("allow_networks", LOOPBACK)
        endpoint = Endpoint(url=url, keys=KeyRing.of(secret), **fields)
        return Request(
            url=url,
            headers=headers or {"Content-Type": "application/json", "X-Webhook-Id": "1"},
            body=body,
            timeout_seconds=timeout,
            endpoint=endpoint,
            method=method,
        )

    return build


@pytest.fixture
def stopwatch() -> Iterator[Callable[[], float]]:
    """Seconds since the test began."""
    begun = time.monotonic()
    yield lambda: time.monotonic() - begun
