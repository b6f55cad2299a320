"""What a person's command asks of a state: which arrow, and what changes along it; or why it is refused.

Pure. The invariants: a person can always let less through; more only with the plan as it was pinned, never
above it, with a reason, and with an explicit word beyond the next stage or while a freeze is on. Explained in
docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from rollout import commands
from rollout.errors import ConfigError, TransitionError
from rollout.percentage import NOBODY, Percentage
from rollout.plan import Plan, Stage
from rollout.rollout_state import GUARDED, Approval, Cause, RolloutState
from rollout.situation import Situation, following_stage

__all__ = ["Change", "Order", "ordered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is another one at the end of an arrow; None: as it was.

    Args:
        ceiling: The ceiling.
        killed: Whether the kill switch is pulled.
        plan: The pinned plan.
        approvals: The approvals.
        enters: Whether a stage begins: evidence and bake time count from now.
        stops_clock: Whether time until the next tick is no bake time.
    """

    ceiling: Percentage | None = None
    killed: bool | None = None
    plan: Plan | None = None
    approvals: tuple[Approval, ...] | None = None
    enters: bool = False
    stops_clock: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An arrow to go along."""

    cause: Cause
    change: Change = Change()


_SIMPLE: dict[type, Order] = {
    commands.RollBack: Order(cause=Cause.ROLL_BACK, change=Change(ceiling=NOBODY)),
    commands.Kill: Order(cause=Cause.KILLED, change=Change(ceiling=NOBODY, killed=True)),
    commands.Pause: Order(cause=Cause.PAUSED, change=Change(stops_clock=True)),
    commands.Resume: Order(cause=Cause.RESUMED, change=Change(stops_clock=True)),
}


def ordered(state: RolloutState, command: commands.Spoken, situation: Situation) -> Order:
    """Return the arrow that *command* asks for. Whether there is one from *state* is the table's question.

    Raises:
        TransitionError: It cannot be followed from here, for a reason that the table does not know.
        ConfigError: A start or replan without a plan that can be read, or a reason that is missing.
    """
    match command:
        case commands.Start():
            return _start(state, command, situation)
        case commands.Approve():
            return _approve(state, command, situation)
        case commands.Advance():
            return _advance(state, command, situation)
        case commands.SetPercentage():
            return _set(state, command, situation)
        case commands.Replan():
            return _replan(state, command, situation)
        case commands.Unkill():
            return _unkill(state, command)
        case commands.AcceptStore():
            _need_reason(command)
            return Order(cause=Cause.STORE_ACCEPTED, change=Change(stops_clock=True))
        case commands.ClearTrip():
            _need_reason(command)
            return Order(cause=Cause.TRIP_CLEARED)
        case commands.ChangeFlag():
            _need_reason(command)
            return Order(cause=Cause.FLAG_CHANGED)
        case _:
            return _SIMPLE[type(command)]


def _start(state: RolloutState, command: commands.Start, situation: Situation) -> Order:
    if state.killed:
        raise _refused(state, command, "the kill switch is pulled; unkill first")
    plan = _readable(state, situation)
    if (frozen := situation.freeze()) and not command.confirm:
        raise _refused(state, command, f"{frozen}; confirm to begin all the same")
    first = plan.stages[0].percentage
    return Order(cause=Cause.START, change=Change(ceiling=first, plan=plan, approvals=(), enters=True))


def _approve(state: RolloutState, command: commands.Approve, situation: Situation) -> Order:
    following = _next(state, command, situation)
    if not following.approval or state.has_approved(following.percentage):
        raise _refused(state, command, f"{following.percentage} % needs no approval, or has it already")
    approval = Approval(percentage=following.percentage, by=command.by.name, at=situation.now)
    return Order(
        cause=Cause.APPROVED, change=Change(approvals=(*state.approvals, approval), stops_clock=True)
    )


def _advance(state: RolloutState, command: commands.Advance, situation: Situation) -> Order:
    following = _next(state, command, situation)
    if command.to not in (None, following.percentage):
        raise _refused(state, command, f"the next stage is {following.percentage} %, not {command.to} %")
    if command.force:
        _need_reason(command)
    else:
        if why := situation.why_no_pass(state):
            raise _refused(state, command, f"the guard does not pass ({why}); force it, with a reason")
        if frozen := situation.freeze():
            raise _refused(state, command, f"{frozen}; force it, with a reason")
    return Order(cause=Cause.ADVANCED, change=Change(ceiling=following.percentage, enters=True))


def _set(state: RolloutState, command: commands.SetPercentage, situation: Situation) -> Order:
    change = Change(ceiling=command.percentage, enters=True)
    if state.plan is None or state.ceiling is None or state.state not in GUARDED:
        return Order(cause=Cause.SET, change=change)
    if command.percentage > state.ceiling:
        _check_increase(state, command, situation)
    return Order(cause=Cause.SET, change=change)


def _check_increase(state: RolloutState, command: commands.SetPercentage, situation: Situation) -> None:
    following = _next(state, command, situation)
    if state.plan is not None and command.percentage > state.plan.highest:
        raise _refused(state, command, f"the plan ends at {state.plan.highest} %; replan first")
    _need_reason(command)
    if command.confirm:
        return
    if command.percentage > following.percentage:
        raise _refused(state, command, f"beyond the next stage, {following.percentage} %; confirm it")
    if frozen := situation.freeze():
        raise _refused(state, command, f"{frozen}; confirm it")


def _replan(state: RolloutState, command: commands.Replan, situation: Situation) -> Order:
    plan = _readable(state, situation)
    if plan == state.plan:
        raise _refused(state, command, "the plan is the one that is pinned already")
    if state.ceiling is None or state.ceiling <= plan.highest:
        return Order(cause=Cause.REPLANNED, change=Change(plan=plan, approvals=()))
    change = Change(ceiling=plan.highest, plan=plan, approvals=(), enters=True)
    return Order(cause=Cause.REPLANNED, change=change)


def _unkill(state: RolloutState, command: commands.Unkill) -> Order:
    if not state.killed:
        raise _refused(state, command, "the kill switch is not pulled")
    _need_reason(command)
    return Order(cause=Cause.UNKILLED, change=Change(killed=False))


def _next(state: RolloutState, command: commands.Spoken, situation: Situation) -> Stage:
    """Return the stage that may begin next by a person's word."""
    following = following_stage(state)
    if following is None:
        raise _refused(state, command, "there is no further stage in the plan under way")
    if drift := situation.drift(state):
        raise _refused(state, command, drift)
    return following


def _readable(state: RolloutState, situation: Situation) -> Plan:
    if situation.plan is None:
        raise ConfigError("plan", situation.plan_problem or f"there is none for {state.flag}")
    return situation.plan


def _need_reason(command: commands.Spoken) -> None:
    if not command.reason:
        raise ConfigError(
            "reason", f"{type(command).__name__} needs one: it is what the journal will be asked for"
        )


def _refused(state: RolloutState, command: commands.Spoken, problem: str) -> TransitionError:
    return TransitionError(state.state, type(command).__name__, problem)
