"""What the guard remembers between ticks, as one text that the rollout's state keeps.

The invariants: `loads(dumps(evidence)) == evidence`; what is no such text is None, so that a guard that
cannot remember begins to count anew, which holds and never advances. Explained in
docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from rollout.counters import Counts
from rollout.endpoints import Endpoint
from rollout.errors import ConfigError
from rollout.evidence import Evidence, Minute, Row
from rollout.reach import Reach
from rollout.streaks import Streak

__all__ = ["dumps", "loads"]

# Grows with every change of the form or of what a number means: what another version wrote is not read. A
# key that is added changes no form: older versions leave it alone, and what they wrote does without.
_FORM = 2


def dumps(evidence: Evidence) -> str:
    """Return *evidence* as one line of JSON, ASCII."""
    data = {
        "form": _FORM,
        "since": evidence.since,
        "until": evidence.until,
        "stage": evidence.stage.as_dict(),
        "window": _listed(evidence.window),
        "earlier": _listed(evidence.earlier),
        "endpoints": evidence.endpoints,
        "cusum": evidence.cusum,
        "again": evidence.again,
        "before": [(one.minute, one.endpoint, one.counts.as_dict()) for one in evidence.before],
    }
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def loads(text: str) -> Evidence | None:
    """Return what `dumps` wrote; None where *text* is anything else."""
    try:
        data = json.loads(text)
        if data["form"] != _FORM:
            return None
        window = _minutes(data["window"])
        return Evidence(
            since=float(data["since"]),
            until=int(data["until"]),
            stage=Counts(data["stage"]),
            window=window,
            recent=Counts.sum(one.counts for one in window),
            earlier=_minutes(data.get("earlier", [])),
            endpoints={str(name): _endpoint(one) for name, one in data["endpoints"].items()},
            cusum=float(data["cusum"]),
            before=tuple(Row(int(minute), str(name), Counts(each)) for minute, name, each in data["before"]),
            again=int(data.get("again", 0)),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, ConfigError):
        return None


def _listed(minutes: Iterable[Minute]) -> list[tuple[int, dict[str, int], int]]:
    return [(one.minute, one.counts.as_dict(), one.failed) for one in minutes]


def _minutes(data: Iterable[tuple[int, dict[str, int], int]]) -> tuple[Minute, ...]:
    return tuple(Minute(int(minute), Counts(counts), int(failed)) for minute, counts, failed in data)


def _endpoint(data: list[object]) -> Endpoint:
    failures, unanswered, is_failing, reach, seen, openings = data
    return Endpoint(
        failures=_streak(failures),
        unanswered=_streak(unanswered),
        is_failing=is_failing is True,
        reach=Reach(*_whole(reach, count=3)),
        seen=_whole([seen], count=1)[0],
        openings=tuple((pair[0], pair[1]) for pair in (_whole(one, count=2) for one in _items(openings))),
    )


def _streak(data: object) -> Streak:
    run, before, last = _items(data)
    first, second = _whole(before, count=2), _whole(last, count=2)
    return Streak(run=_whole([run], count=1)[0], before=(first[0], first[1]), last=(second[0], second[1]))


def _items(data: object) -> list[object]:
    if not isinstance(data, list):
        raise TypeError("no list")
    return data


def _whole(data: object, *, count: int) -> list[int]:
    numbers = [each for each in _items(data) if isinstance(each, int)]
    if len(numbers) != count or len(_items(data)) != count:
        raise TypeError("not so many whole numbers")
    return numbers
