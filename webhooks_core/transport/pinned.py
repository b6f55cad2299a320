"""Connections that only go where the policy lets them.

urllib3's connection with three things of our own: `_new_conn` connects to judged addresses (the URL keeps its
name, so that certificate and `Host` stay those of the name); every step that can block takes its time-out
from the attempt's deadline; and one exchange is one write and bounded reads. The invariant: nothing but our
own errors and `Dropped` leaves here, none of them holding a URL, an address or a byte of what was sent.
Explained in docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from urllib3.connection import HTTPConnection

from webhooks_core.address import Address, Name
from webhooks_core.errors import ConnectFailed, ResponseBroken, TimedOut, TlsFailed
from webhooks_core.transport.http1 import Message
from webhooks_core.transport.response import ResponseReader
from webhooks_core.transport.ssrf import Resolver, checked_addresses, connect
from webhooks_core.transport.target import Target

if TYPE_CHECKING:
    from webhooks_core.endpoint import AllowedNetwork
    from webhooks_core.transport.deadline import Deadline

# OpenSSL's X509_V_ERR_* (x509_vfy.h). The words of `ssl` itself name the host and fields of the certificate.
_CERTIFICATE = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "is signed by nobody we trust",
    20: "is signed by nobody we trust",
    62: "is for another name",
    64: "is for another address",
}

_ENDED = (
    ConnectionError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)  # the ways in which a peer's end shows itself


class Dropped(Exception):
    """The peer has ended the connection before the first byte of a response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy: where it is, and the value of `Proxy-Authorization` or None."""

    target: Target
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, target: Target, credentials: str | None) -> Proxy:
        """Take `user:password`, percent-decoded, or None.

        Source: RFC 7617.
        """
        if credentials is None:
            return cls(target=target)
        return cls(target=target, authorization=f"Basic {base64.b64encode(credentials.encode()).decode()}")

    @property
    def headers(self) -> dict[str, str]:
        """Return what the proxy itself wants to see."""
        return {} if self.authorization is None else {"Proxy-Authorization": self.authorization}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How one host is reached: all that two attempts must have in common to share a connection.

    Args:
        target: Scheme, host and port; its path is not looked at.
        allow: Networks that are open for this endpoint.
        resolver: Who is asked for addresses.
        tls: Context for https, else None.
        proxy: Then its address is judged instead of the target's (and the target's too, where the URL has a
            literal).
    """

    target: Target
    allow: tuple[AllowedNetwork, ...]
    resolver: Resolver
    tls: ssl.SSLContext | None
    proxy: Proxy | None

    @property
    def forwards(self) -> bool:
        """Return whether a proxy reads the request itself (plain http) instead of carrying a tunnel."""
        return self.proxy is not None and self.tls is None


