"""The circuit breaker of one endpoint, as a table and a pure function: `decide(policy, state, command)`.

What lives here: the arrows, and what each command makes of a state (`breaker_state.py` has the values). What
must not: a clock, a lock, a store (`stores/breakers.py` keeps states; `circuit.py` is the door for direct
use).
Invariants: at most one probe is out at a time; the result of a ticket counts only in the generation that
issued it, and every change of state (and every new probe) begins a new generation; nothing opens but a
failure or a person. Explained in docs/explanation/breaker.md.
"""

from __future__ import annotations

import math
from dataclasses import replace

from webhooks_core import events
from webhooks_core.breaker_state import (
    DAY_SECONDS,
    EXACT_FAILURES,
    NEVER_OPENS_FROM,
    OPENINGS_KEPT,
    REOPEN_JITTER,
    Admit,
    BreakerPolicy,
    BreakerState,
    Cancelled,
    Cause,
    Cell,
    Change,
    Command,
    Failed,
    Force,
    Forced,
    ForcedMode,
    Refused,
    Release,
    State,
    Step,
    Succeeded,
    Ticket,
)

__all__ = [
    "DAY_SECONDS",
    "EXACT_FAILURES",
    "NEVER_OPENS_FROM",
    "OPENINGS_KEPT",
    "REOPEN_JITTER",
    "TRANSITIONS",
    "Admit",
    "BreakerPolicy",
    "BreakerState",
    "Cancelled",
    "Cause",
    "Cell",
    "Change",
    "Command",
    "Failed",
    "Force",
    "Forced",
    "ForcedMode",
    "Refused",
    "Release",
    "State",
    "Step",
    "Succeeded",
    "Ticket",
    "decide",
    "facts",
]

# Every arrow there is. What is not in this table cannot happen, and `_move` is the only way along it.
TRANSITIONS: dict[tuple[State, Cause], State] = {
    (State.CLOSED, Cause.TOO_MANY_FAILURES): State.OPEN,
    (State.OPEN, Cause.OPEN_TIME_OVER): State.HALF_OPEN,
    (State.HALF_OPEN, Cause.PROBE_SUCCEEDED): State.CLOSED,
    (State.HALF_OPEN, Cause.PROBE_FAILED): State.OPEN,
    (State.HALF_OPEN, Cause.PROBE_LOST): State.HALF_OPEN,
    (State.HALF_OPEN, Cause.PROBE_GIVEN_BACK): State.HALF_OPEN,
    (State.CLOSED, Cause.FORCED_OPEN): State.OPEN,
    (State.OPEN, Cause.FORCED_OPEN): State.OPEN,
    (State.HALF_OPEN, Cause.FORCED_OPEN): State.OPEN,
    (State.CLOSED, Cause.FORCED_CLOSED): State.CLOSED,
    (State.OPEN, Cause.FORCED_CLOSED): State.CLOSED,
    (State.HALF_OPEN, Cause.FORCED_CLOSED): State.CLOSED,
    (State.OPEN, Cause.NEVER_OPENS): State.CLOSED,
    (State.HALF_OPEN, Cause.NEVER_OPENS): State.CLOSED,
}


def decide(
    policy: BreakerPolicy, state: BreakerState, command: Command, *, now: float, jitter_value: float = 0.0
) -> Step:
    """Apply *command* to *state*. A result whose ticket is not of the present generation changes nothing.

    Args:
        policy: When to open and for how long.
        state: What is remembered; a fresh endpoint is `BreakerState()`.
        command: Admit, a result, or a person's word.
        now: Epoch seconds, of the store's clock.
        jitter_value: Chance in [0, 1); shortens a reopening by up to a tenth.
    """
    if state.forced is not None and now >= state.forced.until:
        state = replace(state, forced=None)
    if isinstance(command, Admit):
        return _admit(policy, state, command, now=now)
    if isinstance(command, Force):
        return _force(state, command)
    if isinstance(command, Release):
        opened = _is_forced(state, ForcedMode.FORCED_OPEN)
        return Step(state=replace(state, forced=None, retry_at=now if opened else state.retry_at))
    if not _counts(state, command.ticket):
        return Step(state=state)
    if isinstance(command, Cancelled):
        return Step(state=replace(state, probe_token=None) if command.ticket.is_probe else state)
    if command.ticket.is_probe:
        return _probe_ended(policy, state, command, now=now, jitter_value=jitter_value)
    if isinstance(command, Succeeded):
        cells = _added(state.cells, Cell(second=math.floor(now), successes=command.count))
        return Step(state=replace(state, cells=_recent(policy, cells, now=now)))
    return _failed(policy, state, now=now)


