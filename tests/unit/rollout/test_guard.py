"""The guard as a whole: no data, unreadable data, what a plan leaves out, the shadow stage, a tick."""

from __future__ import annotations

import json

import pytest

from rollout.criteria import Criteria
from rollout.evidence import Evidence, settled_until
from rollout.guard import MEASURES, RULE_VERSION, SOURCES, judge, look
from rollout.verdict import Call, Standing, Verdict, VerdictKind
from tests.guarding import BEGIN, FIRST, WELL, reading, row, seen, verdict_of

CRITERIA = Criteria()
WELL_ROWS = [row(minute, WELL) for minute in range(4)]
DEAD = {"failed_server_error": 30, "attempts": 90}


def test_no_data_holds_and_says_what_is_missing() -> None:
    """Neither a pass nor a rollback, however long nothing comes."""
    verdict = verdict_of([], minutes=48 * 60)

    assert (verdict.kind, verdict.call) == (VerdictKind.UNDECIDED, Call.HOLD)
    assert "success rate: 0 of 0 deliveries arrived; 25 deliveries are needed at least" in verdict.missing
    assert verdict.rule_version == RULE_VERSION


@pytest.mark.parametrize(("minutes", "kind"), [(63, VerdictKind.PASS), (64, VerdictKind.UNDECIDED)])
@pytest.mark.parametrize("is_shadow", [False, True])
def test_an_hour_without_deliveries_is_no_data_however_long_the_window_is(
    minutes: int, kind: VerdictKind, is_shadow: bool
) -> None:
    """The last of four well minutes lies an hour back, and then more; of a shadow stage, envelopes."""
    day = Criteria(window_minutes=1_440)
    silent = [row(minute, {"dispatch_03": 1}) for minute in range(4, 64)]
    evidence = seen([*WELL_ROWS, *silent], minutes=minutes, criteria=day)

    verdict = judge(day, evidence, BEGIN + 60 * minutes - 0.1, is_shadow=is_shadow)

    assert verdict.kind is kind
    what = "envelope was built" if is_shadow else "delivery ended"
    said = [] if kind is VerdictKind.PASS else [f"no {what} at this stage in the last 60 minutes"]
    assert list(verdict.missing) == said
    assert kind is VerdictKind.PASS or verdict.explain() == f"hold: {said[0]}"


@pytest.mark.parametrize("source", SOURCES)
def test_what_cannot_be_read_is_undecided(source: str) -> None:
    """All measures of that source, whatever is known of them, and no others."""
    evidence = seen(
        [row(minute, {**WELL, **DEAD, "openings": 9, "pii": 1}) for minute in range(6)], minutes=6
    )
    well = seen(WELL_ROWS, minutes=4)

    verdict = judge(CRITERIA, evidence, BEGIN + 360, unreadable={source: "no connection"})
    otherwise_well = judge(CRITERIA, well, BEGIN + 240, unreadable={source: "no connection"})

    measures = {name for name, (of, _) in MEASURES.items() if of == source}
    unread = {one.measure for one in verdict.readings if one.why == "cannot be read: no connection"}
    assert unread == measures
    assert {one.standing for one in verdict.readings if one.measure in measures} == {Standing.UNDECIDED}
    assert (otherwise_well.kind, otherwise_well.call) == (VerdictKind.UNDECIDED, Call.HOLD)


def test_with_nothing_to_be_read_a_rollback_is_not_made_by_itself() -> None:
    """What was known before does not roll back while nobody can look."""
    evidence = seen([row(0, DEAD)], minutes=1)

    verdict = judge(CRITERIA, evidence, BEGIN + 60, unreadable=dict.fromkeys(SOURCES, "no connection"))

    assert judge(CRITERIA, evidence, BEGIN + 60).call is Call.ROLL_BACK
    assert verdict.call is Call.HOLD


def test_a_plan_may_leave_out_what_its_application_cannot_measure() -> None:
    """Without dispatch times and latencies the rest decides; they are not mentioned."""
    rows = [row(minute, {"ok": 25}) for minute in range(4)]
    without = Criteria(leave_out=("dispatch_time", "latency"))

    with_all, left_out = verdict_of(rows, minutes=4), verdict_of(rows, minutes=4, criteria=without)

    assert with_all.kind is VerdictKind.UNDECIDED
    assert left_out.kind is VerdictKind.PASS
    assert not [one for one in left_out.readings if one.measure.startswith(("latency", "dispatch"))]


