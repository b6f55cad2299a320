"""The worlds of CI: 158, always the same. `python -m tests.worlds --worlds 10000` runs many more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import pytest

from rollout.criteria import Criteria
from rollout.testing.worlds import (
    CATALOGUE,
    Fault,
    Health,
    Outcome,
    Promise,
    Task,
    Texture,
    World,
    broken,
    short_run,
    simulate,
)

pytestmark = pytest.mark.slow

DEAD = Health(success=0.0, is_answering=False)


def run(tasks: Iterable[Task], criteria: Criteria | None = None) -> dict[str, list[Outcome]]:
    """Run *tasks* one after the other; outcomes by the world's name."""
    outcomes = defaultdict(list)
    for task in tasks:
        outcomes[task.kind.world.name].append(simulate(task.kind.world, task.seed, criteria=criteria))
    return outcomes


def tasks_of(group: str) -> list[Task]:
    return [task for task in short_run() if task.kind.group == group]


def test_the_short_run_has_worlds_of_every_promise() -> None:
    """Every group that promises something is in it, and enough of each kind with a median to judge it by."""
    promising = {kind.group for kind in CATALOGUE if kind.promise != Promise()}

    assert len(short_run()) == 158
    assert {task.kind.group for task in short_run()} == promising


@pytest.mark.parametrize("group", sorted({task.kind.group for task in short_run()}))
def test_the_promises_hold(group: str) -> None:
    """Healthy worlds go on, faults of ours are found in time, one dead receiver of five is none."""
    outcomes = run(tasks_of(group))

    assert broken(outcomes) == []


@pytest.mark.parametrize(
    ("name", "criteria", "said"),
    [
        ("ours, to 80%, independent, 1/min, 1 ", Criteria(cusum_limit=500.0), "were not rolled back"),
        ("healthy, independent, 50/min, 1 ", Criteria(cusum_limit=1.0), "were rolled back, at most 0.5 %"),
        ("5xx, breaker off, 50/min", Criteria(failures_in_a_row=99), "at most 0 % are allowed"),
        ("the only receiver dead, 50/min", Criteria(unreachable_minutes=9), "5 to 7 are promised"),
        ("the only receiver dead, 50/min", Criteria(failures_in_a_row=99), "5 to 7 are promised"),
    ],
    ids=["deaf", "jumpy", "no-cap", "patient", "no-cap-alone"],
)
def test_other_thresholds_break_the_promises(name: str, criteria: Criteria, said: str) -> None:
    """The worlds have teeth: what the defaults keep, others do not."""
    kind = next(kind for kind in CATALOGUE if name in kind.world.name)
    short = replace(kind, world=replace(kind.world, hours=min(kind.world.hours, 8.0)))

    problems = broken(run([Task(kind=short, seed=1)], criteria))

    assert any(said in problem for problem in problems)


#: What finds a fault of ours and a dead receiver, three times as slow as it is.
SLOW = Criteria(cusum_limit=27.6, minutes_in_a_row=15, unreachable_minutes=15)


def test_a_guard_three_times_as_slow_breaks_its_promises() -> None:
    """Every median but those that the defaults keep six times over: to 50 % and less at 50 a minute."""
    tasks = [task for task in short_run() if task.kind.promise.median_minutes is not None]

    problems = broken(run(tasks, SLOW))

    assert [one.partition(": the median is")[0] for one in problems] == [
        *("ours, to 80%, 1/min", "ours, to 50%, 1/min", "ours, to 0%, 1/min", "ours, to 80%, 50/min"),
        "the only receiver dead, 1/min",
    ]


def test_a_guard_that_takes_twenty_times_as_long_breaks_those_too() -> None:
    """To 50 % and to 0 % at 50 a minute: three minutes are promised, one is taken."""
    slow = Criteria(cusum_limit=184.0, minutes_in_a_row=59, unreachable_minutes=59)
    tasks = [
        task for task in short_run() if task.kind.alike in ("ours, to 50%, 50/min", "ours, to 0%, 50/min")
    ]

    problems = broken(run(tasks, slow))

    assert [one.partition(": the median is")[0] for one in problems] == [
        "ours, to 50%, 50/min",
        "ours, to 0%, 50/min",
    ]


def test_a_world_is_the_same_each_time() -> None:
    """The same world and seed, the same outcome; another seed, another one."""
    world = World(name="x", per_minute=5, fault=Fault(health=Health(success=0.5)))

    assert simulate(world, 1) == simulate(world, 1) != simulate(world, 2)


def test_a_receiver_that_stays_dead_opens_its_breaker_once() -> None:
    """Its failed probes are no openings, or a dead receiver of many would roll everybody back one day."""
    world = World(name="dead for long", per_minute=10, endpoints=5, hours=5.0,
                  fault=Fault(health=DEAD, endpoints=1))  # fmt: skip

    outcome = simulate(world, 1, criteria=Criteria(openings_hold=2, openings_roll_back=2))

    assert outcome.rolled_back_at is None


@pytest.mark.parametrize("texture", Texture)
def test_a_fault_is_found_in_every_texture(texture: Texture) -> None:
    """Restarts, waves and clumps do not hide it."""
    fault = Fault(health=Health(success=0.2, clump=2.0), begins=1_800.0)
    world = World(name=f"fault in {texture}", per_minute=20, texture=texture, fault=fault, hours=6.0)

    outcome = simulate(world, 1)

    assert outcome.delay_minutes is not None
    assert 0.0 <= outcome.delay_minutes < 10.0


def test_a_restart_of_the_only_receiver_is_no_reason_to_roll_back() -> None:
    """Away for half a minute at 50 a minute, again and again: it is back before anything is proven."""
    world = World(name="restarts", per_minute=50, hours=24.0, texture=Texture.BURSTY)

    assert simulate(world, 3).rolled_back_at is None


def test_a_healthy_world_with_enough_traffic_is_allowed_to_go_on() -> None:
    """A guard that always holds would keep most promises, too."""
    outcome = simulate(World(name="healthy", per_minute=50, hours=6.0), 1)

    assert outcome.passes > 0.5 * outcome.looks > 0