def _counts(state: BreakerState, ticket: Ticket) -> bool:
    """Return whether the result of *ticket* still says something: same generation, and not told before."""
    if ticket.generation != state.generation or state.state is State.OPEN:
        return False
    if state.state is State.CLOSED:
        return not ticket.is_probe
    return ticket.is_probe and state.probe_token is not None


def _admit(policy: BreakerPolicy, state: BreakerState, command: Admit, *, now: float) -> Step:
    changes: tuple[Change, ...] = ()
    switched_off = policy.never_opens and not _is_forced(state, ForcedMode.FORCED_OPEN)
    if switched_off and state.state is not State.CLOSED:
        state, changes = _moved(state, Cause.NEVER_OPENS)
    if state.state is State.CLOSED:
        return Step(state=state, answer=Ticket(generation=state.generation), changes=changes)
    cause = _why_a_probe(state, now=now)
    if cause is not None:
        lease = max(policy.probe_lease_seconds, command.lease_seconds)
        state, changes = _moved(state, cause)
        state = replace(state, probe_token=command.token, probe_lease_seconds=lease, retry_at=now + lease)
        ticket = Ticket(generation=state.generation, is_probe=True, token=command.token)
        return Step(state=state, answer=ticket, changes=changes)
    if _is_forced(state, ForcedMode.OBSERVE_ONLY):
        return Step(state=state, answer=Ticket(generation=state.generation))
    return Step(state=state, answer=Refused(retry_at=state.retry_at))


def _why_a_probe(state: BreakerState, *, now: float) -> Cause | None:
    """Return why the one who asks now becomes the probe, or None where he does not."""
    if state.state is State.HALF_OPEN and state.probe_token is None:
        return Cause.PROBE_GIVEN_BACK
    if _is_forced(state, ForcedMode.FORCED_OPEN):
        return None
    length = state.open_for_seconds if state.state is State.OPEN else state.probe_lease_seconds
    # The second half: a wall clock that was set back must not keep an endpoint shut for as long.
    if now < state.retry_at and state.retry_at - now <= 2 * length:
        return None
    return Cause.OPEN_TIME_OVER if state.state is State.OPEN else Cause.PROBE_LOST


def _probe_ended(
    policy: BreakerPolicy,
    state: BreakerState,
    command: Succeeded | Failed,
    *,
    now: float,
    jitter_value: float,
) -> Step:
    if isinstance(command, Succeeded):
        state, changes = _moved(state, Cause.PROBE_SUCCEEDED)
        return Step(state=state, changes=changes)
    probes = state.failed_probes + 1
    length = policy.open_for(probes, jitter_value=jitter_value)
    state, changes = _moved(state, Cause.PROBE_FAILED)
    state = replace(state, failed_probes=probes, open_for_seconds=length, retry_at=now + length)
    return Step(state=state, changes=changes)


def _failed(policy: BreakerPolicy, state: BreakerState, *, now: float) -> Step:
    if policy.never_opens:
        return Step(state=state)
    state = _with_failure(policy, state, now=now)
    failures = len(state.failures) + sum(cell.failures for cell in state.cells)
    successes = sum(cell.successes for cell in state.cells)
    # "At least half of the deliveries that ended" is failures ≥ successes, without a division.
    if failures < policy.max_fails or failures < successes or _is_forced(state, ForcedMode.FORCED_CLOSED):
        return Step(state=state)
    length = policy.open_for(0, jitter_value=0.0)
    openings = tuple(at for at in state.openings if now - at <= DAY_SECONDS)[-(OPENINGS_KEPT - 1) :]
    state, changes = _moved(state, Cause.TOO_MANY_FAILURES, failures=failures)
    state = replace(state, open_for_seconds=length, retry_at=now + length, openings=(*openings, now))
    return Step(state=state, changes=changes)


