"""What is around the simulated worlds: chance, a receiver's breaker, the table, the promises."""

from __future__ import annotations

import math

import pytest

from rollout.criteria import Criteria
from rollout.testing.worlds import (
    CATALOGUE,
    Health,
    Kind,
    Outcome,
    Promise,
    Task,
    World,
    broken,
    short_run,
    spread,
    table,
)
from rollout.testing.worlds.chance import Chance
from rollout.testing.worlds.receiver import Receiver

DEAD = Health(success=0.0, is_answering=False)
WELL = Health(success=1.0)


def outcome(rolled_back_at: float | None, *, fault_at: float | None = 600.0, passes: int = 0) -> Outcome:
    measure = "success_rate_sequence" if rolled_back_at is not None else ""
    return Outcome(seed=1, rolled_back_at=rolled_back_at, measure=measure, fault_at=fault_at,
                   passes=passes, looks=9, failed=12)  # fmt: skip


def kind(name: str = "w", *, alike: str = "", **promise: object) -> Kind:
    return Kind(group="g", world=World(name=name, per_minute=1), promise=Promise(**promise), alike=alike)  # type: ignore[arg-type]


@pytest.mark.parametrize("mean", [0.05, 1.0, 48.0, 400.0])
def test_counts_have_the_mean_and_the_spread_of_a_poisson_stream(mean: float) -> None:
    """Over 4,000 draws, within five standard errors of both."""
    chance = Chance(1)
    drawn = [chance.count(mean) for _ in range(4_000)]

    average = sum(drawn) / len(drawn)
    spread_ = sum((one - average) ** 2 for one in drawn) / len(drawn)

    assert average == pytest.approx(mean, abs=5 * math.sqrt(mean / 4_000))
    assert spread_ == pytest.approx(mean, rel=5 * math.sqrt((2 + 1 / mean) / 4_000))


def test_nothing_comes_of_nothing_and_too_much_is_refused() -> None:
    """A world without deliveries, and one beyond what the table can hold."""
    assert Chance(1).count(0.0) == 0
    with pytest.raises(ValueError, match="above 700"):
        Chance(1).count(701.0)


def test_the_breaker_of_a_dead_receiver_opens_once_and_its_probes_are_rare() -> None:
    """Ten a minute for an hour: five failures, one opening, a probe at 1, 3, 7, 15, 25, 35, … minutes."""
    receiver, ended = Receiver(Chance(1)), []
    for number in range(600):
        ended += receiver.send(number * 6.0, DEAD)

    total = {name: sum(counts.get(name, 0) for _, counts in ended) for name in
             ("openings", "failed_connection_error", "ok", "refused", "attempts")}  # fmt: skip
    assert (total["openings"], total["failed_connection_error"], total["ok"]) == (1, 5, 0)
    assert total["attempts"] == 5 * 3 + 8
    assert total["refused"] > 580


def test_a_probe_that_arrives_closes_the_breaker() -> None:
    """The receiver is back: the next delivery arrives as well."""
    receiver = Receiver(Chance(1))
    for number in range(12):
        receiver.send(number * 1.0, DEAD)
    was_open = receiver.is_open

    ended = [*receiver.send(80.0, WELL), *receiver.send(81.0, WELL)]

    assert [counts["ok"] for _, counts in ended if "ok" in counts] == [1, 1]
    assert (was_open, receiver.is_open) == (True, False)


def test_without_a_breaker_every_delivery_is_tried() -> None:
    """The runbook's second level of rollback."""
    receiver, failed = Receiver(Chance(1), has_breaker=False), 0
    for number in range(100):
        failed += sum(counts.get("failed_server_error", 0) for _, counts in
                      receiver.send(number * 1.0, Health(success=0.0)))  # fmt: skip

    assert failed == 94
    assert not receiver.is_open


@pytest.mark.parametrize("success", [0.5, 0.8, 0.96])
def test_clumps_keep_the_rate(success: float) -> None:
    """Three at a time on average, and as many in all."""
    receiver, health = Receiver(Chance(1), has_breaker=False), Health(success=success, clump=3.0)
    ended = [counts for number in range(40_000) for _, counts in receiver.send(number * 1.0, health)]

    assert sum(counts.get("ok", 0) for counts in ended) / len(ended) == pytest.approx(success, abs=0.012)


def test_worlds_are_spread_by_weight() -> None:
    """Each kind gets its share, each time with another seed."""
    kinds = (Kind(group="g", world=World(name="a", per_minute=1), weight=3), kind("b"))

    tasks = spread(8, first=100, kinds=kinds)

    assert [(task.kind.world.name, task.seed) for task in tasks] == [
        *(("a", 100), ("b", 100), ("a", 101), ("a", 102)),
        *(("a", 103), ("b", 101), ("a", 104), ("a", 105)),
    ]
    assert Task(kind=kinds[1], seed=101) in tasks


