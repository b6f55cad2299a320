"""Many worlds at once: what the guard did in each kind, as a table, and whether the promises held.

Pure but for the worlds' own chance: who runs them on several processes hands the outcomes in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rollout.criteria import Criteria
from rollout.testing.worlds.catalogue import CATALOGUE, Kind, Promise
from rollout.testing.worlds.world import Outcome

__all__ = ["Task", "broken", "short_run", "spread", "table"]


# Below so many worlds of a kind its median is not judged by itself, but by a sign test (2.4 standard
# deviations) over all the kinds that are alike: two of two may well be late with nothing the matter.
_FEW = 30
_HEAD = (
    "world",
    "worlds",
    "rolled back",
    "after the fault",
    "promised",
    "deliveries that failed",
    "because of",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One world to run: its kind and its seed."""

    kind: Kind
    seed: int


def short_run(kinds: Sequence[Kind] = CATALOGUE) -> list[Task]:
    """Return the worlds of a short run, the same each time; where *kinds* has none of them, one of each."""
    tasks = [Task(kind=kind, seed=seed) for kind in kinds for seed in range(kind.in_ci)]
    return tasks or [Task(kind=kind, seed=0) for kind in kinds]


def spread(worlds: int, *, first: int = 0, kinds: Sequence[Kind] = CATALOGUE) -> list[Task]:
    """Return *worlds* tasks, spread over *kinds* by weight, each kind's seeds from *first* on.

    Fewer worlds than kinds are taken from all over them, so that no group is left out for its place.
    """
    if worlds < len(kinds):
        return [Task(kind=kinds[number * len(kinds) // worlds], seed=first) for number in range(worlds)]
    wheel = [
        kind for turn in range(max(kind.weight for kind in kinds)) for kind in kinds if turn < kind.weight
    ]
    seeds: Counter[str] = Counter()
    tasks = []
    for number in range(worlds):
        kind = wheel[number % len(wheel)]
        tasks.append(Task(kind=kind, seed=first + seeds[kind.world.name]))
        seeds[kind.world.name] += 1
    return tasks


def broken(outcomes: Mapping[str, Sequence[Outcome]], kinds: Sequence[Kind] = CATALOGUE) -> list[str]:
    """Return the promises that did not hold, a sentence each.

    Args:
        outcomes: By the world's name.
        kinds: Whose promises. Those of one group share how many may be rolled back.
    """
    found = [problem for kind in kinds for problem in _broken(kind, outcomes.get(kind.world.name, ()))]
    found += _late(outcomes, kinds)
    groups: dict[str, list[Kind]] = {}
    for kind in kinds:
        groups.setdefault(kind.group, []).append(kind)
    for group, members in groups.items():
        most = members[0].promise.most_rolled_back_percent
        ran = [one for kind in members for one in outcomes.get(kind.world.name, ())]
        gone = sum(one.rolled_back_at is not None for one in ran)
        if most is not None and 100 * gone > most * len(ran):
            found.append(f"{group}: {gone} of {len(ran)} were rolled back, at most {most:g} % are allowed")
    return found


def _broken(kind: Kind, outcomes: Sequence[Outcome]) -> Iterator[str]:
    promise, name = kind.promise, kind.world.name
    if not outcomes:
        return
    delays = [one.delay_minutes for one in outcomes if one.delay_minutes is not None]
    if promise.median_minutes is not None or promise.between_minutes is not None:
        if len(delays) < len(outcomes):
            yield f"{name}: {len(outcomes) - len(delays)} of {len(outcomes)} were not rolled back"
        if early := sum(delay < 0 for delay in delays):
            yield f"{name}: {early} of {len(outcomes)} were rolled back before the fault"
    if promise.between_minutes is not None and delays:
        low, high = promise.between_minutes
        if min(delays) < low or max(delays) > high:
            yield f"{name}: {min(delays):.1f} to {max(delays):.1f} min, {low:g} to {high:g} are promised"
    passes = sum(one.passes for one in outcomes)
    if promise.most_passes is not None and passes > promise.most_passes:
        yield f"{name}: {passes} verdicts allowed to go on"


def _late(outcomes: Mapping[str, Sequence[Outcome]], kinds: Iterable[Kind]) -> Iterator[str]:
    """Judge the medians: of a kind that ran often by itself, of the others together with those like them."""
    pools: dict[tuple[str, float, bool], list[float]] = {}
    for kind in kinds:
        ran, most = outcomes.get(kind.world.name, ()), kind.promise.median_minutes
        if most is None:
            continue
        is_few = len(ran) < _FEW
        name = kind.alike if is_few and kind.alike else kind.world.name
        pool = pools.setdefault((name, most, is_few), [])
        pool += [one.delay_minutes for one in ran if one.delay_minutes is not None]
    for (name, most, is_few), delays in pools.items():
        by_chance = 1.2 * len(delays) ** 0.5 if is_few else 0.0
        if sum(delay > most for delay in delays) > len(delays) / 2 + by_chance:
            yield f"{name}: the median is {median(delays):.1f} min, at most {most:g} are promised"


def table(
    outcomes: Mapping[str, Sequence[Outcome]], *, criteria: Criteria, kinds: Sequence[Kind] = CATALOGUE
) -> str:
    """Return the thresholds, and beside them what was seen: a Markdown table for each group of worlds."""
    return "\n".join([*_thresholds(criteria), *_lines(outcomes, kinds)])


def _thresholds(criteria: Criteria) -> Iterator[str]:
    defaults = Criteria().as_dict()
    for name, value in criteria.as_dict().items():
        yield f"{name} = {value}" + ("" if defaults[name] == value else f" (default: {defaults[name]})")


def _lines(outcomes: Mapping[str, Sequence[Outcome]], kinds: Iterable[Kind]) -> Iterator[str]:
    group = ""
    for kind in kinds:
        ran = outcomes.get(kind.world.name, ())
        if not ran:
            continue
        if kind.group != group:
            group = kind.group
            yield f"\n{group}\n"
            yield f"| {' | '.join(_HEAD)} |"
            yield f"|{'---|' * len(_HEAD)}"
        yield f"| {kind.world.name} | {len(ran)} | {' | '.join(_cells(ran, kind.promise))} |"


def _cells(ran: Sequence[Outcome], promise: Promise) -> Iterator[str]:
    gone = [one for one in ran if one.rolled_back_at is not None]
    delays = [one.delay_minutes for one in gone if one.delay_minutes is not None]
    yield f"{100 * len(gone) / len(ran):.1f} %"
    yield f"median {median(delays):.1f} min, {min(delays):.1f} to {max(delays):.1f}" if delays else "–"
    yield ", ".join(_promised(promise)) or "–"
    yield f"{median(one.failed for one in ran):g}" if ran[0].fault_at is not None else "–"
    yield (
        ", ".join(f"{name} {count}" for name, count in Counter(one.measure for one in gone).most_common())
        or "–"
    )


def _promised(promise: Promise) -> Iterator[str]:
    if promise.median_minutes is not None:
        yield f"median at most {promise.median_minutes:g} min"
    if promise.between_minutes is not None:
        yield "{:g} to {:g} min".format(*promise.between_minutes)
    if promise.most_rolled_back_percent is not None:
        yield f"at most {promise.most_rolled_back_percent:g} % rolled back"
    if promise.most_passes is not None:
        yield f"at most {promise.most_passes} passes"
