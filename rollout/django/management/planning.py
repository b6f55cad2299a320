"""`manage.py rollout plan lint`, `plan show` and `simulate`: a plan judged before it is anybody's.

Reading only. Invariant: what the plan says is shown beside what it would do here. Explained in
docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rollout.django import conf, driving
from rollout.django.management.screen import Grid, Line, as_lines
from rollout.django.management.words import refusal
from rollout.django.units import Cohort, over_units
from rollout.duration import spoken
from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.plan import Plan, Stage
from rollout.plan_lint import lint
from rollout.plan_text import as_dict, plan_hash
from rollout.rollout_state import RolloutState
from rollout.sources.plan_file import read_plan
from webhooks_core.django.answer import Answer, Exit

__all__ = ["add"]

# Named, not imported: production code does not load testing code.
_WORLDS = "rollout.testing.worlds"


def add(nouns: Any) -> None:
    """Add the commands."""
    about = "judge a plan, or show it"
    verbs = nouns.add_parser("plan", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    about = "whether a plan is one, and what looks wrong with it"
    check = verbs.add_parser("lint", help=about, description=about)
    check.add_argument("file", nargs="?", metavar="FILE", help="JSON or TOML; the settings' when left out")
    about = "deliveries a minute there would be at 100 %%"
    check.add_argument("--per-minute", type=float, metavar="N", help=about)
    check.set_defaults(answer=lint_plan)
    about = "the plan that is pinned, and how the settings' differs"
    show = verbs.add_parser("show", help=about, description=about)
    show.set_defaults(answer=show_plan)
    about = "what the plan's thresholds do in simulated worlds"
    simulate = nouns.add_parser("simulate", help=about, description=about)
    about = "how many worlds, dealt over all kinds (default: enough to judge each promise by)"
    simulate.add_argument("--worlds", type=int, metavar="N", help=about)
    simulate.add_argument("--like", default="", metavar="TEXT", help="only worlds whose name has this in it")
    simulate.set_defaults(answer=simulate_worlds)


def lint_plan(options: dict[str, Any]) -> Answer:
    """Judge a plan."""
    found, file = conf.current(), options["file"]
    where = file or 'ROLLOUT["PLAN"]'
    try:
        plan = _written(found) if file is None else read_plan(file, flag=found.flag)
    except ConfigError as error:
        return Answer(code=Exit.FAILED, lines=[str(error)], data={"plan": where, "error": str(error)})
    counts = _cohorts(found, plan)
    units, _ = over_units(found.units, lambda all_units: sum(1 for _ in all_units))
    concerns = lint(plan, units=units, cohorts=counts, deliveries_per_minute=options["per_minute"])
    count = f"to look at: {len(concerns)}" if concerns else "nothing looks wrong"
    lines: list[Line] = [*(str(each) for each in concerns), f"{where}: stages: {len(plan.stages)}, {count}."]
    data = {
        "plan": where,
        "error": "",
        "hash": plan_hash(plan),
        "stages": len(plan.stages),
        "concerns": [{"path": each.path, "text": each.text} for each in concerns],
    }
    return Answer(lines=as_lines(lines), data=data)


def _written(found: conf.RolloutSettings) -> Plan:
    for problem in found.problems:
        if problem.setting == 'ROLLOUT["PLAN"]':
            raise ConfigError(problem.setting, problem.allowed)
    if found.plan is None:
        raise ConfigError('ROLLOUT["PLAN"]', "is not set")
    return found.plan


def _cohorts(found: conf.RolloutSettings, plan: Plan) -> dict[Percentage, int]:
    cohort = Cohort(found.units, FlagKey(found.flag))
    counted = {stage.percentage: cohort(stage.percentage) for stage in plan.stages if not stage.shadow}
    return {percentage: count for percentage, count in counted.items() if count is not None}


def show_plan(_options: dict[str, Any]) -> Answer:
    """Show the pinned plan, or the written one where none is pinned."""
    found = conf.current()
    state: RolloutState | None = None
    store = driving.driving().store
    if store is not None:
        state = store.load(FlagKey(found.flag))
    pinned = None if state is None else state.plan
    try:
        written, problem = _written(found), ""
    except ConfigError as error:
        written, problem = None, str(error)
    plan = pinned or written
    if plan is None:
        raise refusal(problem, code=Exit.UNREADABLE)
    counts = _cohorts(found, plan)
    head = ("stage", "percentage", "for", "at most", "", "units in")
    lines: list[Line] = [
        f"{plan.flag}: {'pinned' if pinned else 'not started'}, hash {plan_hash(plan)[:12]}",
        Grid.of(head, [_row(number, each, counts, state) for number, each in enumerate(plan.stages)]),
        *[f"frozen: {each.as_dict()}" for each in plan.freezes],
    ]
    drift = bool(pinned) and pinned != written
    if drift:
        lines.append(
            f"drift: {problem or 'the settings have another plan: `rollout replan`, or undo the edit'}"
        )
    data = {
        "pinned": None if pinned is None else {"hash": plan_hash(pinned), **as_dict(pinned)},
        "written": None if written is None else {"hash": plan_hash(written), **as_dict(written)},
        "problem": problem,
        "drift": drift,
    }
    return Answer(lines=as_lines(lines), data=data)


def _row(
    number: int, stage: Stage, counts: dict[Percentage, int], state: RolloutState | None
) -> tuple[object, ...]:
    notes = [
        *(["now"] if state is not None and state.stage == number else []),
        *(["shadow"] if stage.shadow else []),
        *(["needs approval"] if stage.approval else []),
    ]
    rate = "" if stage.rate_per_second is None else f"{stage.rate_per_second} a second"
    count = counts.get(stage.percentage, "")
    return number + 1, f"{stage.percentage} %", spoken(stage.bake_seconds), rate, ", ".join(notes), count


def simulate_worlds(options: dict[str, Any]) -> Answer:
    """Run simulated worlds through the plan's thresholds, and print what they did."""
    worlds = import_module(_WORLDS)
    found = conf.current()
    criteria = (found.plan or Plan(flag=FlagKey(found.flag))).criteria
    kinds = [kind for kind in worlds.CATALOGUE if options["like"] in kind.world.name]
    count = options["worlds"]
    if not kinds or (count is not None and count < 1):
        raise refusal("there is no such world, or none was asked for")
    tasks = worlds.short_run(kinds) if count is None else worlds.spread(count, kinds=kinds)
    outcomes: dict[str, list[Any]] = {}
    for task in tasks:
        outcome = worlds.simulate(task.kind.world, task.seed, criteria=criteria)
        outcomes.setdefault(task.kind.world.name, []).append(outcome)
    problems = worlds.broken(outcomes, kinds)
    text: str = worlds.table(outcomes, criteria=criteria, kinds=kinds)
    lines = [*text.split("\n"), *(f"NOT KEPT: {each}" for each in problems)]
    data = {"worlds": len(tasks), "table": text, "not_kept": problems}
    code = Exit.FAILED if problems else Exit.DONE
    return Answer(code=code, lines=lines, data=data, is_report=True)
