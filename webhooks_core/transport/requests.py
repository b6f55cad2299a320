"""`RequestsTransport`: one attempt through requests, at the level of its adapter.

A session would read the environment, follow redirects, keep cookies and take twice the time; its adapter does
none of that, and what that sends through is ours (`adapter.py`, `pinned.py`). The invariants: no proxy,
certificate or credential comes from the environment; nothing but `TransportError` and `AddressBlocked` gets
out, and their tracebacks hold no frame that saw the URL, the headers or the body. Explained in
docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

import os
import re
import ssl
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import unquote

from requests.exceptions import RequestException
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.exceptions import HTTPError

from webhooks_core.errors import ConnectFailed, ResponseBroken, TlsFailed, WebhookError
from webhooks_core.transport.adapter import (
    PinnedAdapter,
    PinnedPool,
    PinnedRequest,
    PinnedResponse,
    WallClock,
)
from webhooks_core.transport.base import Request, Response
from webhooks_core.transport.deadline import Deadline
from webhooks_core.transport.idle import IdleConnections
from webhooks_core.transport.pinned import Proxy, Route
from webhooks_core.transport.ssrf import Resolve, Resolver, system_resolve
from webhooks_core.transport.target import Target, read_target

if TYPE_CHECKING:
    from webhooks_core.endpoint import AllowedNetwork, Endpoint

ClientCert = str | tuple[str, str]
Key = tuple[str, str, int, tuple["AllowedNetwork", ...], str | None, str | None, ClientCert | None]

_MAX_ROUTES = 4_096  # remembered URLs, and routes; beyond that all are forgotten and learnt again
_PROXY = re.compile(r"http://(?:([^@/?#]*)@)?([^@/?#]+)/?", re.IGNORECASE)


class RequestsTransport:
    """Send attempts through requests. Share one between threads; a child after a fork builds its own
    connections.

    Args:
        pool_size: Most idle connections kept for one endpoint; more are opened while more threads send at a
            time.
        resolve: Blocking function from name and port to addresses, for tests and split-horizon name servers.
            What it returns is judged like any other answer.
        monotonic: A clock that never goes back, in seconds.
    """

    def __init__(
        self,
        *,
        pool_size: int = 10,
        resolve: Resolve = system_resolve,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool_size = pool_size
        self._resolve = resolve
        self._monotonic = monotonic
        self._worlds: dict[int, World] = {}
        weakref.finalize(self, _close_all, self._worlds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: Request) -> Response:
        """Put *request* on the wire once.

        A connection that was kept alive and ends before the first byte of a response is replaced by a fresh
        one, once, within the same deadline.

        Raises:
            TransportError: One of its children, without URL, address or body in its text.
            AddressBlocked: The host is, or resolves to, an address that the policy refuses. Nothing was sent.
        """
        try:
            return self._send(request, Deadline(request.timeout_seconds, monotonic=self._monotonic))
        except WebhookError as error:
            failed = error
        except (RequestException, HTTPError, OSError, ValueError):  # none is known to get here
            failed = ResponseBroken("the attempt failed")
        # Outside the handler and without the frames below, whose locals hold the URL, the headers and the
        # body.
        failed.__context__ = failed.__cause__ = None
        raise failed.with_traceback(None)

    def close(self) -> None:
        """Close every idle connection and end idle resolver threads. A later `send` begins anew."""
        _close_all(self._worlds)

    def _send(self, request: Request, deadline: Deadline) -> Response:
        world = self._worlds.get(os.getpid()) or self._enter_process()
        pool, path = world.route(request.url, request.endpoint)
        prepared = PinnedRequest(request, pool=pool, path=path)
        # The adapter takes urllib3's time-outs as they are; types-requests only knows of numbers.
        sent = world.adapter.send(prepared, stream=True, timeout=cast("float", WallClock(deadline)))
        assert isinstance(sent, PinnedResponse)
        reader = sent.reader
        return Response(
            status=reader.status,
            headers=reader.headers,
            body=bytes(reader.body),
            elapsed_seconds=deadline.elapsed(),
            is_repeat=reader.is_repeat,
        )

    def _enter_process(self) -> World:
        """Begin anew in this process; of a parent's connections only our descriptors are closed."""
        for pid in list(self._worlds):
            inherited = None if pid == os.getpid() else self._worlds.pop(pid, None)
            if inherited is not None:
                inherited.idle.abandon()
        world = World(pool_size=self._pool_size, resolve=self._resolve, monotonic=self._monotonic)
        return self._worlds.setdefault(os.getpid(), world)


