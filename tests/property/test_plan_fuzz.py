"""Fuzzed plan configurations: no crash, nothing invalid activated; 5,000 in CI.

By hand: `python -m tests.property.test_plan_fuzz 100000`.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from rollout import plan_text, state_text
from rollout.actor import Actor
from rollout.commands import Start
from rollout.controller import step
from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.percentage import NOBODY
from rollout.plan import Plan
from rollout.rollout_state import RolloutState
from rollout.situation import Situation
from rollout.sources.syntax import RefusedNumber

pytestmark = pytest.mark.slow

FLAG = FlagKey("tournament-webhooks")
NOW = 1_763_000_000.0
IN_CI = 5_000
STAGE_KEYS = ("percentage", "bake", "rate_per_second", "approval", "shadow")

# What a hand, a template engine or a merge may leave behind.
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 5, 100, 101, 10**30, 0.1, 5.0, float("nan"), float("inf")),
    *("", "0", "5", "5 %", "50%", "١", "1e2", "24h", "0s", "999999999d", "24:00", "mon", "2026-01-01T00:00Z"),
    *(
        Decimal("12.5"),
        Decimal("NaN"),
        Decimal("-0"),
        RefusedNumber("1e5"),
        [],
        {},
        [[]],
        {"": 0},
        b"5",
        object(),
    ),
    *("\x00", "\ud800", "9" * 5000, (1, 2), {5}),
]
GOOD: dict[str, list[Any]] = {
    "percentage": ["0", 1, 5, "12.5", 25, 50, 99, 100, Decimal("0.5")],
    "bake": ["1s", "30m", "24h", 0, 60],
    "rate_per_second": [None, 1, "0.5", Decimal("2.5")],
    "approval": [True, False],
    "shadow": [True, False, False],
    "from": ["00:00", "22:30", "2026-12-20T00:00Z"],
    "to": ["24:00", "06:00", "2027-01-04T00:00Z"],
    "days": [["mon"], ["sat", "sun"], ["fri", "fri"]],
    "template": ["default", "staging"],
    "success_go_on_percent": [95, 97.5, Decimal("99.5")],
    "minutes_in_a_row": [5, 10],
    "leave_out": [[], ["latency"], ("latency", "retried")],
}


def value(rng: random.Random, name: str) -> Any:
    """Mostly what belongs there."""
    return rng.choice(ODD) if rng.random() < 0.08 else rng.choice(GOOD[name])


def table(rng: random.Random, *names: str) -> Any:
    """Some of the keys, sometimes one that is not known, sometimes no table at all."""
    if rng.random() < 0.02:
        return rng.choice(ODD)
    found = {name: value(rng, name) for name in names if rng.random() < 0.75}
    if rng.random() < 0.03:
        found[rng.choice(["percent", "Bake", "", 5, "\ud800"])] = rng.choice(ODD)
    return found


def stages(rng: random.Random) -> Any:
    """A list of stages, mostly in order."""
    found = [table(rng, *STAGE_KEYS) for _ in range(rng.randrange(4))]
    for number, each in enumerate(found):
        if isinstance(each, dict) and rng.random() < 0.9:
            each["percentage"] = [5, 25, "50", 100][number]
            each.pop("shadow", None)
            each["bake"] = value(rng, "bake")
    return found


def configuration(rng: random.Random) -> Any:
    """Something that somebody might have written for a plan."""
    if rng.random() < 0.02:
        return rng.choice(ODD)
    found: dict[Any, Any] = {}
    if rng.random() < 0.8:
        found["stages"] = stages(rng)
    elif rng.random() < 0.5:
        found["template"] = value(rng, "template")
    if rng.random() < 0.4:
        found["freeze"] = [table(rng, "days", "from", "to") for _ in range(rng.randrange(3))]
    if rng.random() < 0.4:
        found["criteria"] = table(rng, "success_go_on_percent", "minutes_in_a_row", "leave_out")
    if rng.random() < 0.03:
        found[rng.choice(["stage", "plan", 5, ""])] = rng.choice(ODD)
    return found


def activated(data: Any) -> Plan | None:
    """Read *data* and start what it says; None where it is refused, which must be by our own error."""
    try:
        plan = plan_text.parse_plan(FLAG, data)
    except ConfigError as error:
        assert error.path.startswith("plan"), error
        assert error.problem
        return None
    made = step(
        RolloutState(flag=FLAG),
        Start(by=Actor(name="user:17"), confirm=True),
        Situation(now=NOW, plan=plan),
    )
    check(plan)
    assert made.state.ceiling == plan.stages[0].percentage
    assert state_text.loads(state_text.dumps(made.state)) == made.state
    return plan


def check(plan: Plan) -> None:
    """What every plan in memory is."""
    percentages = [stage.percentage for stage in plan.stages]
    assert 1 <= len(percentages) <= 50
    assert percentages == sorted(set(percentages))
    assert all(stage.bake_seconds > 0 for stage in plan.stages[:-1])
    assert all((stage.percentage == NOBODY) == stage.shadow for stage in plan.stages)
    again = plan_text.parse_plan(FLAG, plan_text.as_dict(plan))
    assert again == plan
    assert plan_text.plan_hash(again) == plan_text.plan_hash(plan)


def fuzz(count: int) -> Counter[str]:
    """Try *count* configurations; the numbers of those that were taken and refused."""
    rng = random.Random(20260101)
    return Counter("refused" if activated(configuration(rng)) is None else "taken" for _ in range(count))


def test_fuzzed_plans_neither_crash_nor_activate_anything_invalid() -> None:
    """Both happen often enough to mean something."""
    found = fuzz(IN_CI)

    assert found.total() == IN_CI
    assert min(found["taken"], found["refused"]) > IN_CI // 5


if __name__ == "__main__":
    print(dict(fuzz(int(sys.argv[1]))))
