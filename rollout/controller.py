"""The controller, as a table and a pure function: `step(state, command, situation)`.

What lives here: the arrows, and what each command and each tick makes of a state. What must not: a clock, a
store, a log. The invariants: nothing goes up without a verdict that passes or a person who says why, and
never above the plan's next stage but by a person's confirmed word; whatever lets less through is instant;
ROLLED_BACK is said only when every live sender has stopped; every arrow makes exactly one journal entry.
Explained in docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rollout import commands
from rollout.actions import Action, AskHeld, Tell
from rollout.actor import MACHINE, Actor, clean_reason
from rollout.errors import TransitionError
from rollout.fleet import stopping
from rollout.journal import JournalEntry, entry_of
from rollout.orders import Change, ordered
from rollout.percentage import NOBODY
from rollout.rollout_state import GUARDED, Cause, Progress, RolloutState, State
from rollout.situation import ObstacleKind, Situation, following_stage, obstacles
from rollout.verdict import Call, Verdict, VerdictKind

__all__ = ["ISSUING", "MAX_TICK_SECONDS", "TRANSITIONS", "WRITE_SECONDS", "Cause", "Step", "step"]

#: Of the time since the last tick at most this counts as bake time: a runner that was away watched nothing.
MAX_TICK_SECONDS = 60.0
#: Bake time alone is written so often: half of what counts, so that a tick that comes late still loses none.
WRITE_SECONDS = MAX_TICK_SECONDS / 2

# Every arrow there is. What is not in this table cannot happen, and `_move` is the only way along it.
TRANSITIONS: dict[tuple[State, Cause], State] = {
    (State.NOT_STARTED, Cause.START): State.RUNNING,
    (State.ROLLED_BACK, Cause.START): State.RUNNING,
    (State.RUNNING, Cause.PASSED): State.RUNNING,
    (State.RUNNING, Cause.DONE): State.COMPLETED,
    (State.RUNNING, Cause.HELD): State.HOLD,
    (State.AWAITING_APPROVAL, Cause.HELD): State.HOLD,
    (State.HOLD, Cause.CLEARED): State.RUNNING,
    (State.RUNNING, Cause.NEEDS_APPROVAL): State.AWAITING_APPROVAL,
    (State.AWAITING_APPROVAL, Cause.APPROVED): State.RUNNING,
    (State.RUNNING, Cause.APPROVED): State.RUNNING,
    (State.HOLD, Cause.APPROVED): State.HOLD,
    (State.PAUSED, Cause.APPROVED): State.PAUSED,
    (State.RUNNING, Cause.ADVANCED): State.RUNNING,
    (State.HOLD, Cause.ADVANCED): State.RUNNING,
    (State.PAUSED, Cause.ADVANCED): State.RUNNING,
    (State.AWAITING_APPROVAL, Cause.ADVANCED): State.RUNNING,
    (State.RUNNING, Cause.PAUSED): State.PAUSED,
    (State.HOLD, Cause.PAUSED): State.PAUSED,
    (State.AWAITING_APPROVAL, Cause.PAUSED): State.PAUSED,
    (State.PAUSED, Cause.RESUMED): State.RUNNING,
    (State.RUNNING, Cause.SET): State.PAUSED,
    (State.HOLD, Cause.SET): State.PAUSED,
    (State.PAUSED, Cause.SET): State.PAUSED,
    (State.AWAITING_APPROVAL, Cause.SET): State.PAUSED,
    (State.COMPLETED, Cause.SET): State.PAUSED,
    (State.RUNNING, Cause.REPLANNED): State.RUNNING,
    (State.HOLD, Cause.REPLANNED): State.HOLD,
    (State.PAUSED, Cause.REPLANNED): State.PAUSED,
    (State.AWAITING_APPROVAL, Cause.REPLANNED): State.RUNNING,
    (State.COMPLETED, Cause.REPLANNED): State.RUNNING,
    # From here on down: less goes through, at once, whatever else is so.
    (State.RUNNING, Cause.BREACHED): State.ROLLING_BACK,
    (State.HOLD, Cause.BREACHED): State.ROLLING_BACK,
    (State.PAUSED, Cause.BREACHED): State.ROLLING_BACK,
    (State.AWAITING_APPROVAL, Cause.BREACHED): State.ROLLING_BACK,
    (State.COMPLETED, Cause.BREACHED): State.ROLLING_BACK,
    (State.NOT_STARTED, Cause.ROLL_BACK): State.ROLLING_BACK,
    (State.RUNNING, Cause.ROLL_BACK): State.ROLLING_BACK,
    (State.HOLD, Cause.ROLL_BACK): State.ROLLING_BACK,
    (State.PAUSED, Cause.ROLL_BACK): State.ROLLING_BACK,
    (State.AWAITING_APPROVAL, Cause.ROLL_BACK): State.ROLLING_BACK,
    (State.COMPLETED, Cause.ROLL_BACK): State.ROLLING_BACK,
    (State.ROLLED_BACK, Cause.ROLL_BACK): State.ROLLING_BACK,
    (State.NOT_STARTED, Cause.KILLED): State.ROLLING_BACK,
    (State.RUNNING, Cause.KILLED): State.ROLLING_BACK,
    (State.HOLD, Cause.KILLED): State.ROLLING_BACK,
    (State.PAUSED, Cause.KILLED): State.ROLLING_BACK,
    (State.AWAITING_APPROVAL, Cause.KILLED): State.ROLLING_BACK,
    (State.COMPLETED, Cause.KILLED): State.ROLLING_BACK,
    (State.ROLLING_BACK, Cause.KILLED): State.ROLLING_BACK,
    (State.ROLLED_BACK, Cause.KILLED): State.ROLLING_BACK,
    (State.ROLLING_BACK, Cause.UNKILLED): State.ROLLING_BACK,
    (State.ROLLED_BACK, Cause.UNKILLED): State.ROLLED_BACK,
    (State.ROLLING_BACK, Cause.ISSUED_AGAIN): State.ROLLING_BACK,
    (State.ROLLING_BACK, Cause.STOPPED): State.ROLLED_BACK,
    **{(state, Cause.STORE_ACCEPTED): state for state in State},
    **{(state, Cause.TRIP_CLEARED): state for state in State},
    **{(state, Cause.FLAG_CHANGED): state for state in State},
}

#: After these every sender must answer anew, whether what it must obey has changed or not.
ISSUING = frozenset({Cause.BREACHED, Cause.ROLL_BACK, Cause.KILLED, Cause.ISSUED_AGAIN, Cause.STORE_ACCEPTED})
# Remarks in the journal: the state stays where it is, and for the reason for which it is there.
_REMARKS = frozenset({Cause.TRIP_CLEARED, Cause.FLAG_CHANGED})
_BEGINNING = frozenset({Cause.START, Cause.PASSED, Cause.ADVANCED})
_NOBODY_ANY_MORE = Change(ceiling=NOBODY)
_NOTHING = Change()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a command made of a state.

    Args:
        state: The next state; the same object where nothing is to be written.
        entry: The journal entry that must be written with it; None where no arrow was gone along.
        actions: What follows from it, once it is written.
    """

    state: RolloutState
    entry: JournalEntry | None = None
    actions: tuple[Action, ...] = ()


