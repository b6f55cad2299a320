"""A receiver that answers as fast as Python can: one thread, epoll, keep-alive, a fixed 200 to every POST.

It runs in a process of its own, so that it shares no interpreter lock with what is measured. It understands
exactly what the benchmark sends (Content-Length bodies, no pipelining) and nothing else; it is no model of a
server.
"""

from __future__ import annotations

import multiprocessing
import re
import selectors
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"status":"ok"}'
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@contextmanager
def receiver(*, certificate: str | None = None) -> Iterator[int]:
    """Start one (with TLS when *certificate* names a PEM file with key and chain) and yield its loopback
    port.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, certificate), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, certificate: str | None) -> None:
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    pipe.send(listener.getsockname()[1])
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ, None)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                _accept(listener, selector, tls)
            elif not _answer(key.fileobj, key.data):  # type: ignore[arg-type]
                selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]


def _accept(listener: socket.socket, selector: selectors.BaseSelector, tls: ssl.SSLContext | None) -> None:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is not None:
        connection = tls.wrap_socket(
            connection, server_side=True
        )  # blocking: connections are few and long-lived
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ, bytearray())


def _answer(connection: socket.socket, held: bytearray) -> bool:
    """Read what is there and answer each whole request; return whether the connection goes on."""
    try:
        while True:
            data = connection.recv(65_536)
            if not data:
                return False
            held += data
            if not (isinstance(connection, ssl.SSLSocket) and connection.pending()):
                break
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    head = held.find(b"\r\n\r\n")
    found = _LENGTH.search(held, 0, head) if head > 0 else None
    if found is None or len(held) < head + 4 + int(found[1]):
        return True
    held.clear()
    connection.send(ANSWER)
    return True
