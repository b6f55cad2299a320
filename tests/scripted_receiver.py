"""A receiver on loopback that answers what a test wrote down, path by path, and may be made to wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from webhooks_core.receiving import Receiver
from webhooks_core.testing.contracts.engines import Sent


class Scripted:
    """What came in, and what to answer: the statuses of a path in turn, the last one for ever."""

    def __init__(self) -> None:
        self.port = 0
        self.answers: dict[str, list[int]] = {}
        self.requests: list[tuple[str, Sent]] = []
        self.open = threading.Event()  # cleared: a request is noted, and waits for its answer
        self.open.set()
        self.guard: Receiver | None = None  # acts on a request before it waits, and says what to answer
        self._lock = threading.Lock()

    def on(self, path: str) -> tuple[Sent, ...]:
        """The requests that came in on *path*."""
        with self._lock:
            return tuple(sent for where, sent in self.requests if where == path)

    def answer(self, path: str, headers: list[tuple[str, str]], sent: Sent) -> int:
        """Note one request and return the status it gets."""
        with self._lock:
            left = self.answers.get(path, [200])
            status = left.pop(0) if len(left) > 1 else left[0]
            if self.guard is not None:
                status = self.guard.receive(headers, sent.body).status
            self.requests.append((path, sent))
        self.open.wait(30)
        return status


@contextmanager
def scripted() -> Iterator[Scripted]:
    """Serve a scripted receiver."""
    receiver = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent = Sent(webhook_id=self.headers["X-Webhook-Id"], body=body)
            self.send_response(receiver.answer(self.path.strip("/"), list(self.headers.items()), sent))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A sender that was killed breaks its connection."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.open.set()
        server.shutdown()
        server.server_close()
        thread.join()