class World:
    """What one process holds: connections, resolver threads, TLS contexts, and the routes learnt so far."""

    def __init__(self, *, pool_size: int, resolve: Resolve, monotonic: Callable[[], float]) -> None:
        self.adapter = PinnedAdapter(pool_connections=1, pool_maxsize=1)
        self.idle = IdleConnections(per_route=pool_size, monotonic=monotonic)
        self.resolver = Resolver(resolve)
        self._monotonic = monotonic
        self._learnt: dict[tuple[str, str], tuple[Endpoint, PinnedPool, str]] = {}
        self._pools: dict[Key, PinnedPool] = {}
        self._contexts: dict[tuple[str | None, ClientCert | None], ssl.SSLContext] = {}

    def route(self, url: str, endpoint: Endpoint) -> tuple[PinnedPool, str]:
        """Return the pool and the request target for *url* under the policy of *endpoint*.

        An endpoint that was loaded anew shares the old one's connections where nothing that decides about
        them differs.

        Raises:
            AddressBlocked: The URL has no host that could be reached.
            TransportError: The endpoint's proxy, CA bundle or client certificate cannot be used.
        """
        known = self._learnt.get((endpoint.id, url))
        if known is not None and known[0] is endpoint:
            return known[1], known[2]
        target = read_target(url)
        pool = self._pool(target, endpoint)
        path = pool.path_for(target.path)
        if len(self._learnt) >= _MAX_ROUTES:
            self._learnt.clear()
        self._learnt[endpoint.id, url] = endpoint, pool, path
        return pool, path

    def close(self) -> None:
        """Close what is idle, now and later, and end resolver threads."""
        self.idle.close()
        self.resolver.close()

    def _pool(self, target: Target, endpoint: Endpoint) -> PinnedPool:
        allow, ca_bundle, client_cert = endpoint.allow_networks, endpoint.ca_bundle, endpoint.client_cert
        key = (target.scheme, target.name, target.port, allow, endpoint.proxy, ca_bundle, client_cert)
        pool = self._pools.get(key)
        if pool is None:
            route = Route(
                target=target,
                allow=allow,
                resolver=self.resolver,
                tls=self._context(ca_bundle, client_cert) if target.scheme == "https" else None,
                proxy=None if endpoint.proxy is None else _read_proxy(endpoint.proxy),
            )
            if len(self._pools) >= _MAX_ROUTES:
                self._pools.clear()  # idle connections of theirs age in the store until they are the oldest
            pool = self._pools.setdefault(key, PinnedPool(route, idle=self.idle, monotonic=self._monotonic))
        return pool

    def _context(self, ca_bundle: str | None, client_cert: ClientCert | None) -> ssl.SSLContext:
        """Return the context for these files, read once in the life of the process."""
        context = self._contexts.get((ca_bundle, client_cert))
        if context is None:
            context = _tls_context(ca_bundle, client_cert)
            self._contexts[ca_bundle, client_cert] = context
        return context


def _tls_context(ca_bundle: str | None, client_cert: ClientCert | None) -> ssl.SSLContext:
    """Build a context that verifies chain and name; `create_default_context` would read SSLKEYLOGFILE."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.set_alpn_protocols(["http/1.1"])
    bundle = ca_bundle or DEFAULT_CA_BUNDLE_PATH
    try:
        if os.path.isdir(bundle):
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except OSError:
        raise TlsFailed("the endpoint's CA_BUNDLE cannot be read", phase="tls") from None
    if client_cert is not None:
        certificate, key = (client_cert, None) if isinstance(client_cert, str) else client_cert
        try:
            # An empty password: a key that needs one fails, instead of asking the terminal.
            context.load_cert_chain(certificate, key, password="")
        except OSError:
            raise TlsFailed("the endpoint's CLIENT_CERT cannot be read", phase="tls") from None
    return context


def _read_proxy(url: str) -> Proxy:
    found = _PROXY.fullmatch(url)
    if found is None:
        raise ConnectFailed("the endpoint's PROXY must be http://host:port", phase="proxy")
    credentials = None if found[1] is None else unquote(found[1])
    return Proxy.of(read_target(f"http://{found[2]}"), credentials)


def _close_all(worlds: dict[int, World]) -> None:
    for pid in list(worlds):
        world = worlds.pop(pid, None)
        if world is not None and pid == os.getpid():
            world.close()
