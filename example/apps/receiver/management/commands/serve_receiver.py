"""Serve the receiver on loopback in a process that ends with the one that started it.

`manage.py runserver` does for a person; this does for a program: it takes a free port, says which, keeps
connections alive, and ends when its standard input closes, so that no orphan is ever left behind.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from argparse import ArgumentParser

from django.core.handlers.wsgi import WSGIHandler
from django.core.management.base import BaseCommand
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler


class QuietRequestHandler(WSGIRequestHandler):
    """Leaves the request line out of the log: it holds the peer's address."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Command(BaseCommand):
    """Serve `/webhooks/inbound` and `/webhooks/health` until standard input closes."""

    help = __doc__ or ""
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the port."""
        parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")

    def handle(self, *_args: object, port: int, **_options: object) -> None:
        """Serve; the first line on standard output is JSON: {"ready": true, "port": …}."""
        server = ThreadedWSGIServer(("127.0.0.1", port), QuietRequestHandler)
        server.daemon_threads = True
        server.set_app(WSGIHandler())
        threading.Thread(target=_end_with_parent, daemon=True).start()
        self.stdout.write(json.dumps({"ready": True, "port": server.server_port}))
        self.stdout.flush()
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            pass
        finally:
            server.server_close()


def _end_with_parent() -> None:
    """End at once when standard input closes: whoever held the other end is gone, or wants us gone."""
    sys.stdin.buffer.read()
    os._exit(0)
