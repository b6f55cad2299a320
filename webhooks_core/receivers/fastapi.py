"""Receive webhooks in FastAPI, or in any Starlette application.

What belongs here: method, length and the reading of the body, as ASGI has them, and the step from the event
loop to a thread and back. What must not: any look at the headers or the body. The invariants: no more than
`MAX_BODY_BYTES` and one piece is read; verifying, the replay store and the handler never hold up the event
loop. Explained in docs/how-to/receive-webhooks.md.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from inspect import iscoroutinefunction
from typing import Any, cast

from anyio import from_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from webhooks_core.envelope import MAX_BODY_BYTES
from webhooks_core.events import Observer
from webhooks_core.receivers.framing import declared_length, describe, malformed_length, method_not_allowed
from webhooks_core.receiving import Answer, Handler, Receiver
from webhooks_core.stores.replay import ReplayStore
from webhooks_core.verifier import Verified, Verifier

Endpoint = Callable[[Request], Awaitable[Response]]
AsyncHandler = Callable[[Verified], Coroutine[Any, Any, object]]

_log = logging.getLogger("webhooks.receiver")


def webhook_endpoint(receiver: Receiver | Callable[[], Receiver]) -> Endpoint:
    """Return an endpoint that answers every `POST` through *receiver*, in a thread.

    FastAPI: ``app.add_api_route("/webhooks/inbound", webhook_endpoint(receiver), methods=["POST"])``.
    Starlette: ``Route("/webhooks/inbound", webhook_endpoint(receiver), methods=["POST"])``.

    Args:
        receiver: A receiver, or a callable without arguments that returns one (asked at each request). Its
            handler runs in a thread; wrap one that is `async` in `on_event_loop`.
    """

    async def endpoint(request: Request) -> Response:
        result = await _answer(receiver if isinstance(receiver, Receiver) else receiver(), request)
        if result.error is not None:
            _log.error("Webhook handler failed: %s", describe(result.error))
        return Response(result.body, status_code=result.status, headers=dict(result.headers))

    return endpoint


def receives_webhooks(
    verifier: Verifier, *, store: ReplayStore | None, observer: Observer | None = None
) -> Callable[[Handler | AsyncHandler], Endpoint]:
    """Turn a handler, `async` or not, into an endpoint; the decorator form of `webhook_endpoint`.

    Args:
        verifier: Checks the request.
        store: Remembers ids; None remembers nothing.
        observer: Told every fact.
    """

    def decorate(handler: Handler | AsyncHandler) -> Endpoint:
        plain = on_event_loop(cast(AsyncHandler, handler)) if iscoroutinefunction(handler) else handler
        return webhook_endpoint(Receiver(verifier, store, plain, observer=observer))

    return decorate


def on_event_loop(handler: AsyncHandler) -> Handler:
    """Let a receiver call an `async` handler: its thread waits while the event loop runs it.

    Only inside `webhook_endpoint`, whose threads know their event loop.
    """

    def handle(verified: Verified) -> object:
        return from_thread.run(handler, verified)

    return handle


async def _answer(receiver: Receiver, request: Request) -> Answer:
    if request.method != "POST":
        return method_not_allowed()
    body = await _read_body(receiver, request)
    if isinstance(body, Answer):
        return body
    return await run_in_threadpool(receiver.receive, request.headers.raw, body)


async def _read_body(receiver: Receiver, request: Request) -> bytes | Answer:
    length = declared_length(receiver, request.headers.get("content-length", ""))
    if isinstance(length, Answer):
        return length
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                return receiver.too_large()
    except (ClientDisconnect, RuntimeError):  # went away; or a middleware has read the body
        return malformed_length()
    return bytes(body) if length is None or len(body) == length else malformed_length()
