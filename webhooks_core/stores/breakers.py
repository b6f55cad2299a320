"""Where breakers are kept: the port `BreakerStore`, and the store in this process's memory.

A store keeps one `BreakerState` for each endpoint and applies commands to it one at a time; what a command
does is `breaker.decide`'s business alone. Invariant: between two changes of state the success of a closed
breaker costs no more than counting it (`ClosedPath`); it reaches the state at most once a second, and
before any other command is applied. Explained in docs/explanation/breaker.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from threading import Lock
from typing import Protocol, runtime_checkable

from webhooks_core.breaker import (
    Admit,
    BreakerPolicy,
    BreakerState,
    Command,
    Refused,
    State,
    Step,
    Succeeded,
    Ticket,
    decide,
)


class BreakerStore(Protocol):
    """Keep breakers; one suite, `webhooks_core.testing.contracts.BreakerStoreContract`, holds all stores
    alike.
    """

    @property
    def policy(self) -> BreakerPolicy:
        """The policy that `apply` decides by."""
        ...

    def apply(self, endpoint_id: str, command: Command, *, now: float, jitter_value: float = 0.0) -> Step:
        """Apply *command* to one endpoint's breaker, as one atomic step.

        Never raises for a store that is away: the last known state answers, within 100 ms (contract §7).

        Args:
            endpoint_id: Which breaker; one that was never seen is closed.
            command: See `webhooks_core.breaker`.
            now: Epoch seconds; a store with a clock of its own goes by that one, and tells `retry_at` by
                this one, so that a caller whose clock is off neither asks too early, again and again, nor
                too late.
            jitter_value: Chance in [0, 1).
        """
        ...

    def state(self, endpoint_id: str, *, now: float) -> BreakerState:
        """Return what is known of one breaker, all successes that were told included."""
        ...


@runtime_checkable
class RemoteBreakers(Protocol):
    """Answer by the store itself, for whoever has no use for a guess; one that may be away can do so."""

    def seen(self, endpoint_ids: Sequence[str], *, now: float) -> Mapping[str, BreakerState]:
        """Return what the store tells of each; without those of which it has told nothing for too long."""
        ...


def told(step: Step, *, ahead: float) -> Step:
    """Return *step* as a caller is told it whose clock the store's is *ahead* of, by so many seconds."""
    if not ahead:
        return step
    answer = step.answer
    if isinstance(answer, Refused):
        answer = Refused(retry_at=answer.retry_at - ahead)
    state = replace(step.state, retry_at=step.state.retry_at - ahead)
    return replace(step, state=state, answer=answer)


class ClosedPath:
    """The fast path of one endpoint in one process: a ticket while the breaker is closed, and a count.

    `ticket` is None unless the breaker is closed and nobody forces it. Reading it and counting take no lock:
    `tick` is one step of a C counter, which threads cannot tear. A success that races with the end of its
    second is counted in the next one; one that races with an opening may be forgotten. Neither can open a
    breaker.
    """

    __slots__ = ("_told", "begins", "ends", "tick", "ticket")

    def __init__(self) -> None:
        self.ticket: Ticket | None = None
        self.begins = 0.0
        self.ends = 0.0
        self.tick = count(1).__next__
        self._told = 0

    def count(self, ticket: Ticket, now: float) -> bool:
        """Count a success of *ticket* at *now*; False where `apply` must (new second or state)."""
        if ticket is self.ticket and self.begins <= now < self.ends:
            self.tick()
            return True
        return False

    def taken(self) -> int:
        """Return how many successes were counted and not told yet; now they are. Needs the endpoint's
        lock.
        """
        ticks = self.tick()  # one of them is this one
        waiting, self._told = ticks - 1 - self._told, ticks
        return waiting

    def renew(self, state: BreakerState, *, now: float) -> None:
        """Follow *state*, and count in the second of *now* from here on. Needs the endpoint's lock."""
        self.begins = float(math.floor(now))
        self.ends = self.begins + 1.0
        if state.state is not State.CLOSED or state.forced is not None:
            self.ticket = None
        elif self.ticket is None or self.ticket.generation != state.generation:
            self.ticket = Ticket(generation=state.generation)


class _Kept:
    """One endpoint: its state, and the steps that the fast path answers with (the same objects each time)."""

    __slots__ = ("admitted", "lock", "path", "quiet", "state")

    def __init__(self) -> None:
        self.lock = Lock()
        self.path = ClosedPath()
        self.put(BreakerState(), now=0.0)

    def put(self, state: BreakerState, *, now: float) -> None:
        self.state = state
        self.path.renew(state, now=now)
        self.quiet = Step(state=state)
        self.admitted = Step(state=state, answer=self.path.ticket)


class MemoryBreakerStore:
    """Keep breakers in this process. Threads share them, processes do not: with N workers, N probes.

    Args:
        policy: For every endpoint of this store.
    """

    def __init__(self, policy: BreakerPolicy | None = None) -> None:
        self.policy = BreakerPolicy() if policy is None else policy
        self._kept: dict[str, _Kept] = {}
        self._lock = Lock()

    def apply(self, endpoint_id: str, command: Command, *, now: float, jitter_value: float = 0.0) -> Step:
        """Apply *command*; see `BreakerStore`. On the fast path the step's state is that of the last
        change.
        """
        kept = self._kept.get(endpoint_id) or self._new(endpoint_id)
        if kept.path.ticket is not None:
            if isinstance(command, Admit):
                return kept.admitted
            if isinstance(command, Succeeded) and command.count == 1 and kept.path.count(command.ticket, now):
                return kept.quiet
        with kept.lock:
            state = self._up_to_date(kept)
            step = decide(self.policy, state, command, now=now, jitter_value=jitter_value)
            kept.put(step.state, now=now)
            return step

    def state(self, endpoint_id: str, *, now: float) -> BreakerState:
        """Return the state of one breaker, every success included."""
        kept = self._kept.get(endpoint_id) or self._new(endpoint_id)
        with kept.lock:
            kept.put(self._up_to_date(kept), now=now)
            return kept.state

    def closed_path(self, endpoint_id: str) -> ClosedPath:
        """Return the fast path of one endpoint; it stays the same object."""
        return (self._kept.get(endpoint_id) or self._new(endpoint_id)).path

    def _new(self, endpoint_id: str) -> _Kept:
        with self._lock:
            return self._kept.setdefault(endpoint_id, _Kept())

    def _up_to_date(self, kept: _Kept) -> BreakerState:
        waiting, second = kept.path.taken(), kept.path.begins
        if not waiting:
            return kept.state
        ticket = Ticket(generation=kept.state.generation)
        return decide(self.policy, kept.state, Succeeded(ticket=ticket, count=waiting), now=second).state
