"""Bugs that somebody could write, each as a patch: the simulation must find every one of them.

A bug is a context manager that puts one wrong function into the product while it is open.
`python -m tests.simulation --bug "lease ignored"` runs the seeds with it. Invariant: nothing stays patched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Any

from tests.simulation.stores import StoreDown
from webhooks_core import breaker, delivery, outcome
from webhooks_core.breaker import Cancelled, Step, Ticket
from webhooks_core.delivery import Permit, PermitVerdict, Sender
from webhooks_core.outbox import base, memory, states
from webhooks_core.outbox.lease import LeasePolicy
from webhooks_core.outbox.memory import MemoryOutbox
from webhooks_core.outbox.shelf import Shelf, _is_stale
from webhooks_core.outbox.states import Cause, State
from webhooks_core.rate import Grant
from webhooks_core.retry import RetryAt, RetryPolicy
from webhooks_core.settlement import AttemptRecord, Delivered, Held, Retrying, Waiting
from webhooks_core.stores import rates
from webhooks_core.stores.replay import MemoryReplayStore
from webhooks_core.worker import claiming, service
from webhooks_core.worker.errands import Errands
from webhooks_core.worker.link import Link
from webhooks_core.worker.plan import Admission, Phase

Bug = Callable[[], AbstractContextManager[None]]
BUGS: dict[str, Bug] = {}


def bugs(store: str) -> dict[str, Bug]:
    """Return the bugs that can be put in where rows are kept in *store*."""
    if store == "memory":
        return BUGS
    from tests.simulation.teeth_orm import ORM_BUGS

    return ORM_BUGS


@contextmanager
def patched(owner: object, name: str, value: object) -> Iterator[None]:
    """Have *value* in the place of one attribute."""
    before = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def bug(name: str, owner: object, attribute: str) -> Callable[[Callable[[Any], object]], None]:
    """Register the wrong value of an attribute; the decorated function makes it from the right one."""

    def register(wrong: Callable[[Any], object]) -> None:
        BUGS[name] = lambda: patched(owner, attribute, wrong(vars(owner)[attribute]))

    return register


# --- leases and tokens -------------------------------------------------------------------------------------


@bug("lease ignored", MemoryOutbox, "_claimed")
def _(right: Any) -> object:
    """A claimed row is due again at once."""

    def claimed(self: Any, row: Any, worker: str, *, until: float) -> object:
        claim = right(self, row, worker, until=until)
        self._shelf.look_at(row, self.now())
        return claim

    return claimed


@bug("token not compared", MemoryOutbox, "_held_by")
def _(right: Any) -> object:
    """Whoever settles a claimed row is believed."""

    def held_by(self: Any, claimed: Any) -> object:
        row = self._ours(claimed.delivery.webhook_id)
        return row if row is not None and row.state is State.CLAIMED else None

    return held_by


@bug("worker id reused after a restart", MemoryOutbox, "_claimed")
def _(right: Any) -> object:
    """The token is made of the worker's name, which its successor has too."""

    def claimed(self: Any, row: Any, worker: str, *, until: float) -> object:
        claim = right(self, row, worker, until=until)
        row.token = f"{worker}-{row.number}"
        return replace(claim, token=row.token)

    return claimed


@bug("attempt under a lease that is nearly over", LeasePolicy, "may_start")
def _(right: Any) -> object:
    """Half of the lease is not asked for."""
    return lambda self, until, *, now: True


@bug("retry lost on a crash", Shelf, "promote")
def _(right: Any) -> object:
    """A row whose lease ran out is not given to anybody else."""

    def promote(self: Any, now: float) -> None:
        for place in sorted(self._scheduled):
            if place[0] <= now and not _is_stale(place) and place[-1].state is State.CLAIMED:
                self.take_out(place[-1])
        right(self, now)

    return promote


# --- order, fairness, due moments --------------------------------------------------------------------------


@bug("order not kept", Shelf, "_is_behind")
def _(right: Any) -> object:
    """An ordering key means nothing."""
    return lambda self, row: False


@bug("held does not block its key", Shelf, "_is_behind")
def _(right: Any) -> object:
    """A later row goes while an earlier one is held."""

    def is_behind(self: Any, row: Any) -> bool:
        if row.key is None:
            return False
        others = [
            other for other in self._keys[row.key] if other is not row and other.state is not State.HELD
        ]
        return any(other.number < row.number or other.is_on_its_way for other in others)

    return is_behind


@bug("parked row forgotten", Shelf, "moved")
def _(right: Any) -> object:
    """Nobody looks at the next row of a key when one has ended."""

    def moved(self: Any, row: Any, *, now: float) -> None:
        if row.key is not None and row.state in states.ENDED:
            self._keys[row.key].remove(row)

    return moved