def test_a_rollback_is_told_with_its_numbers() -> None:
    """The reasons are the measures in breach alone."""
    verdict = verdict_of([row(0, DEAD)], minutes=1)

    assert [one.measure for one in verdict.reasons] == ["success_rate_sequence"]
    assert verdict.explain() == (
        "roll_back: success rate sequence: the sequential test of 80 % against 92 % stands at 27.49;"
        " it rolls back from 9.2 on"
    )


def test_a_verdict_of_the_guard_survives_json() -> None:
    """The journal gets back what was judged."""
    verdict = verdict_of([row(minute, {**WELL, "openings": 2}) for minute in range(4)], minutes=4)

    assert Verdict.from_dict(json.loads(json.dumps(verdict.as_dict()))) == verdict


@pytest.mark.parametrize(
    ("counts", "call"),
    [
        ({"envelopes": 20, "dispatch_03": 25}, Call.ADVANCE_ALLOWED),
        ({"envelopes": 19, "dispatch_03": 25}, Call.HOLD),
        ({"envelopes": 25, "dispatch_03": 25, "pii_free_text": 1}, Call.HOLD),
        ({"envelopes": 25, "dispatch_03": 25, "pii": 1}, Call.ROLL_BACK),
        ({"envelopes": 25, "dispatch_06": 25}, Call.HOLD),
        ({}, Call.HOLD),
    ],
    ids=["well", "few", "free-text", "pii", "slow", "nothing"],
)
def test_a_shadow_stage_is_judged_by_what_it_does(counts: dict[str, int], call: Call) -> None:
    """Envelopes built and checked, personal data, time added: it sends nothing."""
    verdict = judge(CRITERIA, seen([row(0, counts)], minutes=1), BEGIN + 60, is_shadow=True)

    assert verdict.call is call
    assert {one.measure for one in verdict.readings} == {
        *("envelopes", "pii", "dispatch_time_p95", "dispatch_time_minutes")
    }


def test_a_look_keeps_what_is_settled_and_judges_all_of_it() -> None:
    """The minute at hand counts in the verdict and is folded again at the next tick."""
    now = BEGIN + 60 * 4 + 30
    rows = [*WELL_ROWS, row(4, DEAD)]

    found = look(CRITERIA, Evidence(since=BEGIN), rows, now=now)

    assert found.keep == seen(WELL_ROWS, minutes=3)
    assert found.keep.until == settled_until(now) == FIRST + 3
    assert found.seen.stage.get("failed_server_error") == 30
    assert found.verdict.call is Call.ROLL_BACK


def test_ticks_of_any_length_come_to_the_same() -> None:
    """Every 15 s, every minute or once: what is kept is the same, and what is seen as well."""
    rows = [row(minute, {**WELL, "failed_server_error": minute % 4}) for minute in range(20)]
    often = rarely = Evidence(since=BEGIN)

    for seconds in range(15, 1_215, 15):
        there = [one for one in rows if one.minute * 60 <= BEGIN + seconds]
        often = look(CRITERIA, often, there, now=BEGIN + seconds).keep
    at_once = look(CRITERIA, rarely, rows, now=BEGIN + 1_200)

    assert often == at_once.keep


def test_rows_that_cannot_be_read_fold_no_minute() -> None:
    """Nothing is lost: they are read at the next tick."""
    before = seen(WELL_ROWS, minutes=2)

    found = look(CRITERIA, before, None, now=BEGIN + 3_600, unreadable={"pii": "no file"})

    assert found.keep is found.seen is before
    assert found.verdict.call is Call.HOLD
    assert reading(found.verdict, "pii").why == "cannot be read: no file"
    assert reading(found.verdict, "success_rate").why == "cannot be read: the evidence could not be read"


def test_the_measures_stand_in_the_order_of_the_contracts_table() -> None:
    """A person finds them where the table has them."""
    assert list(MEASURES) == [
        *("success_rate", "latency", "breaker_openings", "pii", "signature_rejected"),
        *("receiver_unreachable", "retried", "client_errors", "server_errors", "dispatch_time"),
    ]
