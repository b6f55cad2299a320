"""A receiver with the replay guard, in this process: it counts requests, and effects by id."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.integration.django.project import SECRET
from webhooks_core.keys import KeyRing
from webhooks_core.receiving import Receiver
from webhooks_core.stores.replay import MemoryReplayStore
from webhooks_core.verifier import Verified, Verifier


class Guarded:
    """What a guarded receiver has seen."""

    def __init__(self, *, delay_seconds: float = 0.0) -> None:
        self.effects: Counter[str] = Counter()
        self.requests = 0
        self.last_at = 0.0  # when the last request came, by this machine's monotonic clock
        self.port = 0
        self._delay = delay_seconds
        self._lock = threading.Lock()
        # A short lease: a worker that was killed leaves a claim behind only where we died, which we do not.
        self._receiver = Receiver(Verifier(KeyRing.of(SECRET)), MemoryReplayStore(), self._handle)

    def answer(self, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        """Receive one request."""
        with self._lock:
            self.requests += 1
            self.last_at = time.monotonic()
        found = self._receiver.receive(headers, body)
        return found.status, found.body

    def _handle(self, verified: Verified) -> None:
        time.sleep(self._delay)
        with self._lock:
            self.effects[verified.webhook_id] += 1


@contextmanager
def guarded(*, delay_seconds: float = 0.0) -> Iterator[Guarded]:
    """Serve a guarded receiver on loopback."""
    receiver = Guarded(delay_seconds=delay_seconds)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = receiver.answer(list(self.headers.items()), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

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
        server.shutdown()
        server.server_close()
        thread.join()
