"""The Django view: what Django does to a request before and around it."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path

from tests import databases
from webhooks_core.envelope import MAX_BODY_BYTES, seal
from webhooks_core.keys import KeyRing
from webhooks_core.receivers.django import receives_webhooks, webhook_view
from webhooks_core.receiving import Receiver
from webhooks_core.signer import sign
from webhooks_core.stores.replay import MemoryReplayStore
from webhooks_core.verifier import Verified, Verifier

NOW = 1_763_000_000.0
ID = "550e8400-e29b-41d4-a716-446655440000"
KEYS = KeyRing.of("5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7")
BODY = seal("payment_verified", {"tournament_id": 101}, webhook_id=ID).body


def content(verified: Verified) -> None:
    """A handler that is content."""


RECEIVER = Receiver(Verifier(KEYS), None, content, clock=lambda: NOW)
urlpatterns = [path("inbound", webhook_view(RECEIVER))]


def headers_of(body: bytes = BODY) -> dict[str, str]:
    """Sign as the sender does."""
    return sign(body, event="payment_verified", webhook_id=ID, keys=KEYS, now=NOW)


def request_of(body: bytes = BODY, **extra: Any) -> HttpRequest:
    """Make a request as a WSGI server would hand it over."""
    return RequestFactory(headers=headers_of(body)).generic(
        "POST", "/inbound", body, content_type="application/json", **extra
    )


def send(request: HttpRequest, receiver: Receiver = RECEIVER) -> tuple[int, Any]:
    """Call the view; returns status and JSON."""
    response = webhook_view(receiver)(request)
    return response.status_code, json.loads(response.content)


def test_a_good_request_is_received() -> None:
    """200 with JSON and a length."""
    response = webhook_view(RECEIVER)(request_of())

    assert (response.status_code, json.loads(response.content)) == (200, {"status": "received"})
    assert response["Content-Type"] == "application/json"
    assert response["Content-Length"] == str(len(response.content))


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"])
def test_no_token_of_csrf_is_asked_for() -> None:
    """The signature says who sends; a client that enforces the checks gets through."""
    client = Client(enforce_csrf_checks=True, headers=headers_of())

    response = client.post("/inbound", BODY, content_type="application/json")

    assert response.status_code == 200


def test_only_post_is_allowed() -> None:
    """405 with Allow."""
    response = webhook_view(RECEIVER)(RequestFactory().get("/inbound"))

    assert (response.status_code, response["Allow"]) == (405, "POST")


def test_the_view_stands_outside_atomic_requests(tmp_path: Path) -> None:
    """Done is remembered when the handler returns; that must not come before a commit."""
    with databases.alias(
        "second", {**databases.sqlite(tmp_path / "second.sqlite3"), "ATOMIC_REQUESTS": True}
    ):
        view: Any = webhook_view(RECEIVER)

    assert view._non_atomic_requests >= {"default", "second"}  # and what walks of this process opened
    assert view.csrf_exempt is True


class Unread(io.BytesIO):
    """A stream that must not be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize(
    ("length", "status", "text"),
    [
        (str(MAX_BODY_BYTES + 1), 413, "Body too large"),
        ("9" * 18, 413, "Body too large"),
        ("-1", 400, "Malformed body"),
        ("abc", 400, "Malformed body"),
        ("", 411, "Content-Length required"),
    ],
)
def test_a_length_that_cannot_be_is_refused_before_anything_is_read(
    length: str, status: int, text: str
) -> None:
    """Too large, negative, garbage, missing."""
    request = request_of(CONTENT_LENGTH=length)
    request._stream = Unread(BODY)  # type: ignore[attr-defined]

    assert send(request) == (status, {"error": text})


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10)
def test_a_bound_of_djangos_own_below_ours_is_413() -> None:
    """RequestDataTooBig is no error page of 400."""
    assert send(request_of()) == (413, {"error": "Body too large"})


def test_a_body_that_a_middleware_has_kept_is_used() -> None:
    """Logging middleware that looks at `request.body` does no harm."""
    request = request_of()
    assert request.body == BODY

    assert send(request)[0] == 200


def test_a_body_that_a_middleware_has_consumed_is_400() -> None:
    """RawPostDataException is ours to answer; the log of the project shows the middleware."""
    request = request_of()
    request.read(5)

    assert send(request) == (400, {"error": "Malformed body"})


def test_a_client_that_went_away_is_400() -> None:
    """UnreadablePostError."""

    class Gone(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError

    request = request_of()
    request._stream = Gone()  # type: ignore[attr-defined]

    assert send(request) == (400, {"error": "Malformed body"})


def asgi_request(body: bytes, *, length: bool) -> ASGIRequest:
    """Make a request as Django's ASGI handler would."""
    headers = [(name.lower().encode(), value.encode()) for name, value in headers_of(body).items()]
    if length:
        headers.append((b"content-length", str(len(body)).encode()))
    scope = {"type": "http", "method": "POST", "path": "/inbound", "headers": headers, "query_string": b""}
    return ASGIRequest(scope, io.BytesIO(body))


@pytest.mark.parametrize("length", [True, False])
def test_under_asgi_a_chunked_body_is_received_too(length: bool) -> None:
    """There the server ends the input."""
    assert send(asgi_request(BODY, length=length)) == (200, {"status": "received"})


def test_under_asgi_a_chunked_body_is_read_to_its_bound() -> None:
    """One byte more than allowed is 413."""
    assert send(asgi_request(b"x" * (MAX_BODY_BYTES + 1), length=False)) == (413, {"error": "Body too large"})


def test_a_failing_handler_is_500_and_its_place_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """On Django's own logger; the type and the line, never the text."""

    def fail(verified: Verified) -> None:
        raise ValueError("player@example.org")

    with caplog.at_level(logging.ERROR, logger="django.request"):
        answer = send(request_of(), Receiver(Verifier(KEYS), None, fail, clock=lambda: NOW))

    assert answer == (500, {"error": "Handler failed"})
    assert "Webhook handler failed: ValueError in fail (" in caplog.text
    assert "player@" not in caplog.text


def test_the_decorator_makes_a_view_of_a_handler() -> None:
    """`receives_webhooks(verifier, store=…)`."""
    handled: list[str] = []

    @receives_webhooks(Verifier(KEYS, window_seconds=10**9), store=MemoryReplayStore())
    def inbound(verified: Verified) -> None:
        handled.append(verified.webhook_id)

    responses: list[HttpResponse] = [inbound(request_of()) for _ in range(2)]

    assert [json.loads(response.content)["status"] for response in responses] == ["received", "duplicate"]
    assert handled == [ID]


def test_a_receiver_may_be_built_when_the_first_request_comes() -> None:
    """Settings are read then, not when the module of URLs is."""
    asked: list[int] = []

    def build() -> Receiver:
        asked.append(1)
        return RECEIVER

    view = webhook_view(build)
    assert asked == []
    assert view(request_of()).status_code == 200
    assert asked == [1]
