"""The wire and the receivers: what becomes of a request, and a real guarded receiver at its end.

The receiver is the product's own: `Receiver` over `Verifier` and a replay store. Invariant: a response
of 200 comes from it alone; every other answer is made here, before or after it was asked.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.simulation.faults import Faults
from tests.simulation.journal import Journal
from tests.simulation.loop import Loop
from tests.simulation.stores import Stores
from webhooks_core.endpoint import Endpoint
from webhooks_core.errors import AddressBlocked, ConnectFailed, ResponseBroken, TimedOut, TlsFailed
from webhooks_core.receiving import Receiver
from webhooks_core.transport.base import Request, Response
from webhooks_core.verifier import Verified, Verifier

RETRY_AFTERS = (
    "0", "1", "3", "30", "3600", "-5", "1e9", "soon", "", " 7 ", "99999999999999999999",
    "Wed, 21 Oct 2015 07:28:00 GMT", "Sun, 06 Nov 2094 08:49:37 GMT", "Thu, 32 Foo 2026 25:61:00 GMT",
)  # fmt: skip

Reply = Callable[[Response | Exception], None]


class HandlerBroke(Exception):
    """The application behind the receiver failed."""


class Network:
    """Carry requests. *effect* is what the receiver's handler does."""

    def __init__(
        self,
        loop: Loop,
        rng: Random,
        faults: Faults,
        endpoints: list[Endpoint],
        *,
        stores: Stores,
        effect: Callable[[str], None],
    ) -> None:
        self.faults = faults
        self._loop = loop
        self._rng = rng
        self._stores = stores
        self._effect = effect
        self.down_until: dict[str, float] = {}
        self._receivers = {
            endpoint.id: Receiver(
                Verifier(endpoint.keys), stores.replay_of(endpoint), self._handle, clock=lambda: loop.now
            )
            for endpoint in endpoints
        }

    def send(self, journal: Journal, reply: Reply) -> str:
        """Carry the request of *journal*; *reply* is called once, later. Returns its fate."""
        request = journal.request
        assert request is not None
        fate = self._fate(request.endpoint)
        there, back = 0.002 + 0.05 * self._rng.random(), 0.002 + 0.05 * self._rng.random()
        error = _ERRORS.get(fate)
        if error is not None:
            self._loop.later(there, lambda: reply(error()))
        elif fate in _ANSWERS:
            response = self._answered(fate)
            self._loop.later(there + back, lambda: reply(response))
        else:
            self._carry(request, fate, there, back, reply)
        return fate

    def _fate(self, endpoint: Endpoint) -> str:
        if self._loop.now < self.down_until.get(endpoint.id, 0.0):
            return self._rng.choice(("hang", "dns", "dns", "server_error", "blocked", "blocked"))
        return self.faults.fate(self._rng)

    def _carry(self, request: Request, fate: str, there: float, back: float, reply: Reply) -> None:
        """Bring the request to its receiver, and what it says back, unless its fate is another one."""
        timeout = request.timeout_seconds

        def arrive() -> None:
            answered(self.receive(request))

        def answered(response: Response) -> None:
            if fate in ("drop_after", "delay"):
                return
            if fate == "error_after":
                response = Response(status=502)
            outcome = ResponseBroken("cut", phase="body") if fate == "reset" else response
            self._loop.later(back, lambda: reply(outcome))

        if fate in ("drop_before", "hang"):
            self._loop.later(timeout, lambda: reply(TimedOut("nothing came", phase="headers")))
            return
        if fate in ("drop_after", "delay"):
            self._loop.later(timeout, lambda: reply(TimedOut("nothing came", phase="headers")))
        self._loop.later(there + (self._rng.random() * 40 if fate == "delay" else 0.0), arrive)
        if fate == "duplicate":
            self._loop.later(there + self._rng.random() * 5, lambda: (self.receive(request), None)[1])

    def receive(self, request: Request) -> Response:
        """Hand a request to the real receiver."""
        receiver = self._receivers[request.endpoint.id]
        answer = self._stores.received(lambda: receiver.receive(request.headers, request.body))
        for webhook_id in self._stores.effects():
            self._effect(webhook_id)
        headers = {name.lower(): value for name, value in answer.headers}
        return Response(status=answer.status, headers=headers, body=answer.body)

    def _handle(self, verified: Verified) -> None:
        if self.faults.server_error and self._rng.random() < self.faults.server_error / 4:
            raise HandlerBroke
        self._stores.acted(verified.webhook_id)

    def _answered(self, fate: str) -> Response:
        status = _ANSWERS[fate]
        if fate in ("throttle", "server_error") and self._rng.random() < 0.7:
            return Response(status=status, headers={"retry-after": self._rng.choice(RETRY_AFTERS)})
        return Response(status=status)


_ANSWERS = {"server_error": 503, "throttle": 429, "gone": 410, "redirect": 302, "client_error": 404}
_ERRORS: dict[str, Callable[[], Exception]] = {
    "dns": lambda: ConnectFailed("no such name", phase="dns"),
    "tls": lambda: TlsFailed("no trust", phase="tls"),
    "blocked": lambda: AddressBlocked("receiver.example", "private"),
}
