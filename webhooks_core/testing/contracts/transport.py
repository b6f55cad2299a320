"""The suite of the port `Transport`; see `contracts/__init__` for how to run it.

Invariant: moments are given, never read; nothing sleeps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from webhooks_core.endpoint import Endpoint
from webhooks_core.transport.base import MAX_RESPONSE_BYTES, Request, Response, Transport


class TransportContract(ABC):
    """What a `Transport` must do."""

    @abstractmethod
    def prepare(self, responses: Sequence[Response]) -> tuple[Transport, Endpoint]:
        """Return a transport, and an endpoint whose receiver answers with *responses* in turn."""

    @abstractmethod
    def received(self) -> list[tuple[dict[str, str], bytes]]:
        """Return headers (lower-case names) and body of every request that came in, in order."""

    def request(self, endpoint: Endpoint, body: bytes = b'{"event":"test"}') -> Request:
        """Return a request to *endpoint*."""
        headers = {"Content-Type": "application/json", "X-Webhook-Event": "test"}
        return Request(url=endpoint.url, headers=headers, body=body, timeout_seconds=5.0, endpoint=endpoint)

    def test_body_and_headers_arrive_as_they_are(self) -> None:
        """The bytes that were signed are the bytes that are sent."""
        transport, endpoint = self.prepare([Response(status=200)])
        body = '{"event":"test","data":{"text":"ü \\u0000"}}'.encode()

        transport.send(self.request(endpoint, body))

        headers, arrived = self.received()[0]
        assert arrived == body
        assert headers["x-webhook-event"] == "test"
        transport.close()

    def test_every_status_is_a_response(self) -> None:
        """A redirect or an error of the receiver is returned, neither followed nor raised."""
        statuses = [200, 204, 302, 400, 410, 429, 500, 503]
        transport, endpoint = self.prepare([Response(status=status) for status in statuses])

        seen = [transport.send(self.request(endpoint)).status for _ in statuses]

        assert seen == statuses
        assert len(self.received()) == len(statuses)
        transport.close()

    def test_retry_after_is_kept_under_a_lower_case_name(self) -> None:
        """The retry policy finds the header whatever its case was."""
        transport, endpoint = self.prepare([Response(status=503, headers={"Retry-After": "7"})])

        response = transport.send(self.request(endpoint))

        assert response.headers["retry-after"] == "7"
        transport.close()

    def test_at_most_sixteen_kibibytes_of_a_body_are_kept(self) -> None:
        """A longer body is cut, not refused."""
        long = b"x" * (MAX_RESPONSE_BYTES + 1)
        transport, endpoint = self.prepare([Response(status=500, body=long)])

        response = transport.send(self.request(endpoint))

        assert response.status == 500
        assert response.body == long[:MAX_RESPONSE_BYTES]
        transport.close()

    def test_sends_again_after_close(self) -> None:
        """Closing drops idle connections, not the transport."""
        transport, endpoint = self.prepare([Response(status=200), Response(status=201)])
        first = transport.send(self.request(endpoint)).status
        transport.close()

        second = transport.send(self.request(endpoint)).status

        assert (first, second) == (200, 201)
        transport.close()