def step(state: RolloutState, command: commands.Command, situation: Situation) -> Step:
    """Apply *command* to *state*, as the world stands in *situation*.

    Raises:
        TransitionError: It cannot be followed from here; nothing changes. A `Tick` never raises it.
        ConfigError: A start or replan without a plan that can be read, or a reason that is missing.
    """
    if isinstance(command, commands.Tick):
        return _tick(state, situation)
    if isinstance(command, commands.Kill):
        return Step(state=state) if state.killed else _ordered(state, command, situation)
    if isinstance(command, commands.RollBack):
        rolling = state.state is State.ROLLING_BACK
        return Step(state=state) if rolling else _ordered(state, command, situation)
    problem = situation.went_back(state)
    if problem and not isinstance(command, commands.AcceptStore):
        raise TransitionError(
            state.state, type(command).__name__, f"{problem}; accept the store as it is, or roll back"
        )
    return _ordered(state, command, situation)


def _ordered(state: RolloutState, command: commands.Spoken, situation: Situation) -> Step:
    order = ordered(state, command, situation)
    if (state.state, order.cause) not in TRANSITIONS:
        allowed = sorted({before.value for before, cause in TRANSITIONS if cause is order.cause})
        raise TransitionError(
            state.state, type(command).__name__, f"possible only while {', '.join(allowed)}"
        )
    return _move(state, order.cause, situation, by=command.by, reason=command.reason, change=order.change)


