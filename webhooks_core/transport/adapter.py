"""requests' adapter and urllib3's pool, with their insides replaced by pinned connections and one deadline.

`HTTPAdapter.send` stays the door: it asks for a pool, calls its `urlopen` and builds a response. What it
would do in between (parse the URL again, look for proxies, copy headers into a cookie jar) is answered from
what the route already knows. The invariant: a request that did not reach the receiver on a kept-alive
connection is written once more on a fresh one, and in no other case. Explained in
docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from requests import PreparedRequest
from requests import Response as RequestsResponse
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import Timeout

from webhooks_core.errors import ResponseBroken
from webhooks_core.transport.http1 import Message, write_request
from webhooks_core.transport.pinned import Dropped, PinnedConnection, Route
from webhooks_core.transport.response import ResponseReader

if TYPE_CHECKING:
    from webhooks_core.transport.base import Request
    from webhooks_core.transport.deadline import Deadline
    from webhooks_core.transport.idle import IdleConnections, Stack


class WallClock(Timeout):
    """urllib3's time-out, which bounds each read, carrying the deadline that bounds them all."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.deadline = deadline


class PinnedRequest(PreparedRequest):
    """A prepared request filled by hand: nothing is encoded, guessed or taken from a session.

    Args:
        path: Request target for a connection of *pool*.
    """

    def __init__(self, request: Request, *, pool: PinnedPool, path: str) -> None:
        super().__init__()
        self.method = request.method
        self.url = request.url
        self.headers = request.headers  # type: ignore[assignment]  # only read
        self.body = request.body
        self.pool = pool
        self.path = path


class PinnedResponse(RequestsResponse):
    """What the adapter hands back: the reader, without the cookie jar and encodings that nobody asks for."""

    def __init__(self, reader: ResponseReader) -> None:
        self.status_code = reader.status
        self.reader = reader


class PinnedPool(HTTPConnectionPool):
    """The connections along one route; `urlopen` without retries, redirects and decoding.

    Args:
        idle: Where connections rest between two attempts.
        monotonic: A clock that never goes back, in seconds.
    """

    def __init__(self, route: Route, *, idle: IdleConnections, monotonic: Callable[[], float]) -> None:
        super().__init__(route.target.name, route.target.port)
        self._route = route
        self._idle = idle
        self._monotonic = monotonic
        self._stack: Stack = []

    def path_for(self, path: str) -> str:
        """Return the request target for *path*: absolute where a proxy forwards (RFC 9112 §3.2.2)."""
        target = self._route.target
        return f"{target.scheme}://{target.host_header}{path}" if self._route.forwards else path

    def urlopen(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout: WallClock,
        **_: object,
    ) -> ResponseReader:
        """Write the request, read its response, keep the connection if it can be.

        Takes those of urllib3's arguments that vary; the others say what this never does.

        Raises:
            AddressBlocked: Nothing was connected to.
            TransportError: One of its children.
        """
        if self._route.forwards and self._route.proxy is not None:
            headers = {**headers, **self._route.proxy.headers}
        message = write_request(method, url, headers, body, host=self._route.target.host_header)
        kept = self._idle.take(self._stack)
        if kept is not None:
            # Dropped: it had gone stale at rest, or the receiver closed it as we wrote.
            with contextlib.suppress(Dropped):
                return self._exchange(kept, message, deadline=timeout.deadline)
        try:
            reader = self._exchange(self._open(timeout.deadline), message, deadline=timeout.deadline)
            reader.is_repeat = kept is not None
            return reader
        except Dropped:
            raise ResponseBroken("the connection ended without an answer", phase="headers") from None

    def _open(self, deadline: Deadline) -> PinnedConnection:
        connection = PinnedConnection(self._route, deadline=deadline)
        connection.connect()
        connection.born = self._monotonic()
        return connection

    def _exchange(
        self, connection: PinnedConnection, message: Message, *, deadline: Deadline
    ) -> ResponseReader:
        reader = connection.exchange(message, deadline=deadline)
        if reader.reusable:
            self._idle.give(connection, self._stack)
        return reader


class PinnedAdapter(HTTPAdapter):
    """Send `PinnedRequest`s through the pools that they bring."""

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *_: object, **__: object
    ) -> PinnedPool:
        """Return the request's own pool: host, proxy and TLS were settled when its route was made."""
        assert isinstance(request, PinnedRequest)
        return request.pool

    def cert_verify(self, *_: object) -> None:
        """Do nothing: the route's TLS context verifies, and cannot be told not to."""

    def request_url(self, request: PreparedRequest, proxies: object) -> str:  # noqa: ARG002
        """Return the request target that the route settled."""
        assert isinstance(request, PinnedRequest)
        return request.path

    def build_response(self, req: PreparedRequest, resp: object) -> PinnedResponse:  # noqa: ARG002
        """Hand the reader through."""
        assert isinstance(resp, ResponseReader)
        return PinnedResponse(resp)
