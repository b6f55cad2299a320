"""What is allowed in a plan and still looks wrong: warnings before a start, for a person to decide.

Pure. A warning never stops anything; what must not be is an error of `plan.py`. Every warning is in
docs/reference/plan.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from rollout.duration import spoken
from rollout.freeze import FrozenHours, frozen_until
from rollout.percentage import EVERYBODY, NOBODY, Percentage
from rollout.plan import TINY_COHORT, Plan, Stage

__all__ = ["Concern", "lint"]

# A stage that grows more than this many times at once is a leap: most of what it lets in was never watched.
_LEAP = 10
_WEEK_HOURS = 168


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """One thing to look at.

    Args:
        path: Where it stands, such as `stages[0].bake`.
        text: What is odd, with the numbers.
    """

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def lint(
    plan: Plan,
    *,
    units: int | None = None,
    cohorts: Mapping[Percentage, int] | None = None,
    deliveries_per_minute: float | None = None,
) -> tuple[Concern, ...]:
    """Return what looks wrong with *plan*, in the order of its stages.

    Args:
        plan: A plan; it is valid, since it exists.
        units: How many units there are; None: not known.
        cohorts: How many of them are in at a percentage, counted by their buckets; what is not in it is
            reckoned from *units*.
        deliveries_per_minute: How many deliveries there would be at 100 %; None: not known.
    """
    found: list[Concern] = []
    for number, stage in enumerate(plan.stages):
        path = f"stages[{number}]"
        found += _cohort(stage, f"{path}.percentage", units=units, cohorts=cohorts or {})
        found += _evidence(plan, stage, f"{path}.bake", deliveries_per_minute=deliveries_per_minute)
        if number and stage.percentage.value > _LEAP * plan.stages[number - 1].percentage.value > 0:
            before = plan.stages[number - 1].percentage
            found.append(_warning(f"{path}.percentage", f"a leap from {before} % to {stage.percentage} %"))
    if plan.highest < EVERYBODY:
        found.append(_warning("stages", f"the plan ends at {plan.highest} %, not at 100 %"))
    if _is_always_frozen(plan):
        found.append(_warning("freeze", "every hour of the week is frozen: nothing will ever go up"))
    return tuple(found)


def _cohort(
    stage: Stage, path: str, *, units: int | None, cohorts: Mapping[Percentage, int]
) -> list[Concern]:
    if stage.percentage == NOBODY:
        return []
    if stage.percentage in cohorts:
        count, about = cohorts[stage.percentage], ""
    elif units is not None:
        count, about = int(units * stage.percentage.value / 100), "about "
    else:
        return []
    if count >= TINY_COHORT:
        return []
    share = f"{stage.percentage} %" + (f" of {units}" if units is not None else "")
    if count == 0:
        return [_warning(path, f"{share} is {about}nobody: there will be no evidence, and it will hold")]
    return [_warning(path, f"{share} is {about}{count}: a tiny cohort hardly gives evidence")]


def _evidence(plan: Plan, stage: Stage, path: str, *, deliveries_per_minute: float | None) -> list[Concern]:
    if stage.shadow or not stage.bake_seconds:
        return []
    criteria = plan.criteria
    window = criteria.window_minutes * 60
    found = []
    if stage.bake_seconds < criteria.minutes_in_a_row * 60:
        shortest = criteria.minutes_in_a_row
        text = f"{spoken(stage.bake_seconds)} is shorter than the {shortest} minutes that a breach takes"
        found.append(_warning(path, text))
    if deliveries_per_minute is None:
        return found
    rate = deliveries_per_minute * float(stage.percentage.value) / 100
    if stage.rate_per_second is not None:
        rate = min(rate, float(stage.rate_per_second) * 60)
    needed = max(criteria.quantile_needs, criteria.share_needs)
    span = min(window, stage.bake_seconds)
    if rate * span / 60 < needed:
        text = f"about {rate * span / 60:.3g} deliveries in {spoken(span)}, and the guard needs {needed}"
        wanted = "longer than ever" if rate <= 0 else spoken(ceil(needed / rate) * 60)
        found.append(_warning(path, f"{text}: that takes {wanted}"))
    return found


def _is_always_frozen(plan: Plan) -> bool:
    hours = [freeze for freeze in plan.freezes if isinstance(freeze, FrozenHours)]
    # Windows begin and end on whole minutes, so that a week of minutes is every case there is.
    return bool(hours) and all(
        frozen_until(hours, now=minute * 60.0) is not None for minute in range(_WEEK_HOURS * 60)
    )


def _warning(path: str, text: str) -> Concern:
    return Concern(path=path, text=text)
