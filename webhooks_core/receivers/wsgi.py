"""Receive webhooks in any WSGI server, with nothing but a `Receiver`.

What belongs here: method, length and the reading of the body (PEP 3333). What must not: any look at the
headers or the body. The invariant: never more than `MAX_BODY_BYTES` + 1 bytes are read, whatever the request
says of its length. Explained in docs/how-to/receive-webhooks.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from webhooks_core.envelope import MAX_BODY_BYTES
from webhooks_core.receivers.framing import (
    declared_length,
    describe,
    length_required,
    malformed_length,
    method_not_allowed,
)
from webhooks_core.receiving import Answer, Receiver

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PHRASES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_CHUNK_BYTES = 65_536


class _Input(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, fewer at the end."""


def webhook_app(receiver: Receiver | Callable[[], Receiver]) -> WSGIApplication:
    """Return a WSGI application that answers every `POST` through *receiver*.

    It looks at no path: mount it where the webhooks arrive. A handler's exception is written to
    ``wsgi.errors`` as its type and place, without its text.

    Args:
        receiver: A receiver, or a callable without arguments that returns one (asked at each request).
    """

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        result = _answer(receiver if isinstance(receiver, Receiver) else receiver(), environ)
        if result.error is not None:
            environ["wsgi.errors"].write(f"Webhook handler failed: {describe(result.error)}\n")
        start_response(f"{result.status} {_PHRASES.get(result.status, 'Unknown')}", list(result.headers))
        return [result.body]

    return application


def _answer(receiver: Receiver, environ: WSGIEnvironment) -> Answer:
    if environ.get("REQUEST_METHOD") != "POST":
        return method_not_allowed()
    body = _read_body(receiver, environ)
    if isinstance(body, Answer):
        return body
    headers = [
        (name[5:].replace("_", "-"), value)
        for name, value in environ.items()
        if name.startswith(("HTTP_X_WEBHOOK_", "HTTP_WEBHOOK_")) and isinstance(value, str)
    ]
    return receiver.receive(headers, body)


def _read_body(receiver: Receiver, environ: WSGIEnvironment) -> bytes | Answer:
    source: _Input = environ["wsgi.input"]
    length = declared_length(receiver, environ.get("CONTENT_LENGTH") or "")
    if isinstance(length, Answer):
        return length
    if length is None:
        if not environ.get("wsgi.input_terminated"):
            return length_required()
        body = _read(source, MAX_BODY_BYTES + 1)
        return receiver.too_large() if len(body) > MAX_BODY_BYTES else body
    body = _read(source, length)
    return body if len(body) == length else malformed_length()


def _read(source: _Input, limit: int) -> bytes:
    """Read up to *limit* bytes; a server may give them in pieces, and an aborted request ends early."""
    pieces: list[bytes] = []
    while limit > 0:
        try:
            piece = source.read(min(limit, _CHUNK_BYTES))
        except OSError:
            break
        if not piece:
            break
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)
