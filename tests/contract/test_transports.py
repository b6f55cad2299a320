"""Every transport passes one suite: the fake that tests use, and the one that sends."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from webhooks_core.endpoint import AllowedNetwork, Endpoint
from webhooks_core.keys import KeyRing
from webhooks_core.testing import TransportContract
from webhooks_core.transport.base import Response, Transport
from webhooks_core.transport.requests import RequestsTransport


class Handler(http.server.BaseHTTPRequestHandler):
    """Answer from the server's list."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Keep the request, give the next answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        response: Response = server.responses.pop(0)
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != 204:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)


@pytest.mark.network
class TestRequestsTransport(TransportContract):
    """Over a real socket to the standard library's server."""

    @pytest.fixture(autouse=True)
    def _server(self, secret: str) -> Iterator[None]:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.server: Any = server
            self.server.received = []
            self.keys = KeyRing.of(secret)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield
            server.shutdown()
            thread.join()

    def prepare(self, responses: Sequence[Response]) -> tuple[Transport, Endpoint]:
        """Point an endpoint at the server."""
        self.server.responses = list(responses)
        endpoint = Endpoint(
            url=f"http://127.0.0.1:{self.server.server_address[1]}/hook",
            keys=self.keys,
            allow_networks=(AllowedNetwork.parse("127.0.0.1/32"),),
        )
        return RequestsTransport(), endpoint

    def received(self) -> list[tuple[dict[str, str], bytes]]:
        """Return what came in."""
        return list(self.server.received)
