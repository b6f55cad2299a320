"""Receive webhooks in a Django view.

What belongs here: method, length and the reading of the body, as Django has them. What must not: any look at
the headers or the body, and settings (webhooks_core/django/wiring.py builds a receiver from them). The
invariant: a body that is said to be too large is not read; the view needs no session, user or token of CSRF,
since the signature is what says who sends. Explained in docs/how-to/receive-webhooks.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.core.exceptions import RequestDataTooBig
from django.core.handlers.wsgi import WSGIRequest
from django.db import connections
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

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

View = Callable[[HttpRequest], HttpResponse]

_log = logging.getLogger("django.request")


def webhook_view(receiver: Receiver | Callable[[], Receiver]) -> View:
    """Return a view that answers every `POST` through *receiver*.

    The view stands outside `ATOMIC_REQUESTS`, whichever database has it: the id is remembered as done when
    the handler returns, and that must not come before a commit. A handler that writes opens
    ``transaction.atomic()`` itself.

    Args:
        receiver: A receiver, or a callable without arguments that returns one (asked at each request, so that
            settings are read when the first request comes).
    """

    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        result = _answer(receiver if isinstance(receiver, Receiver) else receiver(), request)
        if result.error is not None:
            _log.error("Webhook handler failed: %s", describe(result.error))
        response = HttpResponse(result.body, status=result.status)
        for name, value in result.headers:
            response[name] = value
        return response

    for alias in connections:  # by its name, as Django asks: each database has an ATOMIC_REQUESTS of its own
        view = non_atomic_requests(using=alias)(view)
    return view


def receives_webhooks(
    verifier: Verifier, *, store: ReplayStore | None, observer: Observer | None = None
) -> Callable[[Handler], View]:
    """Turn a handler into a view; the decorator form of `webhook_view`.

    Args:
        verifier: Checks the request.
        store: Remembers ids; None remembers nothing.
        observer: Told every fact.
    """

    def decorate(handler: Handler) -> View:
        return webhook_view(Receiver(verifier, store, handler, observer=observer))

    return decorate


def _answer(receiver: Receiver, request: HttpRequest) -> Answer:
    if request.method != "POST":
        return method_not_allowed()
    body = _read_body(receiver, request)
    return body if isinstance(body, Answer) else receiver.receive(request.headers, body)


def _read_body(receiver: Receiver, request: HttpRequest) -> bytes | Answer:
    length = declared_length(receiver, request.META.get("CONTENT_LENGTH") or "")
    if isinstance(length, Answer):
        return length
    try:
        if length is not None:
            body = request.body
        elif isinstance(request, WSGIRequest):
            # Django reads nothing here; an empty body would be refused with a word that misleads.
            return length_required()
        else:
            body = request.read(MAX_BODY_BYTES + 1)
    except RequestDataTooBig:  # DATA_UPLOAD_MAX_MEMORY_SIZE is set below our own bound
        return receiver.too_large()
    except (RawPostDataException, UnreadablePostError):  # read by a middleware, or the client went away
        return malformed_length()
    return receiver.too_large() if len(body) > MAX_BODY_BYTES else body