def _with_failure(policy: BreakerPolicy, state: BreakerState, *, now: float) -> BreakerState:
    """Remember a failure at *now*, exactly; the oldest of too many is counted in its second instead."""
    times = (*(at for at in state.failures if abs(now - at) <= policy.window_seconds), now)
    cells = _recent(policy, state.cells, now=now)
    if len(times) > max(EXACT_FAILURES, policy.max_fails):
        cells = _added(cells, Cell(second=math.floor(times[0]), failures=1))
        times = times[1:]
    return replace(state, failures=times, cells=cells)


def _recent(policy: BreakerPolicy, cells: tuple[Cell, ...], *, now: float) -> tuple[Cell, ...]:
    """Drop the seconds that lie wholly outside the window; one that it cuts still counts."""
    oldest, newest = now - policy.window_seconds - 1.0, now + policy.window_seconds
    return tuple(cell for cell in cells if oldest < cell.second <= newest)


def _added(cells: tuple[Cell, ...], more: Cell) -> tuple[Cell, ...]:
    """Add *more* to its second, which is nearly always the last one."""
    place = len(cells)
    while place and cells[place - 1].second > more.second:
        place -= 1
    if place and cells[place - 1].second == more.second:
        place -= 1
        old = cells[place]
        more = replace(more, successes=old.successes + more.successes, failures=old.failures + more.failures)
        return (*cells[:place], more, *cells[place + 1 :])
    return (*cells[:place], more, *cells[place:])


def _force(state: BreakerState, command: Force) -> Step:
    forced = Forced(mode=command.mode, actor=command.actor, reason=command.reason, until=command.until)
    changes: tuple[Change, ...] = ()
    if command.mode is ForcedMode.FORCED_OPEN:
        state, changes = _moved(state, Cause.FORCED_OPEN)
        # Once the word has expired the next to ask is a probe: nobody knows how the endpoint is.
        state = replace(state, retry_at=command.until)
    elif command.mode is ForcedMode.FORCED_CLOSED:
        state, changes = _moved(state, Cause.FORCED_CLOSED)
    return Step(state=replace(state, forced=forced), changes=changes)


def _is_forced(state: BreakerState, mode: ForcedMode) -> bool:
    return state.forced is not None and state.forced.mode is mode


def _moved(state: BreakerState, cause: Cause, *, failures: int = 0) -> tuple[BreakerState, tuple[Change]]:
    """Go along one arrow: a new generation, and nothing kept that belongs to the state before."""
    after = TRANSITIONS[state.state, cause]
    change = Change(before=state.state, cause=cause, after=after, failures=failures)
    moved = replace(
        state, state=after, generation=state.generation + 1, failures=(), cells=(), probe_token=None
    )
    if after is State.CLOSED:
        moved = replace(moved, retry_at=0.0, open_for_seconds=0.0, failed_probes=0)
    return moved, (change,)


def facts(
    endpoint: str, policy: BreakerPolicy, command: Command, step: Step, *, now: float
) -> tuple[events.Fact, ...]:
    """Return what observers are told of *step*, which *command* brought about at *now*."""
    if isinstance(command, (Force, Release)):
        mode = command.mode.value if isinstance(command, Force) else "released"
        return (
            events.BreakerForced(endpoint=endpoint, mode=mode, actor=command.actor, reason=command.reason),
        )
    told: list[events.Fact] = []
    for change in step.changes:
        if change.cause is Cause.TOO_MANY_FAILURES:
            told.append(
                events.BreakerOpened(
                    endpoint=endpoint, failures=change.failures, window_seconds=policy.window_seconds
                )
            )
        elif change.cause is Cause.PROBE_FAILED:
            told.append(events.BreakerReopened(endpoint=endpoint, open_for_seconds=step.state.retry_at - now))
        elif change.after is State.CLOSED:
            told.append(events.BreakerClosed(endpoint=endpoint))
        elif change.cause is Cause.OPEN_TIME_OVER:
            told.append(events.BreakerHalfOpened(endpoint=endpoint))
    return tuple(told)
