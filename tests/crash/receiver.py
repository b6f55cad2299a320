"""The receiver of a crash run: `python -m tests.crash.receiver PORT SEED FOLDER`.

It has the replay guard, on a database: its effect (a row of `crash_effect`) and *done* commit together. It
notes each request when it came and when it was answered, and dawdles before and after, so that a sender which
is killed is often killed in between.
"""

from __future__ import annotations

import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import django
from django.db import connections

from tests.crash.notes import Notebook
from webhooks_core.verifier import Verified

DAWDLE_SECONDS = 0.04  # at most, before and after
CLAIM_SECONDS = 2.0  # a claim of a receiver that was killed is free again after it
DUPLICATE = b'{"status": "duplicate"}'


def take_effect(verified: Verified) -> None:
    """Act, in the transaction that the guard has begun."""
    with connections["receiver"].cursor() as cursor:
        cursor.execute("INSERT INTO crash_effect (webhook_id) VALUES (%s)", [verified.webhook_id])


def main() -> None:
    """Serve until killed."""
    from webhooks_core.django import wiring
    from webhooks_core.django.stores.replay import DatabaseReplayStore

    port, seed, folder = sys.argv[1:]
    chance, notebook = random.Random(int(seed)), Notebook(Path(folder) / "receiver")
    store = DatabaseReplayStore(using="receiver", lease_seconds=CLAIM_SECONDS)
    guard = wiring.receiver(take_effect, store=store)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook_id = self.headers["X-Webhook-Id"]
            notebook.note("came", webhook_id)
            time.sleep(chance.uniform(0, DAWDLE_SECONDS))
            answer = guard.receive(list(self.headers.items()), body)
            known = "known" if answer.body == DUPLICATE else ""
            notebook.note(str(answer.status), webhook_id, known)
            time.sleep(chance.uniform(0, DAWDLE_SECONDS))
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def finish(self) -> None:
            try:
                super().finish()
            finally:
                connections.close_all()

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """A sender that was killed breaks its connection."""

    with Server(("127.0.0.1", int(port)), Handler) as server:
        notebook.note("serves", port)
        server.serve_forever(0.05)


if __name__ == "__main__":
    django.setup()
    main()
