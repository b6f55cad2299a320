"""The WSGI adapter under the standard library's own validator: method, length, body, answers."""

from __future__ import annotations

import io
import json
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from webhooks_core.envelope import MAX_BODY_BYTES, seal
from webhooks_core.keys import KeyRing
from webhooks_core.receivers.framing import describe, parse_length
from webhooks_core.receivers.wsgi import webhook_app
from webhooks_core.receiving import Receiver
from webhooks_core.signer import sign
from webhooks_core.stores.replay import MemoryReplayStore
from webhooks_core.verifier import Verified, Verifier

NOW = 1_763_000_000.0
ID = "550e8400-e29b-41d4-a716-446655440000"
KEYS = KeyRing.of("5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7")
BODY = seal("payment_verified", {"tournament_id": 101}, webhook_id=ID).body


class Input:
    """An input stream that counts what is read, gives it in pieces, and may break."""

    def __init__(self, content: bytes, *, piece: int = 10**9, breaks: bool = False) -> None:
        self._stream = io.BytesIO(content)
        self._piece = piece
        self._breaks = breaks
        self.read_bytes = 0

    def read(self, size: int) -> bytes:
        content = self._stream.read(min(size, self._piece))
        self.read_bytes += len(content)
        if not content and self._breaks:
            raise ConnectionResetError
        return content

    readline = readlines = __iter__ = None  # the validator asks for their names only


def call(
    body: bytes = BODY,
    *,
    receiver: Receiver | None = None,
    source: Input | None = None,
    **environ: str | bool | None,
) -> tuple[str, dict[str, str], Any, str]:
    """Send one request; returns status, headers, JSON, and what was written to the error stream."""
    headers = sign(body, event="payment_verified", webhook_id=ID, keys=KEYS, now=NOW)
    request: dict[str, Any] = {
        f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()
    }
    request["CONTENT_TYPE"] = request.pop("HTTP_CONTENT_TYPE")
    request.update(REQUEST_METHOD="POST", CONTENT_LENGTH=str(len(body)), QUERY_STRING="")
    request.update(environ)
    request = {name: value for name, value in request.items() if value is not None}
    setup_testing_defaults(request)
    request["wsgi.input"] = source or Input(body)
    request["wsgi.errors"] = errors = io.StringIO()
    told: list[Any] = []
    app = validator(webhook_app(receiver or Receiver(Verifier(KEYS), None, print_nothing, clock=lambda: NOW)))
    answer = app(request, lambda status, head, *rest: told.extend((status, dict(head))) or no_write)
    content = b"".join(answer)
    answer.close()  # type: ignore[attr-defined]
    assert told[1]["Content-Length"] == str(len(content))
    return told[0], told[1], json.loads(content), errors.getvalue()


def print_nothing(verified: Verified) -> None:
    """A handler that is content."""


def no_write(data: bytes) -> None:
    """The write callable of old servers."""


def test_a_good_request_is_received() -> None:
    """200 with JSON, under the validator of PEP 3333."""
    status, headers, content, errors = call()

    assert (status, content, errors) == ("200 OK", {"status": "received"}, "")
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_allowed(method: str) -> None:
    """405 with Allow; nothing is read."""
    source = Input(BODY)

    status, headers, content, _ = call(REQUEST_METHOD=method, source=source)

    assert (status, headers["Allow"]) == ("405 Method Not Allowed", "POST")
    assert content == {"error": "Method not allowed"}
    assert source.read_bytes == 0


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "+5", "5.0", "٥", "9" * 19, "5, 5"])
def test_a_length_that_is_no_number_is_400(length: str) -> None:
    """Nothing is read. (The validator itself refuses such a request, so the app is called bare.)"""
    source = Input(BODY)

    status, content = bare({"CONTENT_LENGTH": length, "wsgi.input": source})

    assert (status, content) == ("400 Bad Request", {"error": "Malformed body"})
    assert source.read_bytes == 0


def bare(environ: dict[str, Any]) -> tuple[str, Any]:
    """Call the app without the validator."""
    told: list[str] = []
    app = webhook_app(Receiver(Verifier(KEYS), None, print_nothing, clock=lambda: NOW))
    request = {"REQUEST_METHOD": "POST", "wsgi.errors": io.StringIO(), **environ}
    answer = app(request, lambda status, head, *rest: told.append(status) or no_write)
    return told[0], json.loads(b"".join(answer))


def test_a_length_beyond_the_bound_is_413_and_nothing_is_read() -> None:
    """256 KiB and one byte, or a number of 18 digits."""
    for length in (str(MAX_BODY_BYTES + 1), "9" * 18):
        source = Input(BODY)

        status, _, content, _ = call(CONTENT_LENGTH=length, source=source)

        assert (status, content) == ("413 Content Too Large", {"error": "Body too large"})
        assert source.read_bytes == 0


