"""`manage.py rollout start`, `pause`, `resume`, `approve`, `advance`, `set`, `replan`, `rollback` and so on.

Each is one command to the controller, decided again where somebody else wrote first. Invariants: what a
change does is told before it is made, and what drops units, or lets hardly any in, takes `--yes`; a refusal
changes nothing. Explained in docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rollout import commands
from rollout.actions import AskHeld, Tell
from rollout.actor import Actor
from rollout.controller import Step
from rollout.django import conf, driving
from rollout.django.management import confirming, held, stopping
from rollout.django.management.bounded import TookTooLong
from rollout.django.management.here import before_a_start
from rollout.django.management.kill_store import NoDatabase, rollback_stopper
from rollout.django.management.words import actor, add_words, found_runner, found_store, refusal
from rollout.django.stage_rate import apply_rate
from rollout.django.units import Cohort
from rollout.duration import spoken
from rollout.errors import ConfigError, StoreConflict, TransitionError
from rollout.percentage import Percentage
from rollout.plan import Plan
from rollout.rollout_state import RolloutState
from rollout.runner import Runner
from rollout.situation import Situation
from webhooks_core.django.answer import Answer, Exit

__all__ = ["add", "first_stage", "start"]

_PLAIN: tuple[tuple[str, type[Any], bool, str], ...] = (
    ("pause", commands.Pause, False, "stay at this percentage until `resume`; the guard stays on"),
    ("resume", commands.Resume, False, "go on after `pause` or `set`"),
    ("approve", commands.Approve, False, "let the next stage begin once the guard passes"),
    ("replan", commands.Replan, False, "pin the plan as it is written now"),
    ("accept-store", commands.AcceptStore, True, "a store that went back is right as it stands: go on"),
)


def add(nouns: Any) -> None:
    """Add every command."""
    about = "pin the plan and begin its first stage"
    start = nouns.add_parser("start", help=about, description=about)
    add_words(start)
    about = "with a tiny cohort, in a freeze, or to drop what is held"
    start.add_argument("--yes", action="store_true", help=about)
    held.add_held(start)
    start.set_defaults(answer=begin)
    for name, command, needs_reason, about in _PLAIN:
        plain = nouns.add_parser(name, help=about, description=about)
        add_words(plain, needs_reason=needs_reason)
        plain.set_defaults(answer=_plainly(command))
    about = "begin the next stage now, whatever its bake time"
    further = nouns.add_parser("advance", help=about, description=about)
    add_words(further)
    further.add_argument(
        "--force", action="store_true", help="although the guard does not pass, or a freeze is on"
    )
    further.add_argument(
        "--to", metavar="PERCENT", help="the next stage as you saw it; another one is refused"
    )
    further.add_argument("--yes", action="store_true", help="although hardly anybody would be in")
    further.set_defaults(answer=advance)
    about = "set the percentage by hand, within the plan, and pause there"
    by_hand = nouns.add_parser("set", help=about, description=about)
    by_hand.add_argument("percentage", metavar="PERCENT")
    add_words(by_hand, needs_reason=True)
    by_hand.add_argument(
        "--yes",
        action="store_true",
        help="where units go out, hardly any come in, beyond the next stage, in a freeze",
    )
    by_hand.set_defaults(answer=set_percentage)
    about = "let nothing through any more, everywhere, until a new start"
    back = nouns.add_parser("rollback", help=about, description=about)
    add_words(back, needs_reason=True)
    stopping.add_wait(back)
    back.set_defaults(answer=roll_back)


def begin(options: dict[str, Any]) -> Answer:
    """Start, by who is named on the command line."""
    return start(actor(options), options)


def start(by: Actor, options: dict[str, Any]) -> Answer:
    """Say who would be in and what is held, then start.

    Args:
        by: Who starts.
        options: `reason`, `yes`, `held` (a word of `held.Choice`, or None) and `rate`.

    Raises:
        Refused: It takes another word first, or it cannot be started; nothing was changed.
    """
    warning = before_a_start()
    runner = found_runner()
    state, situation = runner.look()
    reasons, dropped = confirming.of_start(situation), held.drop_note(options)
    if reasons and not options["yes"]:  # with nothing but the drop, that is asked for below
        against = [*reasons, *([dropped] if dropped else [])]
        confirming.ask(against, word="--yes", to="begin", data={"cohort": situation.next_cohort})
    wanted = held.ask(options)
    made = _followed(runner, commands.Start(by=by, reason=options["reason"], confirm=options["yes"]))
    dealt = held.deal_with(wanted, options, reason=options["reason"] or "rollout-start")
    extra = [confirming.confirmed(reasons), first_stage(made.state, situation), *dealt.lines, warning]
    answer = _told(state, made, extra=extra)
    data = {**answer.data, "cohort": situation.next_cohort, "held": dealt.as_dict(), "confirmed": reasons}
    return Answer(code=dealt.code, lines=answer.lines, data=data, is_report=True)


def advance(options: dict[str, Any]) -> Answer:
    """Begin the next stage."""
    to = None if options["to"] is None else _percentage(options["to"])
    command = commands.Advance(by=actor(options), reason=options["reason"], force=options["force"], to=to)
    runner = found_runner()
    state, situation = runner.look()
    tiny, unfit = confirming.of_advance(state, situation), confirming.of_force(state, situation)
    if not options["yes"]:
        confirming.ask(tiny, word="--yes", to="begin", data={"cohort": situation.next_cohort})
    if not options["force"]:
        confirming.ask(unfit, word="--force", to="begin", data={})
    reasons = [*tiny, *unfit]
    answer = _told(state, _followed(runner, command), extra=[confirming.confirmed(reasons)])
    return Answer(lines=answer.lines, data={**answer.data, "confirmed": reasons})


def set_percentage(options: dict[str, Any]) -> Answer:
    """Say how many come in or go out, then set it."""
    by, runner, to = actor(options), found_runner(), _percentage(options["percentage"])
    state, situation = runner.look()
    line, moved = _moved(state, to)
    reasons = confirming.of_set(state, situation, to, count=moved["in_after"])
    drops = state.ceiling is not None and to < state.ceiling
    if (drops or reasons) and not options["yes"]:
        confirming.ask([line, *reasons], word="--yes", to="set it", data=dict(moved))
    command = commands.SetPercentage(by=by, reason=options["reason"], percentage=to, confirm=options["yes"])
    extra = [f"{line}.", confirming.confirmed(reasons)]
    answer = _told(state, _followed(runner, command), extra=extra)
    return Answer(lines=answer.lines, data={**answer.data, **moved, "confirmed": reasons})


def roll_back(options: dict[str, Any]) -> Answer:
    """Give the rollback, and wait for the senders."""
    try:
        store, flag, runner = rollback_stopper()
    except NoDatabase as none:
        problem = f"{none.problem}; nothing was rolled back: `rollout kill` stops this host all the same"
        raise refusal(problem, code=Exit.UNREADABLE) from none
    fleet = stopping.Fleet(
        store=store, flag=flag, runner=runner, seconds=options["timeout"], waits=not options["no_wait"]
    )
    command = commands.RollBack(by=actor(options), reason=options["reason"])
    try:
        stopped = fleet.stop(command)
    except TookTooLong as error:
        problem = f"the database was not reached ({error}): `rollout kill` and `rolloutctl kill` need none"
        raise refusal(problem, code=Exit.UNREADABLE) from error
    return stopping.told(stopped, options, lines=[], data={"actor": command.by.name})


def _plainly(command: Callable[..., commands.Spoken]) -> Callable[[dict[str, Any]], Answer]:
    def answer(options: dict[str, Any]) -> Answer:
        return _obeyed(command(by=actor(options), reason=options["reason"]))

    return answer


def _obeyed(command: commands.Spoken) -> Answer:
    runner = found_runner()
    state, _ = runner.look()
    return _told(state, _followed(runner, command))


def _followed(runner: Runner, command: commands.Spoken) -> Step:
    """Have *command* followed, and its stage's rate put in force.

    Raises:
        Refused: It cannot be followed, or others wrote first again and again.
    """
    try:
        made = runner.obey(command)
    except (TransitionError, ConfigError) as error:
        more = _in_the_way(command)
        raise refusal(f"{error}{more}; nothing was changed") from error
    except StoreConflict as error:
        raise refusal(
            f"{error}: others write at the same time; nothing was changed", code=Exit.FAILED
        ) from error
    apply_rate(made.state)
    return made


def _in_the_way(command: commands.Spoken) -> str:
    """Say of a start that cannot be followed what it would have to wait for."""
    if not isinstance(command, commands.Start):
        return ""
    store = found_store()
    unfinished = stopping.unfinished(store, store.load(driving.driving().flag))
    return f": {unfinished}" if unfinished else ""


def _told(before: RolloutState, made: Step, *, extra: Sequence[str] = ()) -> Answer:
    after = made.state
    lines = [f"{after.flag}: {_shown(before)} -> {_shown(after)}, by {after.actor}."]
    lines += [line for line in extra if line]
    lines += [each.text for each in made.actions if isinstance(each, Tell) and each.what == "COHORT"]
    data = {
        "flag": after.flag,
        "from": _as_dict(before),
        "to": _as_dict(after),
        "version": after.version,
        "epoch": after.epoch,
        "actor": after.actor,
        "reason": after.reason,
        "asks_held": any(isinstance(each, AskHeld) for each in made.actions),
    }
    return Answer(lines=lines, data=data)


def _shown(state: RolloutState) -> str:
    stage = f", stage {state.stage_text}" if state.stage_text else ""
    return f"{state.state} at {state.ceiling_text}{stage}"


def _as_dict(state: RolloutState) -> dict[str, object]:
    ceiling = None if state.ceiling is None else str(state.ceiling)
    return {"state": state.state.value, "percentage": ceiling, "stage": state.stage}


def first_stage(state: RolloutState, situation: Situation) -> str:
    """Say what a rollout that has just begun, or would, begins with, and how many are in."""
    plan: Plan | None = state.plan
    assert plan is not None  # a rollout that has just begun has one
    stage, count = plan.stages[0], situation.next_cohort
    who = "" if count is None else f" {count} units are in."
    what = "shadow: nothing is sent" if stage.shadow else f"{stage.percentage} %"
    return f"Stage 1 of {len(plan.stages)}: {what}, for {spoken(stage.bake_seconds)}.{who}"


def _moved(state: RolloutState, to: Percentage) -> tuple[str, dict[str, int | None]]:
    """Say how many units come in or go out; only the share where nobody can count."""
    found = conf.current()
    before = state.ceiling or Percentage.NOBODY
    count = Cohort(found.units, driving.driving().flag)
    old, new = count(before), count(to)
    data = {"in_before": old, "in_after": new}
    if old is None or new is None:
        share = abs(to.value - before.value)
        return f"{before} % -> {to} %: about {share:f} % of the units {_word(before, to)}", data
    return f"{before} % -> {to} %: {abs(new - old)} units {_word(before, to)}, {old} -> {new}", data


def _word(before: Percentage, to: Percentage) -> str:
    return "go out" if to < before else "come in"


def _percentage(text: str) -> Percentage:
    try:
        return Percentage.parse(text)
    except ConfigError as error:
        raise refusal(str(error)) from error
