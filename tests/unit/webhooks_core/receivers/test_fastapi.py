"""The ASGI adapter in real FastAPI and Starlette applications: method, length, body, threads, answers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from webhooks_core.envelope import MAX_BODY_BYTES, seal
from webhooks_core.keys import KeyRing
from webhooks_core.receivers.fastapi import on_event_loop, receives_webhooks, webhook_endpoint
from webhooks_core.receiving import Handler, Receiver
from webhooks_core.signer import sign
from webhooks_core.stores.replay import MemoryReplayStore
from webhooks_core.verifier import Verified, Verifier

NOW = 1_763_000_000.0
ID = "550e8400-e29b-41d4-a716-446655440000"
KEYS = KeyRing.of("5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7")
BODY = seal("payment_verified", {"tournament_id": 101}, webhook_id=ID).body
SIGNED = sign(BODY, event="payment_verified", webhook_id=ID, keys=KEYS, now=NOW)
METHODS = ["GET", "POST", "PUT"]


def fastapi(handler: Handler) -> FastAPI:
    receiver = Receiver(Verifier(KEYS), MemoryReplayStore(), handler, clock=lambda: NOW)
    app = FastAPI()
    app.add_api_route("/hook", webhook_endpoint(receiver), methods=METHODS)
    return app


def starlette(handler: Handler) -> Starlette:
    receiver = Receiver(Verifier(KEYS), MemoryReplayStore(), handler, clock=lambda: NOW)
    return Starlette(routes=[Route("/hook", webhook_endpoint(lambda: receiver), methods=METHODS)])


@pytest.fixture(params=[fastapi, starlette], ids=["FastAPI", "Starlette"])
def build(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_good_request_is_handled_once_in_a_thread(build: Any) -> None:
    """200 with JSON; the second copy is a duplicate; the event loop's thread never runs the handler."""
    handled: list[tuple[str, bool]] = []

    def handle(verified: Verified) -> None:
        try:
            asyncio.get_running_loop()
            on_loop = True
        except RuntimeError:
            on_loop = False
        handled.append((verified.webhook_id, on_loop))

    client = TestClient(build(handle))

    first = client.post("/hook", content=BODY, headers=SIGNED)
    again = client.post("/hook", content=BODY, headers=SIGNED)

    assert (first.status_code, first.json()) == (200, {"status": "received"})
    assert (again.status_code, again.json()) == (200, {"status": "duplicate"})
    assert first.headers["content-type"] == "application/json"
    assert handled == [(ID, False)]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (BODY + b" ", SIGNED, 401),
        (BODY, {"X-Webhook-Id": ID}, 400),
        (b"x" * (MAX_BODY_BYTES + 1), SIGNED, 413),
        (b"", SIGNED, 401),
    ],
)
def test_a_refused_request_has_the_status_of_its_refusal(
    build: Any, content: bytes, headers: dict[str, str], status: int
) -> None:
    """The answers are the receiver's."""
    assert TestClient(build(print)).post("/hook", content=content, headers=headers).status_code == status


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_only_post_is_allowed(build: Any, method: str) -> None:
    """405 with Allow, also where the route lets other methods through."""
    answer = TestClient(build(print)).request(method, "/hook", headers=SIGNED)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_body_without_a_length_is_read_to_its_bound_and_not_to_its_end() -> None:
    """Chunked: 413 once the bound is passed."""
    given: list[int] = []

    async def receive() -> dict[str, object]:
        given.append(1)
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    status, _ = asyncio.run(call(starlette(print), receive))

    assert status == 413
    assert len(given) == MAX_BODY_BYTES // 65_536 + 1


@pytest.mark.parametrize("length", ["x", "-1", "9" * 19])
def test_a_length_that_is_no_number_is_400_and_nothing_is_read(length: str) -> None:
    """The body is not asked for."""

    async def receive() -> dict[str, object]:
        raise AssertionError("the body was read")

    assert asyncio.run(call(starlette(print), receive, length=length))[0] == 400


def test_a_length_beyond_the_bound_is_413_and_nothing_is_read() -> None:
    """413 by the length alone."""

    async def receive() -> dict[str, object]:
        raise AssertionError("the body was read")

    assert asyncio.run(call(starlette(print), receive, length=str(MAX_BODY_BYTES + 1)))[0] == 413


@pytest.mark.parametrize(
    "end", [{"type": "http.disconnect"}, {"type": "http.request", "body": b"", "more_body": False}]
)
def test_a_body_that_ends_early_is_400(end: dict[str, object]) -> None:
    """The client went away, or the body does not keep its length."""
    messages: Iterator[dict[str, object]] = iter(
        [{"type": "http.request", "body": BODY[:9], "more_body": True}, end]
    )

    async def receive() -> dict[str, object]:
        return next(messages)

    assert asyncio.run(call(starlette(print), receive, length=str(len(BODY))))[0] == 400


async def call(app: Any, receive: Any, *, length: str | None = None) -> tuple[int, bytes]:
    """One request by the protocol itself."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in SIGNED.items()]
    if length is not None:
        headers.append((b"content-length", length.encode()))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/hook", "raw_path": b"/hook", "query_string": b"", "headers": headers, "client": ("c", 1),
        "server": ("s", 80), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


def test_a_header_that_comes_twice_is_malformed() -> None:
    """ASGI keeps both: neither is chosen."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def twice(scope: Any, receive: Any, send: Any) -> None:
        scope["headers"] = [*scope["headers"], (b"X-Webhook-Id", b"another")]
        await starlette(print)(scope, receive, send)

    status, body = asyncio.run(call(twice, receive))

    assert (status, body) == (400, b'{"error": "Malformed header"}')


def test_a_handlers_error_is_500_and_its_text_stays_out_of_the_log(
    build: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The type and the place are told; the text may quote the body."""

    def fail(verified: Verified) -> None:
        raise ValueError("player@example.org")

    with caplog.at_level(logging.ERROR):
        answer = TestClient(build(fail)).post("/hook", content=BODY, headers=SIGNED)

    assert (answer.status_code, answer.json()) == (500, {"error": "Handler failed"})
    assert "ValueError in fail" in caplog.text
    assert "player@" not in caplog.text


def test_an_async_handler_runs_on_the_event_loop(build: Any) -> None:
    """The thread that holds the claim waits for it; an error comes back as any handler's does."""
    ran: list[int] = []

    async def handle(verified: Verified) -> None:
        await asyncio.sleep(0)
        ran.append(threading.get_ident())
        if len(ran) == 1:
            raise LookupError

    client = TestClient(build(on_event_loop(handle)))

    first = client.post("/hook", content=BODY, headers=SIGNED)
    second = client.post("/hook", content=BODY, headers=SIGNED)

    assert (first.status_code, second.status_code) == (500, 200)
    assert len(ran) == 2


def test_the_decorator_takes_both_kinds_of_handler() -> None:
    """`async` or not; what is past its window reaches neither."""
    app = FastAPI()

    @app.post("/plain")
    @receives_webhooks(Verifier(KEYS), store=None)
    def plain(verified: Verified) -> None:
        """Never reached."""

    @app.post("/async")
    @receives_webhooks(Verifier(KEYS), store=None)
    async def waiting(verified: Verified) -> None:
        """Never reached."""

    client = TestClient(app)

    for path in ("/plain", "/async"):
        answer = client.post(path, content=BODY, headers=SIGNED)
        assert (answer.status_code, answer.json()) == (401, {"error": "Timestamp too old"})
