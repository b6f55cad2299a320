"""Receive webhooks in a Flask view.

What belongs here: method, length and the reading of the body, as Flask has them. What must not: any look at
the headers or the body. The invariant: a body that is said to be too large is not read, and of one without a
length no more than `MAX_BODY_BYTES` + 1 bytes. Explained in docs/how-to/receive-webhooks.md.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Request, Response, current_app, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from webhooks_core.envelope import MAX_BODY_BYTES
from webhooks_core.events import Observer
from webhooks_core.receivers.framing import (
    declared_length,
    describe,
    length_required,
    malformed_length,
    method_not_allowed,
)
from webhooks_core.receiving import Answer, Handler, Receiver
from webhooks_core.stores.replay import ReplayStore
from webhooks_core.verifier import Verifier

View = Callable[[], Response]


def webhook_view(receiver: Receiver | Callable[[], Receiver]) -> View:
    """Return a view that answers every `POST` through *receiver*.

    ``app.add_url_rule("/webhooks/inbound", "inbound", webhook_view(receiver), methods=["POST"])``

    Args:
        receiver: A receiver, or a callable without arguments that returns one (asked at each request, inside
            the application's context).
    """

    def view() -> Response:
        result = _answer(receiver if isinstance(receiver, Receiver) else receiver(), request)
        if result.error is not None:
            current_app.logger.error("Webhook handler failed: %s", describe(result.error))
        return Response(result.body, status=result.status, headers=list(result.headers))

    return view


def receives_webhooks(
    verifier: Verifier, *, store: ReplayStore | None, observer: Observer | None = None
) -> Callable[[Handler], View]:
    """Turn a handler into a view; the decorator form of `webhook_view`, to stand below ``@app.post(…)``.

    Args:
        verifier: Checks the request.
        store: Remembers ids; None remembers nothing.
        observer: Told every fact.
    """

    def decorate(handler: Handler) -> View:
        view = webhook_view(Receiver(verifier, store, handler, observer=observer))
        view.__name__ = getattr(handler, "__name__", "webhook")  # Flask's name of the route
        return view

    return decorate


def _answer(receiver: Receiver, incoming: Request) -> Answer:
    if incoming.method != "POST":
        return method_not_allowed()
    body = _read_body(receiver, incoming)
    return body if isinstance(body, Answer) else receiver.receive(list(incoming.headers.items()), body)


def _read_body(receiver: Receiver, incoming: Request) -> bytes | Answer:
    length = declared_length(receiver, incoming.environ.get("CONTENT_LENGTH") or "")
    if isinstance(length, Answer):
        return length
    if length is None and not incoming.environ.get("wsgi.input_terminated"):
        return length_required()
    # Flask's bound for one request: at it a body without a length ends or is refused; one byte more tells.
    incoming.max_content_length = MAX_BODY_BYTES + 1
    try:
        body = incoming.get_data(cache=True)
    except RequestEntityTooLarge:
        return receiver.too_large()
    except BadRequest:  # the client went away
        return malformed_length()
    if len(body) > MAX_BODY_BYTES:
        return receiver.too_large()
    return body if length is None or len(body) == length else malformed_length()
