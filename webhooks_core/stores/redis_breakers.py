"""Breakers that a fleet shares, in Redis.

Redis keeps a log for each endpoint: a state, and the commands that were given since, in one order, each with
its moment. One script appends and returns what the caller has not seen; `breaker.decide` makes the state of
it, in every process the same. So there is one decider, no conflict to retry, and one round trip for whatever
changes something. Invariant: a store that cannot reach Redis answers from the last known state and goes on
alone; what it decided alone is forgotten once Redis is back. Explained in docs/explanation/breaker.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from os import getpid
from threading import Lock

from webhooks_core.breaker import (
    DAY_SECONDS,
    Admit,
    BreakerPolicy,
    BreakerState,
    Cancelled,
    Command,
    Failed,
    Force,
    Step,
    Succeeded,
    Ticket,
)
from webhooks_core.errors import StoreUnavailable
from webhooks_core.stores.breaker_log import APPEND, Entry, LogReply, LogView, is_worth_keeping
from webhooks_core.stores.breaker_text import Record
from webhooks_core.stores.breakers import ClosedPath, told
from webhooks_core.stores.redis_connection import RedisConnection, Script, StoreClock

SNAPSHOT_SECONDS = 0.25
"""How old a state may be that admits or refuses without asking Redis (DESIGN §5)."""

SILENT_SECONDS = 30.0
"""How old a state may be that a rollout is judged by: as old as a snapshot (the contract §3)."""

COMPACT_FROM = 32
"""So many commands are applied to the kept state before somebody puts the state after them in its place."""

KEEP_SECONDS = 2 * DAY_SECONDS
"""An endpoint that nobody used for so long is closed again; its last opening counts no more by then."""

AT_ONCE = 100
"""So many breakers are asked for together, in two round trips and within one call's bound."""

LONGEST_SECONDS = 200 * 365 * DAY_SECONDS
"""What Redis is asked to keep at most; a gone endpoint is forced open for a hundred years."""

_SCRIPT = Script(APPEND)
_ALONE = -(10**15)  # generations made without Redis begin here, where Redis never gives one
_LEAST_SECONDS = 0.01  # with less than this left of a call's time nobody asks Redis


class _Kept:
    """One endpoint as this process knows it, and the steps that the fast path answers with."""

    __slots__ = ("admitted", "alone", "fresh_until", "lock", "offset", "path", "quiet", "view")

    def __init__(self) -> None:
        self.lock = Lock()
        self.path = ClosedPath()
        self.view = LogView()
        self.alone: BreakerState | None = None  # what came of the shared state without Redis
        self.fresh_until = float("-inf")  # monotonic
        self.offset: float | None = None  # Redis's clock less our monotonic one
        self.follow(now=0.0)

    @property
    def state(self) -> BreakerState:
        """What is known: the shared state, or what has come of it while Redis is away."""
        return self.view.state if self.alone is None else self.alone

    def follow(self, *, now: float) -> None:
        """Let the fast path go by the present state. Needs the lock."""
        self.path.renew(self.state, now=now)
        self.quiet = Step(state=self.state)
        self.admitted = Step(state=self.state, answer=self.path.ticket)


