"""What truly left, and what came back: the transport passes everything on, and it is kept.

Stands between the sender and the real transport, so that a smoke test can show the headers and the bytes of
each attempt, wherever the receiver is. Only for smoke tests: even bodies of ids are nobody's business else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from webhooks_core.errors import AddressBlocked, TransportError
from webhooks_core.transport.base import Request, Response
from webhooks_core.transport.requests import RequestsTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP request and its end.

    Attributes:
        started_at: Epoch seconds, UTC.
        latency_ms: From the start to the answer, or to the error.
        status: The answer's status, or None where none came.
        error: The kind of error, or None where an answer came.
    """

    webhook_id: str
    event: str
    headers: dict[str, str]
    body: bytes
    started_at: float
    latency_ms: float
    status: int | None
    error: str | None


@contextmanager
def wiretap() -> Iterator[list[Attempt]]:
    """Keep every attempt of this process in the list, in the order in which they ended."""
    attempts: list[Attempt] = []
    pass_on = RequestsTransport.send

    def send(transport: RequestsTransport, request: Request) -> Response:
        started_at, begun = time.time(), time.perf_counter()
        status = error = None
        try:
            response = pass_on(transport, request)
            status = response.status
        except (TransportError, AddressBlocked) as failure:
            error = type(failure).__name__
            raise
        finally:
            latency_ms = (time.perf_counter() - begun) * 1000
            attempts.append(_attempt(request, started_at, latency_ms, status=status, error=error))
        return response

    with patch.object(RequestsTransport, "send", send):
        yield attempts


def _attempt(
    request: Request, started_at: float, latency_ms: float, *, status: int | None, error: str | None
) -> Attempt:
    return Attempt(
        webhook_id=request.headers["X-Webhook-Id"],
        event=request.headers["X-Webhook-Event"],
        headers=dict(request.headers),
        body=bytes(request.body),
        started_at=started_at,
        latency_ms=latency_ms,
        status=status,
        error=error,
    )