@pytest.mark.parametrize("length", [None, ""])
def test_without_a_length_the_end_cannot_be_known(length: str | None) -> None:
    """411, unless the server says that it ends the input itself."""
    source = Input(BODY)

    status, content = bare({"CONTENT_LENGTH": length, "wsgi.input": source})

    assert (status, content) == ("411 Length Required", {"error": "Content-Length required"})
    assert source.read_bytes == 0


def test_a_chunked_body_is_read_where_the_server_ends_it() -> None:
    """`wsgi.input_terminated`, as gunicorn and mod_wsgi set it; pieces are put together."""
    chunked = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}

    status, _, content, _ = call(source=Input(BODY, piece=7), **chunked)  # type: ignore[arg-type]

    assert (status, content) == ("200 OK", {"status": "received"})


def test_a_chunked_body_is_read_to_its_bound_and_no_further() -> None:
    """One byte more than allowed is enough to know."""
    source = Input(b"x" * (MAX_BODY_BYTES * 4))

    status, content = bare({"wsgi.input": source, "wsgi.input_terminated": True})

    assert (status, content) == ("413 Content Too Large", {"error": "Body too large"})
    assert source.read_bytes == MAX_BODY_BYTES + 1


@pytest.mark.parametrize("breaks", [False, True])
def test_a_body_shorter_than_its_length_is_400(breaks: bool) -> None:
    """The client went away, quietly or with a reset."""
    status, _, content, _ = call(source=Input(BODY[:-1], breaks=breaks))

    assert (status, content) == ("400 Bad Request", {"error": "Malformed body"})


def test_no_more_than_the_length_is_read() -> None:
    """What follows on the connection is another request's."""
    source = Input(BODY + b"GET / HTTP/1.1")

    status, *_ = call(source=source)

    assert status == "200 OK"
    assert source.read_bytes == len(BODY)


def test_two_values_joined_by_the_server_are_malformed() -> None:
    """WSGI servers join repeated headers with a comma."""
    status, _, content, _ = call(HTTP_X_WEBHOOK_SIGNATURE="a" * 64 + "," + "b" * 64)

    assert (status, content) == ("400 Bad Request", {"error": "Malformed header"})


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"HTTP_X_WEBHOOK_SIGNATURE": "a" * 64}, "401 Unauthorized"),
        ({"HTTP_X_WEBHOOK_ID": None}, "400 Bad Request"),
    ],
)
def test_a_refused_request_has_the_status_of_its_refusal(environ: dict[str, Any], status: str) -> None:
    """The answers are the receiver's."""
    assert call(**environ)[0] == status


def test_a_failing_handler_is_500_and_its_place_is_written_to_the_log() -> None:
    """The type and the line, never the text, which may quote the body."""

    def fail(verified: Verified) -> None:
        raise ValueError("player@example.org")

    status, _, content, errors = call(receiver=Receiver(Verifier(KEYS), None, fail, clock=lambda: NOW))

    assert (status, content) == ("500 Internal Server Error", {"error": "Handler failed"})
    assert errors.startswith("Webhook handler failed: ValueError in fail (")
    assert "test_wsgi.py:" in errors
    assert "player@" not in errors


def test_being_handled_right_now_is_503_with_retry_after() -> None:
    """The header reaches the sender."""
    store = MemoryReplayStore()
    store.claim(ID, None, now=NOW)

    status, headers, _, _ = call(receiver=Receiver(Verifier(KEYS), store, print_nothing, clock=lambda: NOW))

    assert (status, headers["Retry-After"]) == ("503 Service Unavailable", "15")


def test_a_receiver_may_be_built_when_the_first_request_comes() -> None:
    """A callable is asked at each request."""
    asked: list[int] = []

    def build() -> Receiver:
        asked.append(1)
        return Receiver(Verifier(KEYS), None, print_nothing, clock=lambda: NOW)

    app = webhook_app(build)
    assert asked == []
    app({"REQUEST_METHOD": "GET", "wsgi.errors": io.StringIO()}, lambda *told: no_write)
    assert asked == [1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("262144", 262_144), ("007", 7), ("", None), ("-1", None), ("１", None), ("9" * 19, None)],
)
def test_a_length_is_ascii_digits(text: str, expected: int | None) -> None:
    """Source: RFC 9110, section 8.6."""
    assert parse_length(text) == expected


def test_an_error_that_was_never_raised_has_no_place() -> None:
    """Only its type is told."""
    assert describe(KeyError("x")) == "KeyError"
