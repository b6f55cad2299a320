"""Serve the receiver on loopback in a process that ends with the one that started it.

`manage.py runserver` does for a person; this does for a program: it takes a free port, says which, keeps
connections alive, and ends when its standard input closes, so that no orphan is ever left behind.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser

from django.core.handlers.wsgi import WSGIHandler
from django.core.management.base import BaseCommand
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.urls import get_resolver

from loopback.lifeline import end_with_parent


class QuietRequestHandler(WSGIRequestHandler):
    """Leaves the request line out of the log, since it holds the peer's address, and answers without delay.

    Without TCP_NODELAY the answer's body waits 40 ms for the acknowledgement of its headers.
    """

    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class QuietServer(ThreadedWSGIServer):
    """Says nothing of a sender that went away in mid-request, and never its address."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Let other errors be told as ever."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Command(BaseCommand):
    """Serve `/webhooks/inbound` and `/webhooks/health` until standard input closes."""

    help = __doc__ or ""
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the port."""
        parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")

    def handle(self, *_args: object, port: int, **_options: object) -> None:
        """Serve; the first line on standard output is JSON: {"ready": true, "port": …}."""
        assert get_resolver().url_patterns  # what cannot be imported fails now, and not at each request
        server = QuietServer(("127.0.0.1", port), QuietRequestHandler)
        server.set_app(WSGIHandler())
        end_with_parent()
        self.stdout.write(json.dumps({"ready": True, "port": server.server_port}))
        self.stdout.flush()
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            pass
        finally:
            server.server_close()