@bug("two rows of a key wait for each other", Shelf, "_keep_going")
def _(right: Any) -> object:
    """An older row that was sent again and a younger one whose lease ran out: nobody looks at either."""
    return lambda self, row, *, now: None


@bug("sweep starves later rows", Shelf, "promote")
def _(right: Any) -> object:
    """The look at due rows ends at the first one that cannot go, which then stands in front again."""

    def promote(self: Any, now: float) -> None:
        for place in sorted(self._scheduled):
            if place[0] > now or _is_stale(place):
                continue
            row = place[-1]
            if row.state is not State.CLAIMED and self._is_behind(row):
                return
            self.take_out(row)
            if row.state is State.CLAIMED:
                row.go(Cause.LEASE_RAN_OUT)
            self._make_ready(row)

    return promote


@bug("retry at once", base, "after")
def _(right: Any) -> object:
    """The planned moment of a retry is not kept."""

    def after(settlement: Any, *, skew_seconds: float = 0.0) -> object:
        what = right(settlement, skew_seconds=skew_seconds)
        return replace(what, due_at=0.0) if isinstance(settlement, Retrying) else what

    return after


@bug("due moments by the worker's clock", base, "after")
def _(right: Any) -> object:
    """What one machine plans is read by another one's clock."""
    return lambda settlement, *, skew_seconds=0.0: right(settlement)


@bug("attempt number not kept", MemoryOutbox, "_settle")
def _(right: Any) -> object:
    """The row holds what it held before the attempt."""

    def settle(self: Any, row: Any, settled: Any, *, now: float) -> None:
        before = row.delivery
        right(self, row, settled, now=now)
        row.delivery = before

    return settle


@bug("rows of another environment are sent", MemoryOutbox, "__init__")
def _(right: Any) -> object:
    """Nobody looks at the stamp."""

    def init(self: Any, **kwargs: Any) -> None:
        right(self, **{**kwargs, "environment": "all"})

    return init


# --- holds, people, settling -------------------------------------------------------------------------------


@bug("hold forgotten", Sender, "_asked")
def _(right: Any) -> object:
    """The permit is asked, and its answer not looked at."""

    def asked(self: Any, about: Any) -> Permit:
        right(self, about)
        return Permit(verdict=PermitVerdict.SEND)

    return asked


@bug("a permit that fails says yes", Sender, "_asked")
def _(right: Any) -> object:
    """What cannot be learnt is taken for a yes."""

    def asked(self: Any, about: Any) -> Permit:
        try:
            return self._permit(about)
        except Exception:
            return Permit(verdict=PermitVerdict.SEND)

    return asked


@bug("held is dropped", base, "after")
def _(right: Any) -> object:
    """What the flag stopped is lost, not kept."""

    def after(settlement: Any, *, skew_seconds: float = 0.0) -> object:
        what = right(settlement, skew_seconds=skew_seconds)
        return replace(what, due_at=math.inf, cause=Cause.WAIT) if isinstance(settlement, Held) else what

    return after


@bug("settle before send", service.Worker, "attempt")
def _(right: Any) -> object:
    """The row is done as soon as somebody has it, as with early acknowledgement."""

    def attempt(self: Any, job: Any) -> object:
        about = job.claimed.delivery
        record = AttemptRecord(
            attempt=about.attempt, outcome=outcome.Outcome.SUCCESS, started_at=0.0, elapsed_seconds=0.0
        )
        early = Delivered(delivery=about, record=record, latency_seconds=0.0, elapsed_seconds=0.0)
        with suppress(StoreDown):
            self._errands._outbox.settle([base.Settled(claimed=job.claimed, settlement=early)])
        return right(self, job)

    return attempt


@bug("resend with a new id", memory, "resent")
def _(right: Any) -> object:
    """A person's resend is a new webhook to the receiver."""
    return lambda about, *, at: replace(right(about, at=at), webhook_id="ffff" + about.webhook_id[4:])


@bug("a settlement that fails is thrown away, lease and all", Errands, "settle")
def _(right: Any) -> object:
    """The worker takes a failed settle for done, and keeps the row under its lease for ever."""

    def settle(self: Any) -> float:
        count = len(self._desk.unsettled)
        due_at: float = right(self)
        if self.link.is_down and len(self._desk.unsettled) == count:
            self._desk.unsettled.clear()
        return due_at

    return settle


# --- the attempt -------------------------------------------------------------------------------------------


@bug("a resend is as old as its event", memory, "resent")
def _(right: Any) -> object:
    """What a person sends again dies at once where its breaker is open and the event is old."""
    return lambda about, *, at: replace(right(about, at=at), waits_since=None)


@bug("nobody knows that it was sent", MemoryOutbox, "_claimed")
def _(right: Any) -> object:
    """After a crash a receiver that knows the id is taken for one that rejects signatures."""

    def claimed(self: Any, row: Any, worker: str, *, until: float) -> object:
        claim = right(self, row, worker, until=until)
        return replace(claim, delivery=replace(claim.delivery, sent_before=False))

    return claimed


