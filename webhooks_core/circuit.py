"""`CircuitBreaker`: one endpoint's breaker around any call, for code that does not go through `Sender`.

A thin service: it asks the store for a ticket, runs the call, and hands the ticket back. Invariant: every
ticket is handed back exactly once, whatever the call does; an interrupt gives it back unused. Explained in
docs/how-to/tune-the-breaker.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from secrets import SystemRandom  # noqa: TID251 - the default of `rng`, as for every service
from types import TracebackType
from typing import ParamSpec, TypeVar

from webhooks_core.breaker import Admit, Cancelled, Command, Failed, Refused, Step, Succeeded, Ticket, facts
from webhooks_core.errors import BreakerOpen
from webhooks_core.events import Observer, emit
from webhooks_core.stores.breakers import BreakerStore, ClosedPath, MemoryBreakerStore

CHANCE = SystemRandom().random

P = ParamSpec("P")
R = TypeVar("R")


class CircuitBreaker:
    """Call something only while its endpoint is not known to be down.

    Args:
        endpoint_id: Which breaker of the store; also the name in log lines.
        store: Where it is kept; a store of its own in this process when left out.
        fails_on: Exceptions that speak against the endpoint. Any other gives the ticket back.
        observer: Told of every change of state.
        clock: Epoch seconds.
        rng: Chance in [0, 1).
    """

    def __init__(
        self,
        endpoint_id: str = "default",
        store: BreakerStore | None = None,
        *,
        fails_on: tuple[type[Exception], ...] = (Exception,),
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - a service's default
        rng: Callable[[], float] = CHANCE,
    ) -> None:
        self.endpoint_id = endpoint_id
        store = MemoryBreakerStore() if store is None else store
        self.store = store
        self._fails_on = fails_on
        self._observer = observer
        self._clock = clock
        self._rng = rng
        # A path without a ticket is never taken: every call goes through `apply`.
        self._path = store.closed_path(endpoint_id) if isinstance(store, MemoryBreakerStore) else ClosedPath()

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return `function(*args, **kwargs)`.

        Raises:
            BreakerOpen: The breaker refuses; *function* was not called.
        """
        path = self._path
        ticket = path.ticket or self.admit()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            self.ended(ticket, error)
            raise
        now = self._clock()
        if ticket is path.ticket and path.begins <= now < path.ends:  # `path.count`, without its frame
            path.tick()
        else:
            self._apply(Succeeded(ticket=ticket))
        return result

    def admitted(self) -> Admitted:
        """Return a context manager for one call: `with breaker.admitted(): …`.

        Entering it raises `BreakerOpen` where the breaker refuses.
        """
        return Admitted(self)

    def admit(self) -> Ticket:
        """Return a ticket; hand it back with `ended`, exactly once.

        Raises:
            BreakerOpen: The breaker refuses.
        """
        ticket = self._path.ticket
        if ticket is not None:
            return ticket
        answer = self._apply(Admit()).answer
        if isinstance(answer, Ticket):
            return answer
        assert isinstance(answer, Refused)
        raise BreakerOpen(self.endpoint_id, answer.retry_at)

    def ended(self, ticket: Ticket, error: BaseException | None = None) -> None:
        """Hand *ticket* back: None is a success, an error of `fails_on` a failure, any other says nothing."""
        if error is None:
            if not self._path.count(ticket, self._clock()):
                self._apply(Succeeded(ticket=ticket))
        elif isinstance(error, self._fails_on):
            self._apply(Failed(ticket=ticket))
        else:
            self._apply(Cancelled(ticket=ticket))

    def _apply(self, command: Command) -> Step:
        now = self._clock()
        jitter_value = self._rng() if isinstance(command, Failed) else 0.0
        step = self.store.apply(self.endpoint_id, command, now=now, jitter_value=jitter_value)
        for fact in facts(self.endpoint_id, self.store.policy, command, step, now=now):
            emit(self._observer, fact)
        return step


class Admitted:
    """One call inside a breaker."""

    __slots__ = ("_breaker", "_ticket")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._ticket: Ticket | None = None

    def __enter__(self) -> None:
        self._ticket = self._breaker.admit()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            self._breaker.ended(ticket, error)