def _tick(state: RolloutState, situation: Situation) -> Step:
    if state.state is State.ROLLING_BACK:
        return _tick_rolling_back(state, situation)
    if state.state not in GUARDED:
        return Step(state=state)
    verdict = situation.usable_verdict(state)
    if verdict is not None and verdict.call is Call.ROLL_BACK:
        return _by_machine(
            state, Cause.BREACHED, situation, reason=verdict.explain(), change=_NOBODY_ANY_MORE
        )
    if situation.went_back(state):
        return Step(state=state)  # the runner says it, once: here it would be said again at every tick
    remembered = replace(state.progress, evidence=situation.evidence or state.progress.evidence)
    if state.state in (State.PAUSED, State.COMPLETED):
        return _only_progress(state, remembered)
    grown = _held_longer(remembered, verdict, now=situation.now)
    made = _judged(replace(state, progress=grown), verdict, situation)
    return made if made.entry is not None else _only_progress(state, grown)


def _judged(state: RolloutState, verdict: Verdict | None, situation: Situation) -> Step:
    """Go where the verdict leads; the same state where it leads nowhere."""
    if verdict is None or verdict.call is not Call.ADVANCE_ALLOWED:
        return _hold(state, situation)
    if state.state is State.HOLD:
        return _by_machine(state, Cause.CLEARED, situation, reason=verdict.explain())
    return _go_on(state, verdict, situation) if state.state is State.RUNNING else Step(state=state)


def _held_longer(progress: Progress, verdict: Verdict | None, *, now: float) -> Progress:
    """Count the time since the last tick, while ticks have evidence. The clock may have been set back.

    A tick without evidence stops the clock: not every tick is written, and time that was not watched must not
    be counted by a later one. There is none where anything is undecided, also where what is known of the
    stage holds: a success rate stays known through a night without deliveries.
    """
    if verdict is None or verdict.missing or verdict.kind is VerdictKind.UNDECIDED:
        return replace(progress, ticked_at=None)
    gap = 0.0 if progress.ticked_at is None else min(max(now - progress.ticked_at, 0.0), MAX_TICK_SECONDS)
    return replace(progress, baked_seconds=progress.baked_seconds + gap, ticked_at=now)


def _only_progress(state: RolloutState, grown: Progress) -> Step:
    """Write progress that is news: what the guard remembers, a clock that starts or stops, half a minute."""
    before, at, was_at = state.progress, grown.ticked_at, state.progress.ticked_at
    is_due = at is not None and was_at is not None and not 0 <= at - was_at < WRITE_SECONDS
    if not is_due and (grown.evidence, at is None) == (before.evidence, was_at is None):
        return Step(state=state)
    return Step(state=replace(state, progress=grown, version=state.version + 1))


def _hold(state: RolloutState, situation: Situation) -> Step:
    if state.state is State.HOLD:
        return Step(state=state)
    return _by_machine(state, Cause.HELD, situation, reason=situation.why_no_pass(state))


def _go_on(state: RolloutState, verdict: Verdict, situation: Situation) -> Step:
    """The guard passes: begin the next stage, where nothing else stands in the way."""
    kinds = {obstacle.kind for obstacle in obstacles(state, situation)}
    following = following_stage(state)
    if kinds == {ObstacleKind.APPROVAL} and following is not None:
        why = f"{following.percentage} % needs a person's approval"
        return _by_machine(state, Cause.NEEDS_APPROVAL, situation, reason=why)
    if kinds:
        return Step(state=state)
    if following is None:
        return _by_machine(state, Cause.DONE, situation, reason=verdict.explain())
    up = Change(ceiling=following.percentage, enters=True)
    return _by_machine(state, Cause.PASSED, situation, reason=verdict.explain(), change=up)


