"""A plan: how far a rollout goes, in which stages, how long each must hold, and what the guard asks.

Values only; `plan_text.py` reads and writes them, the controller follows them. The invariants: a plan that
exists is a valid one; percentages strictly increase; only a shadow stage is at 0 %, and only the first stage
may be one. Explained in docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from rollout.criteria import Criteria
from rollout.errors import ConfigError
from rollout.flags import Flag, FlagKey
from rollout.freeze import Freeze, FrozenDates, FrozenHours
from rollout.percentage import NOBODY, Percentage

__all__ = ["DEFAULT_STAGES", "MAX_STAGES", "STAGING_STAGES", "TINY_COHORT", "Plan", "Stage"]

#: The most stages a plan may have: far beyond what anybody watches, and short in every row and page.
MAX_STAGES = 50
#: The longest a stage may have to hold, in seconds: a year.
MAX_BAKE_SECONDS = 366 * 86_400
#: A cohort below this is said to be tiny: its evidence hardly ever decides.
TINY_COHORT = 10
#: The highest rate a stage may be capped at, and the finest step, in attempts a second.
MAX_RATE = Decimal(1_000_000)
RATE_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One percentage, held for a while.

    Args:
        percentage: The share of the units that is in while the stage lasts.
        bake_seconds: How long it must hold before the next one begins, counted as `Progress` says: up to 366
            days. 0 is for the last stage alone: the plan is done as soon as the guard passes there.
        rate_per_second: The most attempts a second at each endpoint while it lasts, of the whole fleet; above
            0, at most 1,000,000, with at most 6 digits after the point. None: no cap.
        approval: Whether a person must approve before it begins.
        shadow: Whether envelopes are built, checked and signed, and nothing is sent; only at 0 %.

    Raises:
        ConfigError: One of them is not so.
    """

    percentage: Percentage
    bake_seconds: int
    rate_per_second: Decimal | None = None
    approval: bool = False
    shadow: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.percentage, Percentage):
            raise ConfigError("percentage", "must be a Percentage; use Percentage.parse")
        if type(self.bake_seconds) is not int or not 0 <= self.bake_seconds <= MAX_BAKE_SECONDS:
            raise ConfigError("bake", 'must be from 0 to 366 days, such as "24h"')
        if self.rate_per_second is not None:
            rate: object = self.rate_per_second
            if not isinstance(rate, Decimal):
                raise ConfigError("rate_per_second", f"must be a Decimal, got {type(rate).__name__}")
            object.__setattr__(self, "rate_per_second", _checked_rate(rate))
        for name in ("approval", "shadow"):
            if getattr(self, name) not in (True, False):
                raise ConfigError(name, "must be true or false")
        if self.shadow and self.percentage != NOBODY:
            raise ConfigError("shadow", "a shadow stage sends nothing: its percentage must be 0")
        if not self.shadow and self.percentage == NOBODY:
            raise ConfigError("percentage", "0 is nobody: say shadow = true, or leave the stage out")


def _checked_rate(rate: Decimal) -> Decimal:
    allowed = f"must be above 0, at most {MAX_RATE:,}, with at most {RATE_DIGITS} digits after the point"
    if not rate.is_finite() or not 0 < rate <= MAX_RATE:
        raise ConfigError("rate_per_second", allowed)
    exponent = rate.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -RATE_DIGITS:
        raise ConfigError("rate_per_second", allowed)
    return Decimal(format(rate.normalize(), "f"))


def _stage(percentage: int, hours: float) -> Stage:
    return Stage(percentage=Percentage.parse(percentage), bake_seconds=int(hours * 3_600))


# The contract §10.
DEFAULT_STAGES = (_stage(5, 24), _stage(25, 48), _stage(50, 48), _stage(100, 0))
# The contract §10, template `staging`.
STAGING_STAGES = (_stage(100, 0.5),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The recipe of one flag's rollout.

    Args:
        flag: The flag's key.
        stages: In order, 1 to 50, with strictly increasing percentages. A percentage of 0 needs `shadow`.
        freezes: When nothing goes up.
        criteria: What the guard asks.

    Raises:
        ConfigError: One of them is not so.
    """

    flag: FlagKey
    stages: tuple[Stage, ...] = DEFAULT_STAGES
    freezes: tuple[Freeze, ...] = ()
    criteria: Criteria = field(default_factory=Criteria)

    def __post_init__(self) -> None:
        Flag(key=self.flag)
        object.__setattr__(self, "stages", _tuple(self.stages, Stage, "stages"))
        object.__setattr__(self, "freezes", _tuple(self.freezes, (FrozenHours, FrozenDates), "freeze"))
        if not isinstance(self.criteria, Criteria):
            raise ConfigError("criteria", "must be Criteria")
        if not 1 <= len(self.stages) <= MAX_STAGES:
            raise ConfigError("stages", f"must be a list of 1 to {MAX_STAGES} stages")
        for number in range(1, len(self.stages)):
            before, after = self.stages[number - 1].percentage, self.stages[number].percentage
            if after <= before:
                raise ConfigError(
                    f"stages[{number}].percentage",
                    f"{after} is not above the {before} of the stage before: percentages only go up",
                )
            if self.stages[number - 1].bake_seconds == 0:
                raise ConfigError(
                    f"stages[{number - 1}].bake",
                    'only the last stage may do without: write one such as "24h"',
                )

    @property
    def highest(self) -> Percentage:
        """The last stage's percentage: the plan never goes above it."""
        return self.stages[-1].percentage

    def stage_of(self, ceiling: Percentage) -> int:
        """Return the number of the first stage that reaches *ceiling*, or of the last one."""
        numbers = (number for number, stage in enumerate(self.stages) if stage.percentage >= ceiling)
        return next(numbers, len(self.stages) - 1)

    def stage_above(self, ceiling: Percentage | None) -> int | None:
        """Return the number of the first stage above *ceiling*; None where the plan ends there.

        Args:
            ceiling: What is in force; None: nothing yet, so the first stage.
        """
        if ceiling is None:
            return 0
        numbers = (number for number, stage in enumerate(self.stages) if stage.percentage > ceiling)
        return next(numbers, None)


def _tuple(values: object, kinds: type | tuple[type, ...], path: str) -> tuple[object, ...]:
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise ConfigError(path, f"must be a list, got {type(values).__name__}")
    found = tuple(values)
    if not all(isinstance(each, kinds) for each in found):
        raise ConfigError(path, "holds something of another kind")
    return found
