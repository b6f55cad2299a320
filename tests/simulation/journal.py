"""Suspend real, synchronous code without a thread: run it to the wire, throw it away, run it again later.

`Sender.attempt` asks its ports (clock, permit, breaker, transport) and returns. In the simulation a request
takes virtual time, in which other workers must go on. So the first run ends with `Suspended` where the
transport is asked to send, and all answers of the ports until there are kept; when the response is there, the
attempt runs again from its beginning, is given the same answers, gets the response from the transport, and
goes on for real. Invariant: what a port does, it does once; the code under test is not changed in any way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from webhooks_core.breaker import Ticket
from webhooks_core.transport.base import Request, Response

T = TypeVar("T")


class Suspended(BaseException):
    """The attempt waits for its response. No `except Exception` may swallow it."""


class Crashed(BaseException):
    """The process dies here."""


class Diverged(AssertionError):
    """The second run asked other questions than the first: the code under test is not deterministic."""


class Journal:
    """The answers that one attempt got, in order.

    `request` is what it sent, `result` what came back, `ticket` what its breaker gave and did not get back.
    """

    __slots__ = ("_answers", "_place", "is_void", "request", "result", "ticket")

    def __init__(self) -> None:
        self._answers: list[tuple[str, object]] = []
        self._place = 0
        self.is_void = False
        self.request: Request | None = None
        self.result: Response | Exception | None = None
        self.ticket: Ticket | None = None

    @property
    def is_replaying(self) -> bool:
        """Whether the answers of the first run are not used up yet."""
        return self._place < len(self._answers)

    def again(self, result: Response | Exception) -> None:
        """Begin the second run, in which the transport gives *result*."""
        self._place, self.is_void, self.result = 0, False, result

    def ask(self, name: str, live: Callable[[], T]) -> T:
        """Return the answer of the first run where there is one, else ask for real and keep the answer."""
        if self._place < len(self._answers):
            asked, answer = self._answers[self._place]
            if asked != name:
                raise Diverged(f"asked {name}, the first time {asked}")
            self._place += 1
            return answer  # type: ignore[return-value]
        answer = live()
        self._answers.append((name, answer))
        self._place += 1
        return answer

    def send(self, request: Request) -> Response:
        """Suspend the first run; answer the second one."""
        if self.result is None:
            self.request = request
            self.is_void = True
            raise Suspended
        if isinstance(self.result, Exception):
            raise self.result
        return self.result