@pytest.mark.parametrize(
    ("promise", "outcomes", "said"),
    [
        ({}, [outcome(None)], []),
        ({"median_minutes": 5.0}, [], []),
        ({"median_minutes": 5.0}, [outcome(900.0)] * 40, []),
        (
            {"median_minutes": 5.0},
            [outcome(901.0)] * 40,
            ["w: the median is 5.0 min, at most 5 are promised"],
        ),
        ({"median_minutes": 5.0}, [outcome(901.0)] * 2, []),
        ({"median_minutes": 5.0}, [outcome(901.0)] * 9, ["w: the median is 5.0 min, at most 5 are promised"]),
        ({"median_minutes": 5.0}, [outcome(None)], ["w: 1 of 1 were not rolled back"]),
        ({"median_minutes": 5.0}, [outcome(599.0)], ["w: 1 of 1 were rolled back before the fault"]),
        ({"between_minutes": (5.0, 7.0)}, [outcome(900.0), outcome(1_020.0)], []),
        ({"between_minutes": (5.0, 7.0)}, [outcome(890.0)], ["w: 4.8 to 4.8 min, 5 to 7 are promised"]),
        ({"between_minutes": (5.0, 7.0)}, [outcome(1_030.0)], ["w: 7.2 to 7.2 min, 5 to 7 are promised"]),
        ({"between_minutes": (5.0, 7.0)}, [outcome(None)], ["w: 1 of 1 were not rolled back"]),
        ({"most_rolled_back_percent": 0.5}, [outcome(9.0)] + [outcome(None)] * 199, []),
        (
            {"most_rolled_back_percent": 0.5},
            [outcome(9.0)] + [outcome(None)] * 198,
            ["g: 1 of 199 were rolled back, at most 0.5 % are allowed"],
        ),
        ({"most_passes": 0}, [outcome(None, passes=2)], ["w: 2 verdicts allowed to go on"]),
    ],
    ids=[f"case-{number:02}" for number in range(15)],
)
def test_a_broken_promise_is_told(
    promise: dict[str, object], outcomes: list[Outcome], said: list[str]
) -> None:
    """Each with its numbers; a median of a few worlds has some room for chance."""
    assert broken({"w": outcomes}, [kind(**promise)]) == said


@pytest.mark.parametrize(
    ("late", "said"),
    [
        pytest.param(15, [], id="15-of-20"),
        pytest.param(16, ["both: the median is 5.0 min, at most 5 are promised"], id="16-of-20"),
    ],
)
def test_a_median_of_few_worlds_is_judged_with_those_of_the_kinds_that_are_alike(
    late: int, said: list[str]
) -> None:
    """Ten of each could not be told from chance; sixteen of twenty are no chance."""
    delays = [outcome(901.0)] * late + [outcome(700.0)] * (20 - late)
    kinds = [kind("a", alike="both", median_minutes=5.0), kind("b", alike="both", median_minutes=5.0)]

    assert broken({"a": delays[:10], "b": delays[10:]}, kinds) == said


def test_a_kind_that_ran_often_is_judged_by_its_own_median() -> None:
    """What is like it and in time does not make up for it, and is not blamed for it."""
    kinds = [kind("a", alike="both", median_minutes=5.0), kind("b", alike="both", median_minutes=5.0)]

    problems = broken({"a": [outcome(901.0)] * 30, "b": [outcome(700.0)] * 29}, kinds)

    assert problems == ["a: the median is 5.0 min, at most 5 are promised"]


def test_kinds_that_are_alike_have_the_same_promise() -> None:
    """One word, one figure: six of a fault of ours."""
    promises = {(one.alike, one.promise) for one in CATALOGUE if one.alike}

    assert len(promises) == len({word for word, _ in promises}) == 6


def test_few_worlds_are_taken_from_all_over_the_kinds() -> None:
    """Not the first ones: sixty of ninety would be healthy ones and faults, and nothing else."""
    groups = {task.kind.group for task in spread(20)}

    assert groups == {one.group for one in CATALOGUE}
    assert {task.seed for task in spread(20, first=7)} == {7}


def test_a_short_run_of_kinds_that_have_no_place_in_it_has_one_of_each() -> None:
    """Whoever asks for the limits alone sees them."""
    limits = [one for one in CATALOGUE if one.group == "the limits"]

    assert [task.kind for task in short_run(limits)] == limits


@pytest.mark.parametrize(
    ("promise", "said"),
    [
        ({"median_minutes": 5.0}, "median at most 5 min"),
        ({"between_minutes": (4.5, 7.0)}, "4.5 to 7 min"),
        ({"most_rolled_back_percent": 0.5}, "at most 0.5 % rolled back"),
        ({"most_passes": 0}, "at most 0 passes"),
        ({}, "–"),
    ],
    ids=["median", "between", "rolled-back", "passes", "nothing"],
)
def test_the_table_says_beside_what_came_what_is_promised(promise: dict[str, object], said: str) -> None:
    """So that nobody has to know the page by heart."""
    text = table({"w": [outcome(900.0)]}, criteria=Criteria(), kinds=[kind(**promise)])

    assert f"| median 5.0 min, 5.0 to 5.0 | {said} | 12 |" in text


def test_the_table_has_the_thresholds_beside_what_they_do() -> None:
    """What differs from the default is marked; worlds that did not run are left out."""
    outcomes = {"a": [outcome(900.0), outcome(None)], "b": [outcome(None, fault_at=None)]}

    text = table(outcomes, criteria=Criteria(openings_hold=3), kinds=[kind("a"), kind("b"), kind("c")])

    assert "openings_hold = 3 (default: 5)" in text
    assert "cusum_limit = 9.2\n" in text
    assert "| a | 2 | 50.0 % | median 5.0 min, 5.0 to 5.0 | – | 12 | success_rate_sequence 1 |" in text
    assert text.endswith("| b | 1 | 0.0 % | – | – | – | – |")
    assert text.count("| world |") == 1


def test_the_catalogue_has_each_world_once() -> None:
    """Outcomes are told apart by the world's name."""
    names = [one.world.name for one in CATALOGUE]

    assert len(names) == len(set(names)) > 80
