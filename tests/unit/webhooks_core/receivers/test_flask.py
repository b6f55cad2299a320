"""The Flask adapter in a real Flask application: method, length, body, answers."""

from __future__ import annotations

import io
import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient

from webhooks_core.envelope import MAX_BODY_BYTES, seal
from webhooks_core.keys import KeyRing
from webhooks_core.receivers.flask import receives_webhooks, webhook_view
from webhooks_core.receiving import Receiver
from webhooks_core.signer import sign
from webhooks_core.stores.replay import MemoryReplayStore
from webhooks_core.verifier import Verified, Verifier

NOW = 1_763_000_000.0
ID = "550e8400-e29b-41d4-a716-446655440000"
KEYS = KeyRing.of("5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7")
BODY = seal("payment_verified", {"tournament_id": 101}, webhook_id=ID).body
SIGNED = sign(BODY, event="payment_verified", webhook_id=ID, keys=KEYS, now=NOW)


class Desk:
    """An application with one route, and what its handler was given."""

    def __init__(self, *, failure: Exception | None = None) -> None:
        self.handled: list[Verified] = []
        self.failure = failure
        self.app = Flask("desk")
        receiver = Receiver(Verifier(KEYS), MemoryReplayStore(), self.handle, clock=lambda: NOW)
        methods = ["GET", "POST", "PUT"]
        self.app.add_url_rule("/hook", "hook", webhook_view(receiver), methods=methods)
        self.client: FlaskClient = self.app.test_client()

    def handle(self, verified: Verified) -> None:
        self.handled.append(verified)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_good_request_is_handled_once(desk: Desk) -> None:
    """200 with JSON; the second copy is a duplicate."""
    first = desk.client.post("/hook", data=BODY, headers=SIGNED)
    again = desk.client.post("/hook", data=BODY, headers=SIGNED)

    assert (first.status_code, first.json) == (200, {"status": "received"})
    assert (again.status_code, again.json) == (200, {"status": "duplicate"})
    assert first.mimetype == "application/json"
    assert [verified.webhook_id for verified in desk.handled] == [ID]


def test_a_changed_body_is_401(desk: Desk) -> None:
    """The answers are the receiver's."""
    answer = desk.client.post("/hook", data=BODY.replace(b"101", b"102"), headers=SIGNED)

    assert (answer.status_code, answer.json) == (401, {"error": "Invalid signature"})
    assert desk.handled == []


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_only_post_is_allowed(desk: Desk, method: str) -> None:
    """405 with Allow, also where the route lets other methods through."""
    answer = desk.client.open("/hook", method=method, data=BODY, headers=SIGNED)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


class Unreadable(io.BytesIO):
    """A body that must not be read."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("the body was read")


def test_a_body_that_is_said_to_be_too_large_is_not_read(desk: Desk) -> None:
    """413 by the length alone."""
    environ = {"wsgi.input": Unreadable(), "CONTENT_LENGTH": str(MAX_BODY_BYTES + 1)}

    answer = desk.client.post("/hook", headers=SIGNED, environ_overrides=environ)

    assert (answer.status_code, answer.json) == (413, {"error": "Body too large"})


def test_a_body_without_a_length_is_read_to_its_bound_and_not_to_its_end(desk: Desk) -> None:
    """Chunked, where the server ends the input itself: 413 once the bound is passed."""
    endless = io.BytesIO(b"x" * (MAX_BODY_BYTES * 8))
    environ = {"wsgi.input": endless, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}

    answer = desk.client.post("/hook", headers=SIGNED, environ_overrides=environ)

    assert answer.status_code == 413
    assert endless.tell() == MAX_BODY_BYTES + 1


def test_a_chunked_body_is_read_where_the_server_ends_it(desk: Desk) -> None:
    """As gunicorn gives it."""
    environ = {"wsgi.input": io.BytesIO(BODY), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}

    assert desk.client.post("/hook", headers=SIGNED, environ_overrides=environ).status_code == 200


@pytest.mark.parametrize(
    ("length", "status"), [("", 411), ("x", 400), ("-1", 400), (str(len(BODY) + 9), 400)]
)
def test_a_length_that_cannot_be_is_refused(desk: Desk, length: str, status: int) -> None:
    """None at all, no number, or one that the body does not keep."""
    environ = {"wsgi.input": io.BytesIO(BODY), "CONTENT_LENGTH": length}

    assert desk.client.post("/hook", headers=SIGNED, environ_overrides=environ).status_code == status
    assert desk.handled == []


def test_an_application_with_a_lower_bound_of_its_own_still_receives(desk: Desk) -> None:
    """MAX_CONTENT_LENGTH is for forms; a webhook's bound is ours."""
    desk.app.config["MAX_CONTENT_LENGTH"] = 10

    assert desk.client.post("/hook", data=BODY, headers=SIGNED).status_code == 200


def test_a_body_that_a_hook_has_read_already_is_still_there(desk: Desk) -> None:
    """Flask keeps it."""
    from flask import request

    desk.app.before_request(lambda: request.get_data() and None)

    assert desk.client.post("/hook", data=BODY, headers=SIGNED).status_code == 200


def test_a_handlers_error_is_500_and_its_text_stays_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The type and the place are told; the text may quote the body."""
    desk = Desk(failure=ValueError("player@example.org"))

    with caplog.at_level(logging.ERROR):
        answer = desk.client.post("/hook", data=BODY, headers=SIGNED)

    assert (answer.status_code, answer.json) == (500, {"error": "Handler failed"})
    assert "ValueError in handle" in caplog.text
    assert "player@" not in caplog.text


def test_the_decorator_makes_a_view_and_a_callable_builds_late() -> None:
    """`@app.post` above it takes the handler's name; a callable is asked at each request."""
    app, handled = Flask("desk"), []

    @app.post("/a")
    @receives_webhooks(Verifier(KEYS), store=None)
    def results(verified: Verified) -> None:
        """Never reached: the signature is long past."""

    built = Receiver(Verifier(KEYS), None, handled.append, clock=lambda: NOW)
    app.add_url_rule("/b", "b", webhook_view(lambda: built), methods=["POST"])
    client = app.test_client()

    assert "results" in app.view_functions
    assert client.post("/a", data=BODY, headers=SIGNED).json == {"error": "Timestamp too old"}
    assert client.post("/b", data=BODY, headers=SIGNED).status_code == 200
    assert len(handled) == 1
