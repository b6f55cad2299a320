"""Whether the receivers are there: how often their breakers opened, and which of them cannot be reached.

Pure: criteria and evidence go in, readings come out. Invariant: an endpoint that is not in use says nothing.
Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from rollout.criteria import Criteria
from rollout.evidence import DAY_MINUTES, Evidence
from rollout.verdict import Reading, Standing

__all__ = ["breaker_openings", "receiver_unreachable"]

_NAMED = 5  # endpoints that a reason names, so that a hundred of them do not fill a page


def breaker_openings(criteria: Criteria, evidence: Evidence, _now: float) -> Iterator[Reading]:
    """Read how often each breaker opened in 24 h: each one in breach, or else the worst."""
    since = evidence.until - DAY_MINUTES
    times = {name: one.openings_since(since) for name, one in evidence.endpoints.items()}
    worst = sorted(times, key=lambda name: (-times[name], name))
    breached = [name for name in worst if times[name] >= criteria.openings_hold]
    for name in breached or worst[:1] or [""]:
        yield _openings(name, times.get(name, 0), criteria)


def _openings(name: str, times: int, criteria: Criteria) -> Reading:
    hold, line = criteria.openings_hold, criteria.openings_roll_back
    standing = Standing.ROLL_BACK if times > line else Standing.HOLD if times >= hold else Standing.GO_ON
    return Reading(
        measure="breaker_openings",
        scope=name,
        value=times,
        sample=times,
        needed=0,
        go_on=f"< {hold}",
        hold=f"{hold} to {line}",
        roll_back=f"> {line}",
        standing=standing,
        why=f"the breaker{f' of {name}' if name else ''} opened {times} times in 24 h",
    )


def receiver_unreachable(criteria: Criteria, evidence: Evidence, now: float) -> Iterator[Reading]:
    """Read which endpoints in use have been unreachable for the whole of the last minutes."""
    used, minutes = evidence.in_use(criteria), criteria.unreachable_minutes
    lost = sorted(name for name, one in used.items() if one.reach.is_lost(now, minutes=minutes))
    many, share = criteria.unreachable_endpoints, criteria.unreachable_percent
    is_breach = 2 * len(lost) > len(used) or (len(lost) >= many and 100 * len(lost) >= share * len(used))
    names = ", ".join(lost[:_NAMED]) + (f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else "")
    yield Reading(
        measure="receiver_unreachable",
        scope=lost[0] if len(lost) == 1 else "",
        value=len(lost),
        sample=len(used),
        needed=0,
        roll_back=f"for {minutes} minutes: the only one, more than half, or {many} and {share:g} %",
        standing=Standing.ROLL_BACK if is_breach else Standing.GO_ON,
        why=f"{len(lost)} of {len(used)} endpoints in use cannot be reached" + (f": {names}" if lost else ""),
    )
