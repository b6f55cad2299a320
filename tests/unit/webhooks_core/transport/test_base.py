"""Request and Response: what may be written, and what their repr keeps to itself."""

from __future__ import annotations

from typing import Any

import pytest

from webhooks_core.endpoint import Endpoint
from webhooks_core.errors import ConfigError
from webhooks_core.keys import KeyRing
from webhooks_core.transport.base import MAX_RESPONSE_BYTES, Request, Response


@pytest.fixture
def endpoint(secret: str) -> Endpoint:
    """An endpoint with a token in its path."""
    return Endpoint(url="https://receiver.example/hook/t0ken", keys=KeyRing.of(secret))


def request_for(endpoint: Endpoint, **changes: Any) -> Request:
    """A good request, with *changes*."""
    fields = {"url": endpoint.url, "headers": {"X-Webhook-Id": "1"}, "body": b"{}", "timeout_seconds": 1.0}
    return Request(endpoint=endpoint, **{**fields, **changes})


@pytest.mark.parametrize(
    "value",
    [
        "1\r\nX-Evil: 1",
        "1\nX-Evil: 1",
        "1\rX-Evil: 1",
        "1\r\n\r\nGET /admin HTTP/1.1",
        "1\x00",
        "1\x0b",
        "1\x0c",
        "1\x1b[31m",
        "1\x7f",
        "1\x85",
        "1\u2028",
        "ü",
        "\ud800",
    ],
    ids=ascii,
)
def test_a_header_value_that_could_end_its_line_is_refused(endpoint: Endpoint, value: str) -> None:
    """No header injection: not with CR, LF, NUL, nor with what some server may fold into them."""
    with pytest.raises(ConfigError, match="X-Webhook-Event holds a character") as caught:
        request_for(endpoint, headers={"X-Webhook-Id": "1", "X-Webhook-Event": value})

    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", "X Y", "X:Y", "X\r\nY", "X\x00", "Ü", "X(Y)", " X", "X ", "X\n"], ids=ascii
)
def test_a_header_name_that_is_no_token_is_refused(endpoint: Endpoint, name: str) -> None:
    """RFC 9110 §5.6.2."""
    with pytest.raises(ConfigError, match="RFC 9110"):
        request_for(endpoint, headers={name: "1"})


def test_a_bad_value_under_a_bad_name_does_not_repeat_the_name(endpoint: Endpoint) -> None:
    """Neither half of an injected header reaches the message."""
    with pytest.raises(ConfigError, match=r"the value of \? holds"):
        request_for(endpoint, headers={"Evil\r\n": "\r\n"})


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "HOST",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Expect",
        "Upgrade",
        "TE",
        "Trailer",
        "Accept",
        "Accept-Encoding",
        "Proxy-Authorization",
    ],
)
def test_a_header_that_frames_the_message_belongs_to_the_transport(endpoint: Endpoint, name: str) -> None:
    """Whoever sets Content-Length or Host could write a second message, or reach a second host."""
    with pytest.raises(ConfigError, match=f"{name.lower()} belongs to the transport"):
        request_for(endpoint, headers={name: "1"})


def test_one_header_in_two_spellings_is_refused(endpoint: Endpoint) -> None:
    """Two signature headers are never sent."""
    with pytest.raises(ConfigError, match="twice"):
        request_for(endpoint, headers={"X-Webhook-Signature": "a", "x-webhook-signature": "b"})


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_a_finite_time(endpoint: Endpoint, seconds: float) -> None:
    """No attempt lasts for ever, and none for no time."""
    with pytest.raises(ConfigError, match="timeout_seconds"):
        request_for(endpoint, timeout_seconds=seconds)


def test_only_post_and_get_are_sent(endpoint: Endpoint) -> None:
    """A method with a blank in it would be another request line."""
    assert request_for(endpoint, method="GET").method == "GET"
    with pytest.raises(ConfigError, match="POST, GET"):
        request_for(endpoint, method="GET / HTTP/1.1\r\nX:")


def test_repr_tells_nothing(endpoint: Endpoint) -> None:
    """A traceback with locals shows the repr: no URL, no header, no body."""
    request = request_for(endpoint, headers={"X-Webhook-Signature": "5ec7e7"}, body=b"b0dy")
    response = Response(status=200, body=b"answ3r")

    assert repr(request) == "Request(timeout_seconds=1.0, method='POST')"
    assert "answ3r" not in repr(response)


def test_a_response_has_defaults_for_what_a_fake_leaves_out() -> None:
    """`Response(status=200)` is enough in a test."""
    response = Response(status=200)

    assert (response.headers, response.body, response.elapsed_seconds) == ({}, b"", 0.0)
    assert MAX_RESPONSE_BYTES == 16_384