def _tick_rolling_back(state: RolloutState, situation: Situation) -> Step:
    problem = situation.went_back(state)
    if problem and not situation.is_news_to_all(state):
        # What senders acknowledged was another change: the rollback is told again, under an epoch of its own.
        return _by_machine(state, Cause.ISSUED_AGAIN, situation, reason=f"{problem}; {state.reason}")
    found = stopping(situation.senders, epoch=state.epoch, since=state.epoch_at, now=situation.now)
    if not found.is_complete:
        return Step(state=state)
    return _by_machine(state, Cause.STOPPED, situation, reason=f"{found}; {state.reason}")


def _by_machine(
    state: RolloutState, cause: Cause, situation: Situation, *, reason: str, change: Change = _NOTHING
) -> Step:
    return _move(state, cause, situation, by=MACHINE, reason=reason, change=change)


def _move(
    state: RolloutState, cause: Cause, situation: Situation, *, by: Actor, reason: str, change: Change
) -> Step:
    """Go along one arrow: a new version, a new epoch where senders must obey something, one entry."""
    now, target = situation.now, TRANSITIONS[state.state, cause]
    said = clean_reason(reason)
    why, who = (state.reason, state.actor) if cause in _REMARKS else (said, by.name)
    after = replace(
        state,
        version=_next_version(state, situation, cause),
        state=target,
        ceiling=state.ceiling if change.ceiling is None else change.ceiling,
        killed=state.killed if change.killed is None else change.killed,
        reason=why,
        actor=who,
        plan=state.plan if change.plan is None else change.plan,
        approvals=state.approvals if change.approvals is None else change.approvals,
        stage_entered_at=now if change.enters else state.stage_entered_at,
        progress=_progress_along(state.progress, cause, change, noted=situation.evidence),
    )
    if cause in ISSUING or _obeyed(after) != _obeyed(state):
        after = replace(after, epoch=max(state.epoch, situation.seen_epoch) + 1, epoch_at=now)
    verdict = situation.usable_verdict(state)
    entry = entry_of(state, after, by=by, reason=said, cause=cause.value, at=now, verdict=verdict)
    told = f"{_told(state, after)} by {entry.actor}: {entry.reason or 'no reason given'}"
    after = replace(after, head=entry.hash)
    return Step(state=after, entry=entry, actions=_actions(state, after, cause, situation, told=told))


def _next_version(state: RolloutState, situation: Situation, cause: Cause) -> int:
    """The next one; after a store went back, and where a person accepts one, one that nobody can have seen.

    Who accepts need not show that it went back: senders that have seen a higher version wait, and may not
    have told of it. What was written since the backup is not known any more. But versions begin at 1 and grow
    by one with each write, a few a second, so that the milliseconds since 1970 are beyond all of them, today
    and next time.
    """
    if cause is not Cause.STORE_ACCEPTED and not situation.went_back(state):
        return state.version + 1
    return max(state.version, situation.seen_version, situation.lost, int(situation.now * 1_000)) + 1


def _progress_along(progress: Progress, cause: Cause, change: Change, *, noted: str) -> Progress:
    """What a new stage, and a person who stops the clock, leave of it; a start keeps what was *noted*."""
    if change.enters:
        return Progress(evidence=noted if cause is Cause.START else progress.evidence)
    return replace(progress, ticked_at=None) if change.stops_clock else progress


def _obeyed(state: RolloutState) -> tuple[object, ...]:
    return (state.ceiling, state.rate_per_second, state.is_shadow)


def _actions(
    before: RolloutState, after: RolloutState, cause: Cause, situation: Situation, *, told: str
) -> tuple[Action, ...]:
    found: list[Action] = [Tell(what=after.state.value, text=told)]
    note = situation.cohort_note()
    if note and cause in _BEGINNING:
        found.append(Tell(what="COHORT", text=f"{after.flag} at {after.ceiling} %: {note}"))
    if cause is Cause.UNKILLED or (cause is Cause.START and before.state is State.ROLLED_BACK):
        found.append(AskHeld())
    return tuple(found)


def _told(before: RolloutState, after: RolloutState) -> str:
    old, new = (f"{each.state} at {each.ceiling_text}" for each in (before, after))
    return f"{after.flag}: {old} -> {new}"
