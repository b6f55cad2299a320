"""A stage that changes: what is taken over the stage begins anew, the rules by the minute do not."""

from __future__ import annotations

import pytest

from rollout.counters import Counts
from rollout.criteria import Criteria
from rollout.evidence import Evidence, Row
from rollout.guard import look
from rollout.verdict import Call
from tests.guarding import BEGIN, FIRST, SLOW, WELL, reading, row, seen, verdict_of

CRITERIA = Criteria()
#: Each is bad for one of the rules by the minute and for no other; the sequential test sees none of them.
BAD = {
    "success_rate_minutes": {**WELL, "ok": 22, "failed_redirect": 3},
    "latency_minutes": {**WELL, SLOW: 5},
    "dispatch_time_minutes": {**WELL, "dispatch_13": 9},
}


def first_breach(rows: list[Row], *, changes: tuple[int, ...], criteria: Criteria = CRITERIA) -> str:
    """Tick every 15 s, with a new stage at the end of each of these minutes; say when it rolled back."""
    evidence = Evidence(since=BEGIN)
    for seconds in range(15, 30 * 60, 15):
        now = BEGIN + seconds
        there = [one for one in rows if evidence.until <= one.minute and one.minute * 60 <= now]
        found = look(criteria, evidence, there, now=now)
        evidence = found.keep
        if found.verdict.call is Call.ROLL_BACK:
            return f"{seconds // 60} min: {', '.join(one.measure for one in found.verdict.reasons)}"
        if seconds % 60 == 0 and seconds // 60 in changes:
            evidence = evidence.next_stage(now)
    return "never"


@pytest.mark.parametrize("changes", [(), (11,), (14,), (15,), (11, 12, 13, 14)], ids=str)
@pytest.mark.parametrize("measure", BAD)
def test_five_bad_minutes_are_five_whatever_stage_they_are_of(measure: str, changes: tuple[int, ...]) -> None:
    """Bad from minute ten on: rolled back when the fifth is over, and no later for a stage that changed."""
    rows = [row(minute, WELL if minute < 10 else BAD[measure]) for minute in range(30)]

    found = first_breach(rows, changes=changes)

    assert found == f"15 min: {measure}"


def test_a_good_minute_between_two_stages_breaks_the_row() -> None:
    """Four bad minutes before the change, a good one, four after it: not five in a row."""
    bad = BAD["success_rate_minutes"]
    rows = [row(minute, WELL if minute in (4, *range(9, 30)) else bad) for minute in range(30)]

    found = first_breach(rows, changes=(4,), criteria=Criteria(cusum_limit=99))

    assert found == "never"


def test_what_is_taken_over_the_stage_begins_with_it() -> None:
    """Totals and the last hour hold nothing of the stage before; its minutes are kept apart."""
    old = seen([row(minute, WELL) for minute in range(9)], minutes=9)

    new = old.next_stage(BEGIN + 9 * 60).fold([row(9, WELL)], criteria=CRITERIA, until=FIRST + 10)

    assert new.stage == new.recent == Counts(WELL)
    assert [one.minute - FIRST for one in new.window] == [9]
    assert [one.minute - FIRST for one in new.minutes] == list(range(10))


def test_minutes_of_the_stage_before_that_were_not_folded_yet_are_kept_apart() -> None:
    """Between the last settled minute and the change lie some that may still get rows."""
    old = seen([row(0, WELL)], minutes=1)

    rows = [row(minute, WELL) for minute in range(5)]
    new = old.next_stage(BEGIN + 3 * 60 + 5).fold(rows, criteria=CRITERIA, until=FIRST + 5)

    assert [one.minute - FIRST for one in new.window] == [3, 4]
    assert [one.minute - FIRST for one in new.earlier] == [0, 1, 2]


def test_minutes_of_stages_before_leave_with_the_window() -> None:
    """However many stages there were, no more minutes are remembered than the window has."""
    criteria = Criteria(window_minutes=10)
    evidence = seen([row(minute, WELL) for minute in range(30)], minutes=30, criteria=criteria)
    for minute in range(30, 60):
        evidence = evidence.next_stage(BEGIN + minute * 60)
        evidence = evidence.fold([row(minute, WELL)], criteria=criteria, until=FIRST + minute + 1)

        assert len(evidence.minutes) == 10

    assert evidence.fold([], criteria=criteria, until=FIRST + 70).minutes == ()


def test_a_start_knows_no_minute_of_before() -> None:
    """What a person starts again does not roll back for what ended it."""
    bad = [row(minute, BAD["success_rate_minutes"]) for minute in range(5)]

    begun = Evidence.begun(bad, since=BEGIN + 5 * 60)

    assert verdict_of(bad, minutes=5).call is Call.ROLL_BACK
    assert begun.fold(bad, criteria=CRITERIA, until=FIRST + 6).minutes == ()
    assert reading(look(CRITERIA, begun, bad, now=BEGIN + 361).verdict, "success_rate_minutes").value == 0