@bug("timestamp not renewed", delivery, "sign")
def _(right: Any) -> object:
    """A retry is signed with the moment of the first attempt."""
    first: dict[str, float] = {}

    def sign(body: bytes, **named: Any) -> object:
        named["now"] = first.setdefault(named["webhook_id"], named["now"])
        return right(body, **named)

    return sign


@bug("body written anew", delivery, "Request")
def _(right: Any) -> object:
    """What is sent are other bytes than those stored."""
    return lambda **named: right(**{**named, "body": named["body"].replace(b":", b": ")})


@bug("a redirect is a success", delivery.outcome, "is_success")
def _(right: Any) -> object:
    """A 3xx counts as delivered."""
    return lambda of: of in (outcome.Outcome.SUCCESS, outcome.Outcome.REDIRECT)


@bug("never given up", RetryPolicy, "next")
def _(right: Any) -> object:
    """The number of attempts is not looked at."""

    def following(self: Any, of: Any, *, attempt: int, now: float, **named: Any) -> object:
        decision = right(self, of, attempt=attempt, now=now, **named)
        if attempt >= self.max_attempts and outcome.is_retried(of):
            return RetryAt(when=now + 2, wait_seconds=2, reason="again")
        return decision

    return following


# --- breakers and rates ------------------------------------------------------------------------------------


@bug("stale breaker result counted", breaker, "_counts")
def _(right: Any) -> object:
    """A result of before the last change of state counts."""
    return lambda state, ticket: not ticket.is_probe or right(state, ticket)


@bug("probe not given back", Sender, "_report")
def _(right: Any) -> object:
    """A probe whose attempt says nothing stays out."""

    def report(self: Any, endpoint: Any, command: Any, *, now: float) -> Step:
        if isinstance(command, Cancelled) and command.ticket.is_probe:
            return Step(state=self._breakers.state(endpoint.id, now=now))
        return right(self, endpoint, command, now=now)

    return report


@bug("two probes at a time", breaker, "_why_a_probe")
def _(right: Any) -> object:
    """A half-open breaker lets everybody through."""

    def why(state: Any, *, now: float) -> object:
        half_open = state.state is breaker.State.HALF_OPEN
        return breaker.Cause.PROBE_LOST if half_open else right(state, now=now)

    return why


@bug("an open breaker is not asked", Sender, "attempt")
def _(right: Any) -> object:
    """What the breaker refused is sent all the same."""

    def attempt(self: Any, about: Any, endpoint: Any) -> object:
        settlement = right(self, about, endpoint)
        if isinstance(settlement, Waiting) and settlement.reason == "circuit open":
            return self._sent(about, endpoint, Ticket(generation=-1), now=self.clock())
        return settlement

    return attempt


@bug("an open breaker is never probed", claiming, "admission")
def _(right: Any) -> object:
    """Nothing is claimed for a breaker that is not closed."""

    def admission(policy: Any, state: Any, *, now: float) -> Admission:
        return Admission(most=None if state.state is breaker.State.CLOSED else 0)

    return admission


@bug("rate cap forgotten", rates, "take")
def _(right: Any) -> object:
    """Everybody gets what he wants."""

    def take(policy: Any, state: Any, wanted: int, *, now: float) -> Grant:
        return replace(right(policy, state, wanted, now=now), count=wanted)

    return take


# --- the worker --------------------------------------------------------------------------------------------


@bug("an outbox that failed is given up", Link, "_failed")
def _(right: Any) -> object:
    """After one failure nothing is asked of the outbox any more."""

    def failed(self: Any, operation: str, error: Exception) -> None:
        right(self, operation, error)
        self.retry_at = math.inf

    return failed


@bug("no second look", Errands, "_look_again_at")
def _(right: Any) -> object:
    """A worker that found nothing waits for a hint."""
    return lambda self, wishes, caps, *, now: math.inf


@bug("a job that came back unbegun is lost", service.Worker, "came_back")
def _(right: Any) -> object:
    """What was handed out and could not be begun stays claimed, and renewed, for ever."""

    def came_back(self: Any, job: Any, settled: Any) -> None:
        if settled is not None or self.phase is not Phase.RUNNING:
            right(self, job, settled)

    return came_back


@bug("an endless loop on an empty outbox", Errands, "_look_again_at")
def _(right: Any) -> object:
    """Nothing to do is done again at once."""
    return lambda self, wishes, caps, *, now: now


# --- the receiver ------------------------------------------------------------------------------------------


@bug("receiver forgets what it has done", MemoryReplayStore, "done")
def _(right: Any) -> object:
    """The claim is ended, and the id not remembered."""
    return lambda self, claim, *, now: self.give_back(claim, now=now)