class RedisBreakerStore:
    """Keep breakers in Redis. Processes and hosts share them: one probe in the whole fleet.

    Args:
        connection: The way there.
        policy: For every endpoint of this store. It goes with each command, so that processes with different
            policies (in the middle of a deployment) still see one state.
        clock: Whose moments count.
        snapshot_seconds: See `SNAPSHOT_SECONDS`; with 0 every question asks Redis.
    """

    def __init__(
        self,
        connection: RedisConnection,
        policy: BreakerPolicy | None = None,
        *,
        clock: StoreClock = StoreClock.REDIS,
        snapshot_seconds: float = SNAPSHOT_SECONDS,
    ) -> None:
        self.policy = BreakerPolicy() if policy is None else policy
        self._redis = connection
        self._clock = clock
        self._snapshot_seconds = snapshot_seconds
        self._held: tuple[int, dict[str, _Kept]] = (getpid(), {})
        self._numbers = count(_ALONE)

    def apply(self, endpoint_id: str, command: Command, *, now: float, jitter_value: float = 0.0) -> Step:
        """Apply *command*; see `BreakerStore`. On the fast path the step's state is that of the last
        change.
        """
        kept = self._endpoint(endpoint_id)
        ticket = kept.path.ticket
        if ticket is not None:
            tick = self._redis.monotonic()
            if isinstance(command, Admit) and tick < kept.fresh_until:
                return kept.admitted
            if isinstance(command, Succeeded) and command.count == 1 and command.ticket is ticket:
                moment = self._moment(kept, now=now, tick=tick)
                if kept.path.count(ticket, moment):
                    return kept.quiet
        record = Record(command=command, policy=self.policy, jitter_value=jitter_value)
        with kept.lock:
            # Counted from here: where Redis is away the thread before us has noticed, and nobody tries.
            begun = self._redis.monotonic()
            step = self._applied(endpoint_id, kept, record, now=now, begun=begun)
            return told(step, ahead=self._ahead(kept, now=now))

    def state(self, endpoint_id: str, *, now: float) -> BreakerState:
        """Return the state of one breaker: what the fleet has told, and every success of our own."""
        kept = self._endpoint(endpoint_id)
        with kept.lock:
            self._tell(endpoint_id, kept, self._waiting(kept), now=now)
            return told(Step(state=kept.state), ahead=self._ahead(kept, now=now)).state

    def seen(self, endpoint_ids: Sequence[str], *, now: float) -> dict[str, BreakerState]:
        """Return the state of each; without those of which Redis told nothing for `SILENT_SECONDS`."""
        for first in range(0, len(endpoint_ids), AT_ONCE):
            self._hear(endpoint_ids[first : first + AT_ONCE], now=now)
        oldest = self._redis.monotonic() - SILENT_SECONDS
        found = {}
        for endpoint_id in endpoint_ids:
            kept = self._endpoint(endpoint_id)
            if kept.fresh_until - self._snapshot_seconds >= oldest:
                found[endpoint_id] = told(Step(state=kept.state), ahead=self._ahead(kept, now=now)).state
        return found

    def _hear(self, endpoint_ids: Sequence[str], *, now: float) -> None:
        """See what was told of these endpoints; what waits here is told one by one, as `state` does."""
        known = [(each, self._endpoint(each), self._endpoint(each).view) for each in endpoint_ids]
        calls = [
            (
                self._redis.key("breaker", endpoint_id),
                view.arguments((), keep_seconds=KEEP_SECONDS, compact_from=COMPACT_FROM, lost=None),
            )
            for endpoint_id, _, view in known
        ]
        try:
            replies = self._redis.run_each(_SCRIPT, calls)
        except StoreUnavailable:
            return
        for (endpoint_id, kept, view), answer in zip(known, replies, strict=True):
            with suppress(ValueError):
                reply = LogReply.parse(answer)
                with kept.lock:
                    waiting = self._waiting(kept)
                    if waiting or view.birth not in ("", reply.birth):  # Redis has lost what is known here
                        self._tell(endpoint_id, kept, waiting, now=now)
                    elif kept.view is view:  # otherwise a thread beside us has seen more meanwhile
                        self._follow(kept, view.after(reply)[0], told_at=reply.now, now=now)

    def _tell(self, endpoint_id: str, kept: _Kept, waiting: Sequence[Entry], *, now: float) -> None:
        """Tell Redis what waits, and see what others have told it. Needs the lock."""
        begun = self._redis.monotonic()
        if self._exchange(endpoint_id, kept, waiting, now=now, begun=begun) is None:
            self._alone(kept, waiting, now=now)

    def _applied(self, endpoint_id: str, kept: _Kept, record: Record, *, now: float, begun: float) -> Step:
        """Take *record* to the log where it can matter there; answer from what is known where it cannot."""
        waiting = self._waiting(kept)
        tick = self._redis.monotonic()
        own = Entry(record=record, moment=now if self._clock is StoreClock.CALLER else None)
        asks = isinstance(record.command, Admit) and tick >= kept.fresh_until
        steps: list[Step] | None = []
        if _matters(kept.state, record, now=self._moment(kept, now=now, tick=tick)):
            steps = self._exchange(endpoint_id, kept, [*waiting, own], now=now, begun=begun)
            waiting = [] if steps is not None else waiting
        elif (waiting or asks) and (
            self._exchange(endpoint_id, kept, waiting, now=now, begun=begun) is not None
        ):
            waiting = []
            if _matters(kept.state, record, now=self._moment(kept, now=now, tick=self._redis.monotonic())):
                steps = self._exchange(endpoint_id, kept, [own], now=now, begun=begun)
        step = steps[-1] if steps else self._alone(kept, [*waiting, own], now=now)
        if isinstance(record.command, Admit) and kept.path.ticket is not None and not step.changes:
            return kept.admitted  # its very ticket, by which the fast path knows the success
        return step

    def _waiting(self, kept: _Kept) -> list[Entry]:
        """Return the successes that were counted and not told yet, as one record of their second."""
        successes = kept.path.taken()
        if not successes:
            return []
        told = Succeeded(ticket=Ticket(generation=kept.state.generation), count=successes)
        return [Entry(record=Record(command=told, policy=self.policy), moment=kept.path.begins)]

    def _exchange(
        self, endpoint_id: str, kept: _Kept, entries: Sequence[Entry], *, now: float, begun: float
    ) -> list[Step] | None:
        """Append *entries* and see what others have; None where Redis is away. Needs the lock."""
        known, lost = kept.view, None
        for _ in range(2):  # twice only where Redis has lost the log
            reply = self._ask(endpoint_id, known, entries, lost=lost, begun=begun)
            if reply is None:
                return None
            accepted = known.birth in ("", reply.birth)
            try:
                known, steps = known.after(reply)
            except ValueError:  # written by a newer release, or by hand: we go on alone until it is compacted
                return None
            if accepted:
                self._follow(kept, known, told_at=reply.now, now=now)
                return steps[len(steps) - len(entries) :]
            lost = kept.state if is_worth_keeping(kept.state) else None
        return None

    def _follow(self, kept: _Kept, view: LogView, *, told_at: float, now: float) -> None:
        """Go by *view*, as Redis told it at *told_at* of its clock. Needs the lock."""
        tick = self._redis.monotonic()
        kept.view, kept.alone = view, None
        kept.offset, kept.fresh_until = told_at - tick, tick + self._snapshot_seconds
        kept.follow(now=self._moment(kept, now=now, tick=tick))

    def _ask(
        self,
        endpoint_id: str,
        known: LogView,
        entries: Sequence[Entry],
        *,
        lost: BreakerState | None,
        begun: float,
    ) -> LogReply | None:
        left = self._redis.call_seconds - (self._redis.monotonic() - begun)
        if left < _LEAST_SECONDS:
            return None
        arguments = known.arguments(
            entries, keep_seconds=_keep_seconds(entries), compact_from=COMPACT_FROM, lost=lost
        )
        key = self._redis.key("breaker", endpoint_id)
        try:
            return LogReply.parse(self._redis.run(_SCRIPT, [key], arguments, seconds=left))
        except (StoreUnavailable, ValueError):
            return None

    def _alone(self, kept: _Kept, entries: Sequence[Entry], *, now: float) -> Step:
        """Apply *entries* to what is known, without Redis; return the last one's step. Needs the lock."""
        moment = self._moment(kept, now=now, tick=self._redis.monotonic())
        step = Step(state=kept.state)
        for entry in entries:
            before = kept.state
            step = entry.record.applied(before, now=moment if entry.moment is None else entry.moment)
            if step.changes:
                step = _renumbered(step, next(self._numbers))
            if step.state is not before:
                kept.alone = step.state
        kept.follow(now=moment)
        return step

    def _moment(self, kept: _Kept, *, now: float, tick: float) -> float:
        """Return the moment by the store's clock, as well as it is known here; never ahead of it."""
        if self._clock is StoreClock.CALLER or kept.offset is None:
            return now
        return tick + kept.offset

    def _ahead(self, kept: _Kept, *, now: float) -> float:
        """Return the store's clock minus the caller's."""
        return self._moment(kept, now=now, tick=self._redis.monotonic()) - now

    def _endpoint(self, endpoint_id: str) -> _Kept:
        pid, endpoints = self._held
        if pid != getpid():  # after a fork: locks may be held by threads that are not here
            endpoints = {}
            self._held = (getpid(), endpoints)
        return endpoints.get(endpoint_id) or endpoints.setdefault(endpoint_id, _Kept())


def _matters(state: BreakerState, record: Record, *, now: float) -> bool:
    """Return whether *record* can change what the fleet knows; *state* may be behind, never ahead."""
    command = record.command
    if isinstance(command, Admit):
        return bool(record.applied(state, now=now).changes)
    if isinstance(command, Cancelled):
        return command.ticket.is_probe and command.ticket.generation >= state.generation
    if isinstance(command, Succeeded | Failed):
        return command.ticket.generation >= state.generation
    return True


def _keep_seconds(entries: Sequence[Entry]) -> float:
    """Return how long the log must live: a person's word outlives every pause."""
    words = [entry.record.command for entry in entries]
    until = max((word.until for word in words if isinstance(word, Force)), default=0.0)
    return min(KEEP_SECONDS + until, LONGEST_SECONDS)  # from now on, so it is more than enough


def _renumbered(step: Step, generation: int) -> Step:
    """Give a change that was decided alone a generation that the shared log never reaches."""
    answer = replace(step.answer, generation=generation) if isinstance(step.answer, Ticket) else step.answer
    return replace(step, state=replace(step.state, generation=generation), answer=answer)
