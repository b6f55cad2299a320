"""The store's clock went back: minutes that were folded already come again.

A fail-over to a host with another clock, or a clock that is corrected. Without this file their rows would be
taken for folded, and the guard would pass on what it knew before. Pure. Invariants: nothing counts twice, and
what is new in a minute that comes again is seen as in any other; what is remembered does not grow with how
far the clock went back. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rollout.counters import Counts
from rollout.endpoints import Endpoint
from rollout.evidence import Evidence, Minute, Row, added_up, minute_of
from rollout.reach import THERE

__all__ = ["dated_back", "minutes_back", "noted"]


def minutes_back(evidence: Evidence, now: float) -> int:
    """Return by how many minutes the clock went back at least; 0: it did not.

    It did where the present minute is folded already: that takes a minute after its end, so that a clock
    which goes back by less hides nothing.

    Args:
        evidence: What the last look kept.
        now: Epoch seconds, the store's clock.
    """
    if minute_of(now) >= evidence.until:
        return 0
    return int((evidence.until + 1) * 60 - now) // 60


def dated_back(evidence: Evidence, rows: Iterable[Row], *, now: float) -> Evidence:
    """Return *evidence* as of the minute of *now*, which lies before its end.

    What it remembers by the minute is dated back as far as the clock went, so that five minutes are five all
    the same. Openings are not: their breakers tell them again, with the minutes of then.
    """
    minute = minute_of(now)
    by = evidence.until - minute
    back = replace(
        evidence,
        until=minute,
        again=max(evidence.again, evidence.until),
        window=_earlier(evidence.window, by),
        earlier=_earlier(evidence.earlier, by),
        endpoints={name: _endpoint(one, by) for name, one in evidence.endpoints.items()},
    )
    return noted(back, rows, now=now)


def noted(evidence: Evidence, rows: Iterable[Row], *, now: float) -> Evidence:
    """Return *evidence* with what the minutes that come again held already when they were seen first.

    It is taken away from what they hold later. The first look in a minute does not know what came in the
    seconds before it: that is lost, so that nothing is counted twice.
    """
    known = {row.minute for row in evidence.before}
    begun = range(evidence.until, min(minute_of(now) + 1, evidence.again))
    new = [minute for minute in begun if minute not in known]
    if not new:
        return evidence
    there = added_up(rows, range(new[0], new[-1] + 1))
    # A minute without rows is noted too, by an empty one: what it holds at the next look is new.
    held = [
        Row(minute, name, counts)
        for minute in new
        for name, counts in (there.get(minute) or {"": Counts()}).items()
    ]
    return replace(evidence, before=tuple(sorted((*evidence.before, *held), key=lambda row: row[:2])))


def _earlier(minutes: Iterable[Minute], by: int) -> tuple[Minute, ...]:
    return tuple(one._replace(minute=one.minute - by) for one in minutes)


def _endpoint(one: Endpoint, by: int) -> Endpoint:
    reach = one.reach
    if reach != THERE:
        reach = reach._replace(first=reach.first - by, last=reach.last - by)
    return one._replace(reach=reach, seen=one.seen - by if one.seen else 0)
