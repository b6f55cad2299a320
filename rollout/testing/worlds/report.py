"""Many worlds at once: what the guard did in each kind, as a table, and whether the promises held.

Pure but for the worlds' own chance: who runs them on several processes hands the outcomes in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rollout.criteria import Criteria
from rollout.testing.worlds.catalogue import CATALOGUE, Kind
from rollout.testing.worlds.world import Outcome

__all__ = ["Task", "broken", "short_run", "spread", "table"]


# Below so many worlds a median is judged by a sign test (2.4 standard deviations), not by itself.
_FEW = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One world to run: its kind and its seed."""

    kind: Kind
    seed: int


def short_run(kinds: Sequence[Kind] = CATALOGUE) -> list[Task]:
    """Return the worlds of a short run, the same each time."""
    return [Task(kind=kind, seed=seed) for kind in kinds for seed in range(kind.in_ci)]


def spread(worlds: int, *, first: int = 0, kinds: Sequence[Kind] = CATALOGUE) -> list[Task]:
    """Return *worlds* tasks, spread over *kinds* by weight, each kind's seeds from *first* on."""
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
    late = promise.median_minutes
    if late is not None and sum(delay > late for delay in delays) > _half(len(delays)):
        yield f"{name}: the median is {median(delays):.1f} min, at most {late:g} are promised"
    if promise.between_minutes is not None and delays:
        low, high = promise.between_minutes
        if min(delays) < low or max(delays) > high:
            yield f"{name}: {min(delays):.1f} to {max(delays):.1f} min, {low:g} to {high:g} are promised"
    passes = sum(one.passes for one in outcomes)
    if promise.most_passes is not None and passes > promise.most_passes:
        yield f"{name}: {passes} verdicts allowed to go on"


def _half(sample: int) -> float:
    """Return how many may lie above a median that is kept: half of them, and of a few some more by chance."""
    return sample / 2 + (1.2 * sample**0.5 if sample < _FEW else 0.0)


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
            yield "| world | worlds | rolled back | after the fault | deliveries that failed | because of |"
            yield "|---|---|---|---|---|---|"
        yield f"| {kind.world.name} | {len(ran)} | {' | '.join(_cells(ran))} |"


def _cells(ran: Sequence[Outcome]) -> Iterator[str]:
    gone = [one for one in ran if one.rolled_back_at is not None]
    delays = [one.delay_minutes for one in gone if one.delay_minutes is not None]
    yield f"{100 * len(gone) / len(ran):.1f} %"
    yield f"median {median(delays):.1f} min, {min(delays):.1f} to {max(delays):.1f}" if delays else "–"
    yield f"{median(one.failed for one in ran):g}" if ran[0].fault_at is not None else "–"
    yield (
        ", ".join(f"{name} {count}" for name, count in Counter(one.measure for one in gone).most_common())
        or "–"
    )
