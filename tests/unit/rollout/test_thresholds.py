"""Every threshold of the contract §10 at both sides of its edge."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

import pytest

from rollout.criteria import Criteria
from rollout.latency import DISPATCH, LATENCY
from rollout.rates import longest_run, percent, wilson_lower
from rollout.verdict import Call, Standing, VerdictKind
from tests.guarding import FAST, FIRST, SLOW, WELL, reading, row, seen, verdict_of

GO, HOLD, BACK, OPEN = Standing.GO_ON, Standing.HOLD, Standing.ROLL_BACK, Standing.UNDECIDED


def of_hour(counts: Mapping[str, int], measure: str, *, criteria: Criteria | None = None) -> Standing:
    """Put *counts* into one minute and return where *measure* stands."""
    return reading(verdict_of([row(0, counts)], minutes=1, criteria=criteria), measure).standing


def of_minutes(counts: Mapping[str, int], measure: str, *, minutes: int) -> Standing:
    """Have *minutes* like this one after the other and return where *measure* stands at their end."""
    rows = [row(minute, counts) for minute in range(minutes)]
    return reading(verdict_of(rows, minutes=minutes), measure).standing


def test_everything_well_allows_to_go_on() -> None:
    """The evidence that the other tests change passes."""
    verdict = verdict_of([row(minute, WELL) for minute in range(4)], minutes=4)

    assert (verdict.kind, verdict.call) == (VerdictKind.PASS, Call.ADVANCE_ALLOWED)
    assert len(verdict.readings) == 15


@pytest.mark.parametrize(
    ("ok", "failed", "standing"),
    [
        (25, 0, GO),
        (24, 0, OPEN),
        (950, 50, GO),
        (949, 51, HOLD),
        (94, 6, HOLD),
        (57, 3, OPEN),
        (23, 2, HOLD),
        (22, 2, OPEN),
        (0, 24, OPEN),
        (0, 25, HOLD),
        (0, 0, OPEN),
    ],
)
def test_success_goes_on_from_95_percent_with_a_lower_bound_of_90(
    ok: int, failed: int, standing: Standing
) -> None:
    """25 of 25 just pass, 24 of 24 do not; below 95 % it holds; 57 of 60 are too few to tell."""
    counts = {"ok": ok, "failed_redirect": failed}

    assert of_hour(counts, "success_rate") is standing


def test_the_lower_bound_is_wilsons() -> None:
    """25 of 25: 90.2 %; 24 of 24: 89.9 %. Nothing of nothing is nothing."""
    assert wilson_lower(25, 25, z=1.645) == pytest.approx(0.90233, abs=1e-5)
    assert wilson_lower(24, 24, z=1.645) == pytest.approx(0.89867, abs=1e-5)
    assert wilson_lower(0, 0, z=1.645) == 0.0
    assert wilson_lower(0, 50, z=1.645) == 0.0
    assert percent(0, 0) is None


@pytest.mark.parametrize(("more", "standing"), [(0.0, GO), (1e-9, OPEN)])
def test_the_lower_bound_is_enough_where_it_is_reached(more: float, standing: Standing) -> None:
    """98 of 100, against the bound of just these, and one a hair higher."""
    line = 100 * wilson_lower(98, 100, z=1.645) + more
    criteria = Criteria(success_lower_bound_percent=line)

    found = of_hour({"ok": 98, "failed_redirect": 2}, "success_rate", criteria=criteria)

    assert found is standing


@pytest.mark.parametrize(("less", "standing"), [(0.0, HOLD), (1e-9, BACK)])
def test_rejected_signatures_roll_back_above_their_line_and_not_at_it(
    less: float, standing: Standing
) -> None:
    """5 of 20, against the line of just their lower bound, and one a hair lower."""
    line = 100 * wilson_lower(5, 20, z=1.645) - less
    criteria = Criteria(signature_roll_back_percent=line)

    found = of_hour({"failed_signature_rejected": 5, "ok": 15}, "signature_rejected", criteria=criteria)

    assert found is standing


@pytest.mark.parametrize(
    ("ok", "failed", "minutes", "standing"),
    [
        (17, 3, 5, BACK),
        (17, 3, 4, GO),
        (18, 2, 5, GO),
        (16, 3, 5, GO),
        (179, 21, 5, BACK),
        (180, 20, 5, GO),
    ],
)
def test_success_below_90_percent_in_five_minutes_in_a_row_rolls_back(
    ok: int, failed: int, minutes: int, standing: Standing
) -> None:
    """Below 90, five minutes, each with 20 deliveries or more."""
    counts = {"ok": ok, "failed_redirect": failed}

    assert of_minutes(counts, "success_rate_minutes", minutes=minutes) is standing


def test_five_bad_minutes_with_a_gap_are_not_five_in_a_row() -> None:
    """A minute without deliveries is no failure, and breaks the row."""
    bad = {"ok": 17, "failed_redirect": 3}
    rows = [row(minute, bad) for minute in (0, 1, 3, 4, 5)]

    assert reading(verdict_of(rows, minutes=6), "success_rate_minutes").value == 3


def test_the_minute_at_hand_is_none_of_the_five() -> None:
    """It is not over: it may still become a good one."""
    rows = [row(minute, {"ok": 17, "failed_redirect": 3}) for minute in range(5)]

    at_hand = reading(verdict_of(rows, minutes=5, seconds=-1), "success_rate_minutes")
    over = reading(verdict_of(rows, minutes=5), "success_rate_minutes")

    assert (at_hand.standing, over.standing) == (GO, BACK)


def test_five_bad_minutes_that_nobody_looked_at_are_found_later() -> None:
    """A runner that was away for half an hour still sees them."""
    rows = [row(minute, {"ok": 17, "failed_redirect": 3}) for minute in range(5)]

    assert reading(verdict_of(rows, minutes=40), "success_rate_minutes").standing is BACK


def test_the_longest_run_needs_minutes_that_follow_on_each_other() -> None:
    """Of none it is 0."""
    window = seen([row(minute, {"ok": 1}) for minute in (0, 1, 2, 7, 8)], minutes=9).window

    assert longest_run(window, before=FIRST + 9) == 3
    assert longest_run(window, before=FIRST + 2) == 2
    assert longest_run([], before=FIRST) == 0


@pytest.mark.parametrize(("failed", "standing"), [(10, GO), (11, BACK)])
def test_the_sequential_test_rolls_back_at_eleven_failures_in_a_row(failed: int, standing: Standing) -> None:
    """10 are 9.16, 11 are 10.08; the limit is 9.2. At any volume: one a minute."""
    rows = [row(minute, {"failed_server_error": 1}) for minute in range(failed)]

    assert reading(verdict_of(rows, minutes=failed), "success_rate_sequence").standing is standing


@pytest.mark.parametrize(("more", "standing"), [(0.0, BACK), (1e-9, GO)])
def test_the_limit_of_the_sequential_test_is_reached_and_not_only_passed(
    more: float, standing: Standing
) -> None:
    """Eleven failures are eleven times the logarithm of 20/8, to the last digit."""
    criteria = Criteria(cusum_limit=11 * log(20 / 8) + more)

    verdict = verdict_of([row(0, {"failed_server_error": 11})], minutes=1, criteria=criteria)

    assert reading(verdict, "success_rate_sequence").standing is standing


@pytest.mark.parametrize(
    ("below", "at", "standing"),
    [(19, 1, GO), (18, 2, HOLD), (18, 1, OPEN), (95, 5, GO), (94, 6, HOLD)],
)
def test_p95_goes_on_below_2_seconds(below: int, at: int, standing: Standing) -> None:
    """1.999 s is below and 2 s is not; 20 deliveries are needed."""
    counts = {LATENCY.column(1.999999): below, LATENCY.column(2.0): at}

    assert of_hour(counts, "latency_p95") is standing


@pytest.mark.parametrize(
    ("seconds", "shown", "why"),
    [
        (1.95, "<= 2000", "p95 of 20 deliveries is at most 2000 ms, below 2000 ms"),
        (2.0, "<= 2089", "p95 of 20 deliveries is at most 2089 ms, not below 2000 ms"),
        (70.0, ">= 64565", "p95 of 20 deliveries is at least 64565 ms, not below 2000 ms"),
    ],
    ids=["below", "at", "in-the-bucket-without-an-end"],
)
def test_a_quantile_says_on_which_side_of_its_number_it_lies(seconds: float, shown: str, why: str) -> None:
    """What is known is a bucket: its edge must not read as what was measured."""
    found = reading(verdict_of([row(0, {LATENCY.column(seconds): 20})], minutes=1), "latency_p95")

    assert (found.shown, found.why) == (shown, why)


def test_a_quantile_of_nothing_has_no_bound() -> None:
    """A dash, and how many are needed."""
    found = reading(verdict_of([], minutes=1), "latency_p95")

    assert (found.shown, found.bound, found.why) == ("-", "", "p95 of 0 deliveries; 20 are needed")


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        (50, "341 of 391 deliveries (87.2 %) arrived, below 95 %"),
        (0, "391 of 391 deliveries (100 %) arrived"),
    ],
)
def test_a_success_rate_is_told_in_percent_and_in_counts(failed: int, said: str) -> None:
    """Both: the share for a person, the counts for whoever checks it."""
    rows = [row(0, {"ok": 391 - failed, "failed_server_error": failed})]

    verdict = verdict_of(rows, minutes=1)

    assert reading(verdict, "success_rate").sentence.startswith(f"success rate: {said}")


def test_a_share_below_a_line_never_reads_as_the_line() -> None:
    """1,999 of 10,000 are 19.9 %, not 20.0 %."""
    verdict = verdict_of([row(0, {"ok": 10_000, "retried": 1_999})], minutes=1)

    assert reading(verdict, "retried").why == "1999 of 10000 deliveries (19.9 %), below 20 %"


@pytest.mark.parametrize(("below", "at", "standing"), [(10, 10, GO), (9, 11, HOLD), (10, 9, OPEN)])
def test_p50_goes_on_below_500_milliseconds(below: int, at: int, standing: Standing) -> None:
    """499 ms is below and 500 ms is not; 20 deliveries are needed."""
    counts = {LATENCY.column(0.499999): below, LATENCY.column(0.5): at}

    assert of_hour(counts, "latency_p50") is standing


@pytest.mark.parametrize(
    ("seconds", "slow", "fast", "minutes", "standing"),
    [
        (5.000001, 2, 18, 5, BACK),
        (5.000001, 2, 18, 4, GO),
        (5.0, 2, 18, 5, GO),
        (5.000001, 1, 19, 5, GO),
        (5.000001, 2, 17, 5, GO),
    ],
)
def test_p95_above_5_seconds_in_five_minutes_in_a_row_rolls_back(
    seconds: float, slow: int, fast: int, minutes: int, standing: Standing
) -> None:
    """5 s itself is not above; each minute needs 20 deliveries."""
    counts = {LATENCY.column(seconds): slow, FAST: fast}

    assert of_minutes(counts, "latency_minutes", minutes=minutes) is standing


@pytest.mark.parametrize(("times", "standing"), [(4, GO), (5, HOLD), (20, HOLD), (21, BACK)])
def test_breaker_openings_hold_from_5_and_roll_back_above_20(times: int, standing: Standing) -> None:
    """Of one endpoint within 24 h."""
    rows = [row(minute * 60, {"openings": 1, "refused": 1}) for minute in range(times)]

    assert reading(verdict_of(rows, minutes=1_440), "breaker_openings").standing is standing


@pytest.mark.parametrize(("minutes", "value"), [(1_440, 5), (1_441, 4)])
def test_breaker_openings_are_counted_over_a_day(minutes: int, value: int) -> None:
    """The minute of the first lies 24 h back, and then no more."""
    rows = [row(minute * 60, {"openings": 1, "ok": 1}) for minute in range(5)]

    assert reading(verdict_of(rows, minutes=minutes), "breaker_openings").value == value


def test_breaker_openings_are_counted_per_endpoint() -> None:
    """Four each of three endpoints are no twelve; each in breach is named, the worst first."""
    quiet = verdict_of([row(0, {"openings": 4, "ok": 1}, name) for name in "abc"], minutes=1)
    loud = verdict_of([row(0, {"openings": times, "ok": 1}, str(times)) for times in (4, 7, 5)], minutes=1)

    assert reading(quiet, "breaker_openings").scope == "a"
    assert [one.scope for one in loud.readings if one.measure == "breaker_openings"] == ["7", "5"]


@pytest.mark.parametrize(
    ("counts", "standing"),
    [
        ({"pii": 1}, BACK),
        ({"pii_free_text": 1}, HOLD),
        ({"pii": 1, "pii_free_text": 1}, BACK),
        ({"ok": 1}, GO),
    ],
    ids=str,
)
def test_personal_data_rolls_back_at_once_and_in_free_text_holds(
    counts: dict[str, int], standing: Standing
) -> None:
    """One is enough."""
    assert of_hour(counts, "pii") is standing


@pytest.mark.parametrize(
    ("rejected", "ok", "standing"),
    [
        (0, 50, GO),
        (0, 49, OPEN),
        (1, 999, HOLD),
        (1, 2, HOLD),
        (5, 15, BACK),
        (4, 16, HOLD),
        (19, 0, HOLD),
        (20, 0, BACK),
    ],
)
def test_rejected_signatures_hold_above_0_and_roll_back_above_10_percent(
    rejected: int, ok: int, standing: Standing
) -> None:
    """By the lower bound (5 of 20: 12.3 %, 4 of 20: 9.0 %), from 20 deliveries on."""
    counts = {"failed_signature_rejected": rejected, "ok": ok}

    assert of_hour(counts, "signature_rejected") is standing


LOST = {"attempts": 3, "unanswered": 3, "failed_connection_error": 1}


@pytest.mark.parametrize(
    ("lost", "used", "standing"),
    [
        (1, 1, BACK),
        (1, 2, GO),
        (2, 2, BACK),
        (2, 3, BACK),
        (2, 4, GO),
        (3, 10, BACK),
        (3, 11, GO),
        (2, 6, GO),
        (4, 13, BACK),
    ],
)
def test_unreachable_receivers_roll_back_when_they_are_too_many(
    lost: int, used: int, standing: Standing
) -> None:
    """The only one; more than half; or three of them and 30 %."""
    rows = [row(minute, LOST, f"lost{number}") for number in range(lost) for minute in range(7)]
    rows += [row(6, {"ok": 1, "attempts": 1}, f"well{number}") for number in range(used - lost)]
    found = reading(verdict_of(rows, minutes=7), "receiver_unreachable")

    assert (found.standing, found.value, found.sample) == (standing, lost, used)


@pytest.mark.parametrize(("seconds", "standing"), [(0.0, BACK), (-0.5, GO)])
def test_unreachable_takes_five_minutes(seconds: float, standing: Standing) -> None:
    """From the end of the first minute with trouble: the sixth minute later it is."""
    rows = [row(minute, LOST) for minute in range(6)]

    found = reading(verdict_of(rows, minutes=6, seconds=seconds), "receiver_unreachable")

    assert found.standing is standing


def test_many_unreachable_receivers_are_named_up_to_five() -> None:
    """One is the scope; of seven, five names and a number."""
    rows = [row(minute, LOST, f"e{number}") for number in range(7) for minute in range(7)]

    many = reading(verdict_of(rows, minutes=7), "receiver_unreachable")
    five = reading(verdict_of(rows[:35], minutes=7), "receiver_unreachable")
    one = reading(verdict_of(rows[:7], minutes=7), "receiver_unreachable")

    assert many.why.endswith("e0, e1, e2, e3, e4 and 2 more")
    assert five.why.endswith("e0, e1, e2, e3, e4")
    assert (many.scope, one.scope) == ("", "e0")


@pytest.mark.parametrize(
    ("measure", "column", "at", "line"),
    [
        ("retried", "retried", 20, 100),
        ("client_errors", "failed_client_error", 5, 100),
        ("server_errors", "met_5xx", 15, 100),
    ],
)
def test_shares_hold_from_their_line_on(measure: str, column: str, at: int, line: int) -> None:
    """20 % retried, 5 % ended in a 4xx, 15 % met a 5xx; below it goes on; 50 deliveries are needed."""
    part = column.startswith("failed")

    def standing(count: int, of: int) -> Standing:
        return of_hour({"ok": of - count if part else of, column: count}, measure)

    assert standing(at, line) is HOLD
    assert standing(at - 1, line) is GO
    assert standing(0, 50) is GO
    assert standing(0, 49) is OPEN
    assert standing(49, 49) is OPEN


@pytest.mark.parametrize(
    ("seconds", "slow", "fast", "standing"),
    [(0.005, 2, 18, HOLD), (0.004999, 2, 18, GO), (0.005, 1, 19, GO), (0.004, 0, 19, OPEN)],
)
def test_dispatch_goes_on_below_5_milliseconds(
    seconds: float, slow: int, fast: int, standing: Standing
) -> None:
    """p95 of 20 calls."""
    counts = {DISPATCH.column(seconds): slow, "dispatch_02": fast}

    assert of_hour(counts, "dispatch_time_p95") is standing


@pytest.mark.parametrize(
    ("seconds", "slow", "fast", "minutes", "standing"),
    [
        (0.050001, 2, 18, 5, BACK),
        (0.050001, 2, 18, 4, GO),
        (0.05, 2, 18, 5, GO),
        (0.050001, 1, 19, 5, GO),
        (0.050001, 2, 17, 5, GO),
    ],
)
def test_dispatch_above_50_milliseconds_in_five_minutes_in_a_row_rolls_back(
    seconds: float, slow: int, fast: int, minutes: int, standing: Standing
) -> None:
    """50 ms itself is not above; each minute needs 20 calls."""
    counts = {DISPATCH.column(seconds): slow, "dispatch_02": fast}

    assert of_minutes(counts, "dispatch_time_minutes", minutes=minutes) is standing


def test_the_time_of_failures_is_no_latency() -> None:
    """A receiver that times out is judged by the success rate alone."""
    verdict = verdict_of([row(0, {"failed_timeout": 30, "ok": 25, FAST: 25})], minutes=1)

    assert reading(verdict, "latency_p95").sample == 25
    assert SLOW not in seen([row(0, WELL)], minutes=1).recent.as_dict()
