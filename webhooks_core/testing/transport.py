"""`FakeTransport`: a transport that follows a script and opens no socket.

For tests. Invariant: every request that was sent is kept, in order, whatever the script made of it. It passes
`TransportContract`. Explained in docs/how-to/test-code-that-sends-webhooks.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock

from webhooks_core.transport.base import MAX_RESPONSE_BYTES, Request, Response

Answer = int | Response | BaseException | Callable[[Request], Response]


class FakeTransport:
    """Answer requests by a script.

    Args:
        script: One entry for each request: a status, a `Response`, an exception to raise, or a function of
            the request.
        then: The answer to every request after the script's end.
    """

    def __init__(self, script: Iterable[Answer] = (), *, then: Answer = 200) -> None:
        self._script = iter(script)
        self._then = then
        self._lock = Lock()
        self.sent: list[Request] = []
        self.closed = False

    def send(self, request: Request) -> Response:
        """Keep *request* and give the script's next answer."""
        with self._lock:
            self.sent.append(request)
            answer = next(self._script, self._then)
        if isinstance(answer, BaseException):
            raise answer
        response = _response(answer, request)
        return Response(
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=response.body[:MAX_RESPONSE_BYTES],
            elapsed_seconds=response.elapsed_seconds,
            is_repeat=response.is_repeat,
        )

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def _response(answer: int | Response | Callable[[Request], Response], request: Request) -> Response:
    if isinstance(answer, Response):
        return answer
    return Response(status=answer) if isinstance(answer, int) else answer(request)