class PinnedConnection(HTTPConnection):
    """One connection along a route, not yet open.

    Attributes:
        born: Monotonic seconds at which it was opened.
        idle_since: Monotonic seconds of its last use.
    """

    def __init__(self, route: Route, *, deadline: Deadline) -> None:
        super().__init__(host=route.target.name, port=route.target.port)
        self.born = 0.0
        self.idle_since = 0.0
        self._route = route
        self._deadline = deadline

    def connect(self) -> None:
        """Open it: judge, connect, tunnel, TLS.

        Raises:
            AddressBlocked: Nothing was connected to.
            TransportError: One of its children.
        """
        connection = self._new_conn()
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            if self._route.tls is not None:
                if self._route.proxy is not None:
                    self._open_tunnel(connection, self._route.proxy)
                connection = self._wrap(connection, self._route.tls)
            undo.pop_all()
        self.sock = connection

    def exchange(self, message: Message, *, deadline: Deadline) -> ResponseReader:
        """Write *message* and read its response. Close the connection unless the response was read to its
        end.

        Raises:
            Dropped: The peer closed or reset before the first byte of a response.
            TransportError: One of its children.
        """
        try:
            reader = _exchange(self.sock, message, ResponseReader(), deadline=deadline)
        except BaseException:
            self.close()
            raise
        if not reader.reusable:
            self.close()
        return reader

    def _new_conn(self) -> socket.socket:
        """Connect to judged addresses only; this is what pins."""
        route, deadline = self._route, self._deadline
        target = route.target if route.proxy is None else route.proxy.target
        if route.proxy is not None and not isinstance(route.target.host, Name):
            self._judge(route.target)
        return connect(self._judge(target), target.port, deadline=deadline)

    def _judge(self, target: Target) -> tuple[Address, ...]:
        route = self._route
        return checked_addresses(
            target.host, target.port, allow=route.allow, resolver=route.resolver, deadline=self._deadline
        )

    def _open_tunnel(self, connection: socket.socket, proxy: Proxy) -> None:
        target = self._route.target
        authority = f"{target.bracketed}:{target.port}"
        fields = "".join(f"{name}: {value}\r\n" for name, value in proxy.headers.items())
        head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n"
        message = Message(head.encode("ascii"))
        try:
            reader = _exchange(connection, message, ResponseReader(head_only=True), deadline=self._deadline)
        except (Dropped, ResponseBroken):
            raise ConnectFailed("the proxy gave no answer", phase="proxy") from None
        except TimedOut:
            raise self._deadline.passed("proxy") from None
        if not 200 <= reader.status < 300 or not reader.reusable:
            raise ConnectFailed(f"the proxy answered {reader.status}", phase="proxy")

    def _wrap(self, connection: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        # A handshake's time-out bounds the whole of it, not each read (CPython, Modules/_ssl.c,
        # do_handshake).
        connection.settimeout(self._deadline.remaining("tls"))
        try:
            return tls.wrap_socket(connection, server_hostname=self._route.target.name)
        except ssl.SSLCertVerificationError as error:
            words = _CERTIFICATE.get(error.verify_code, "was not accepted")
            raise TlsFailed(f"the certificate {words}", phase="tls") from None
        except TimeoutError:
            raise self._deadline.passed("tls") from None
        except (ssl.SSLError, ValueError) as error:
            raise _tls_failed(error) from None
        except OSError:
            raise ConnectFailed("the connection ended during the TLS handshake", phase="tls") from None


def _exchange(
    connection: socket.socket, message: Message, reader: ResponseReader, *, deadline: Deadline
) -> ResponseReader:
    try:
        _write(connection, message, deadline=deadline)
        while not reader.done:
            connection.settimeout(deadline.remaining(reader.phase))
            data = connection.recv(reader.wanted)
            if data:
                reader.feed(data)
            elif reader.received == 0:
                raise Dropped
            else:
                reader.end()
    except TimeoutError:
        raise deadline.passed(reader.phase) from None
    except _ENDED:
        if reader.received == 0:
            raise Dropped from None
        raise ResponseBroken("the connection was reset", phase=reader.phase) from None
    except ssl.SSLError as error:
        raise _tls_failed(error) from None
    except OSError:
        raise ResponseBroken("the connection failed", phase=reader.phase) from None
    return reader


def _write(connection: socket.socket, message: Message, *, deadline: Deadline) -> None:
    rest = memoryview(message)
    while rest:
        connection.settimeout(deadline.remaining("send"))
        try:
            rest = rest[connection.send(rest) :]
        except TimeoutError:
            raise deadline.passed("send") from None
        except _ENDED:
            # The receiver may have answered early (413), or refused our certificate (an alert), and closed:
            # what it said is in our buffer, and reading will tell.
            return


def _tls_failed(error: Exception) -> TlsFailed:
    # `reason` is a constant of OpenSSL such as WRONG_VERSION_NUMBER: no text of the peer's.
    reason = getattr(error, "reason", None)
    words = str(reason).lower().replace("_", " ") if reason else "handshake failed"
    return TlsFailed(f"TLS failed: {words}", phase="tls")
