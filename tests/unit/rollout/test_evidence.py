"""Evidence: totals of the stage, the last minutes, no order, no minute twice, and a bounded size."""

from __future__ import annotations

from math import log

import pytest

from rollout.counters import Counts
from rollout.criteria import Criteria
from rollout.endpoints import Endpoint
from rollout.evidence import Evidence, minute_of, minute_to_write, settled_until
from tests.guarding import BEGIN, FIRST, WELL, row, seen

CRITERIA = Criteria()
SIX_FAIL = {"failed_server_error": 6, "attempts": 18}


def test_rows_of_one_minute_and_endpoint_are_added_up() -> None:
    """Two writers, or one that writes twice, are one row."""
    split = seen([row(0, {"ok": 2}), row(0, {"ok": 3, "retried": 1}), row(0, {"ok": 4}, "other")], minutes=1)
    whole = seen([row(0, {"ok": 4}, "other"), row(0, {"ok": 5, "retried": 1})], minutes=1)

    assert split == whole
    assert split.stage == Counts({"ok": 9, "retried": 1})


def test_minutes_folded_at_once_or_one_by_one_are_the_same() -> None:
    """How often the runner looked does not matter."""
    rows = [row(minute, WELL if minute % 3 else SIX_FAIL, f"e{minute % 2}") for minute in range(90)]
    at_once, by_the_minute = seen(rows, minutes=90), Evidence(since=BEGIN)

    for minute in range(1, 91):
        by_the_minute = by_the_minute.fold(rows, criteria=CRITERIA, until=FIRST + minute)

    assert by_the_minute == at_once


def test_a_minute_is_folded_once() -> None:
    """Rows that come for it later change nothing, nor do those of minutes that are not over."""
    before = seen([row(0, WELL)], minutes=1)

    after = before.fold([row(0, SIX_FAIL), row(5, SIX_FAIL)], criteria=CRITERIA, until=FIRST + 1)

    assert after == before


def test_an_opening_that_was_not_seen_in_time_is_made_up_for() -> None:
    """A breaker tells the same of a minute at each look: what was missed is added, and nothing is twice."""
    blind = seen([row(minute, WELL) for minute in range(9)], minutes=9)
    openings = [row(3, {"openings": 1}), row(5, {"openings": 1}), row(5, {"openings": 1})]

    once = blind.fold(openings, criteria=CRITERIA, until=FIRST + 10)
    again = once.fold(openings, criteria=CRITERIA, until=FIRST + 11)

    assert once.endpoints["e"].openings == again.endpoints["e"].openings == ((FIRST + 3, 1), (FIRST + 5, 2))
    assert (once.stage, once.window) == (blind.stage, blind.window)


def test_openings_of_before_the_stage_are_not_made_up_for() -> None:
    """Nor those of the minute in which it begins, of which a part lies before it."""
    openings = [row(-3, {"openings": 1}), row(0, {"openings": 1}), row(1, {"openings": 1})]

    found = seen([], minutes=9).fold(openings, criteria=CRITERIA, until=FIRST + 10)

    assert found.endpoints["e"].openings == ((FIRST + 1, 1),)


def test_an_opening_that_is_told_late_keeps_the_order_and_the_day() -> None:
    """Older ones come before the ones that are known, and leave with their day."""
    known = seen([row(20, {"openings": 1})], minutes=30)

    late = known.fold([row(7, {"openings": 1})], criteria=CRITERIA, until=FIRST + 31)
    day = late.fold([], criteria=CRITERIA, until=FIRST + 1_448)

    assert late.endpoints["e"].openings == ((FIRST + 7, 1), (FIRST + 20, 1))
    assert day.endpoints["e"].openings == ((FIRST + 20, 1),)


def test_the_window_forgets_and_the_stage_does_not() -> None:
    """Of 100 minutes, 60 are the last hour."""
    found = seen([row(minute, WELL) for minute in range(100)], minutes=100)

    assert found.recent.get("ok") == 60 * 25
    assert found.stage.get("ok") == 100 * 25
    assert found.window[0].minute == FIRST + 40


def test_a_silent_hour_empties_the_window() -> None:
    """Time passes without rows, too."""
    found = seen([row(0, WELL)], minutes=61)

    assert found.recent == Counts()
    assert found.window == ()


def test_rows_before_the_stage_are_no_part_of_it() -> None:
    """The minute in which it begins is."""
    found = Evidence(since=BEGIN + 30).fold([row(-1, WELL), row(0, WELL)], criteria=CRITERIA, until=FIRST + 1)

    assert found.stage.get("ok") == 25


def test_what_the_minute_of_the_start_held_before_it_is_no_part_of_the_stage() -> None:
    """Of the same minute and endpoint, what came after the start counts, every column of it."""
    fault = {"failed_server_error": 20, "pii": 1, "openings": 1, "open_seconds": 9, "attempts": 20}
    begun = Evidence.begun([row(0, fault), row(0, fault), row(-1, fault)], since=BEGIN + 30)
    later = [row(0, fault), row(0, {**fault, "open_seconds": 3, "ok": 2}), row(0, {"failed_timeout": 1}, "f")]

    found = begun.fold(later, criteria=CRITERIA, until=FIRST + 1)
    more = begun.fold([*later, row(0, fault)], criteria=CRITERIA, until=FIRST + 1)

    assert [held.minute for held in begun.before] == [FIRST]
    assert found.stage == Counts({"ok": 2, "failed_timeout": 1})
    assert found.endpoints["e"].failures.run == 0
    assert (more.stage.get("pii"), more.stage.get("failed_server_error")) == (1, 20)
    assert more.cusum > CRITERIA.cusum_limit > found.cusum


def test_what_was_there_before_is_kept_until_its_minute_is_folded_and_by_the_next_stage() -> None:
    """An advance within the minutes of the start does not bring the failures from before it back."""
    begun = Evidence.begun([row(0, SIX_FAIL)], since=BEGIN + 30)

    early = begun.fold([row(0, SIX_FAIL)], criteria=CRITERIA, until=FIRST)
    new = early.next_stage(BEGIN + 70).fold([row(0, SIX_FAIL)], criteria=CRITERIA, until=FIRST + 1)

    assert early.before == begun.before == (row(0, SIX_FAIL),)
    assert (new.cusum, new.before) == (0.0, ())


def test_the_next_stage_counts_anew_and_keeps_what_was_building_up() -> None:
    """Totals and window begin at the new stage; the test goes on, over the old stage's last minutes, too."""
    old = seen([row(0, SIX_FAIL)], minutes=1)

    new = old.next_stage(BEGIN + 120).fold(
        [row(1, {"failed_server_error": 2}), row(2, {"ok": 1})], criteria=CRITERIA, until=FIRST + 3
    )

    assert new.stage == Counts({"ok": 1})
    assert [one.minute for one in new.window] == [FIRST + 2]
    assert new.cusum > old.cusum > 5.0
    assert new.endpoints["e"].seen == FIRST + 2


def test_the_sequential_test_stays_where_it_has_found_something() -> None:
    """A runner that was away learns of it, however well things went since."""
    bad = [row(0, {"failed_server_error": 20})]
    well = [row(minute, WELL) for minute in range(1, 50)]

    found = seen(bad + well, minutes=50)

    assert found.cusum == seen(bad, minutes=1).cusum >= CRITERIA.cusum_limit


def test_the_sequential_test_stays_at_its_very_limit() -> None:
    """Reached is found: a sum that is just the limit does not fall again."""
    criteria = Criteria(cusum_limit=11 * log(20 / 8))

    found = seen([row(0, {"failed_server_error": 11}), row(1, WELL)], minutes=2, criteria=criteria)

    assert found.cusum == criteria.cusum_limit


def test_half_of_the_receivers_are_not_most() -> None:
    """Two of four that fail: their failures all count; one of four: three of them."""
    well = [row(0, {"ok": 10}, name) for name in ("a", "b")]
    dead = [row(0, {"failed_server_error": 8}, name) for name in ("c", "d")]

    half, quarter = seen([*well, *dead], minutes=1), seen([*well, dead[0], row(0, {"ok": 9}, "d")], minutes=1)

    assert (half.window[0].failed, quarter.window[0].failed) == (16, 3)


def test_an_endpoint_is_remembered_for_a_day() -> None:
    """The minute of its last use lies 24 h back, and then no more."""
    rows = [row(0, {"ok": 1})]

    assert set(seen(rows, minutes=1_440).endpoints) == {"e"}
    assert seen(rows, minutes=1_441).endpoints == {}


def test_one_dead_receiver_of_three_counts_three_failures() -> None:
    """While most endpoints succeed, at most three in a row of one count."""
    well = [row(0, {"ok": 10}, name) for name in ("a", "b")]

    three = seen([*well, row(0, {"failed_server_error": 30}, "c")], minutes=1)
    two = seen([well[0], row(0, {"failed_server_error": 30}, "c")], minutes=1)

    assert three.window[0].failed == 3
    assert three.cusum == 0.0
    assert two.window[0].failed == 30
    assert two.cusum > CRITERIA.cusum_limit


def test_where_most_receivers_fail_all_failures_count() -> None:
    """Two dead of three are no dead receiver of many."""
    found = seen(
        [
            row(0, {"ok": 10}, "a"),
            row(0, {"failed_server_error": 8}, "b"),
            row(0, {"failed_server_error": 8}, "c"),
        ],
        minutes=1,
    )

    assert found.window[0].failed == 16


def test_an_endpoint_out_of_use_is_none_of_the_others() -> None:
    """Two endpoints that were used an hour ago do not make many."""
    rows = [row(0, {"ok": 10}, "a"), row(0, {"ok": 10}, "b"), row(60, {"failed_server_error": 9}, "c")]

    assert seen(rows, minutes=61).window[-1].failed == 9
    assert seen([*rows[:2], row(59, {"failed_server_error": 9}, "c")], minutes=60).window[-1].failed == 3


def test_endpoints_in_use_are_those_of_the_window() -> None:
    """Used within the last hour, that minute included."""
    found = seen([row(0, {"ok": 1}, "old"), row(1, {"ok": 1}, "new")], minutes=61)

    assert set(found.in_use(CRITERIA)) == {"new"}


def test_what_is_remembered_of_endpoints_is_a_day_old_at_most() -> None:
    """Openings and endpoints alike."""
    rows = [row(0, {"ok": 1, "openings": 1}, "a"), row(1, {"openings": 1}, "b"), row(1, {"openings": 1}, "a")]

    day, day_later = seen(rows, minutes=1_441), seen(rows, minutes=1_442)

    assert day.endpoints["a"].openings == ((FIRST + 1, 1),)
    assert set(day.endpoints) == {"a", "b"}
    assert day_later.endpoints == {}


@pytest.mark.parametrize("counts", [{"unanswered": 1}, {"open_seconds": 60}], ids=str)
def test_what_is_seen_of_an_endpoint_before_its_first_use_is_kept_by_no_look(counts: dict[str, int]) -> None:
    """It comes to the same whether a look lies between it and the first use, or not."""
    rows = [row(0, counts), row(1, {"failed_blocked_address": 1})]

    between = seen(rows, minutes=1).fold(rows, criteria=CRITERIA, until=FIRST + 2)

    assert between == seen(rows, minutes=2)


def test_an_endpoint_that_was_only_observed_is_kept_no_day() -> None:
    """A row without use and openings leaves nothing behind."""
    found = seen([row(0, {"open_seconds": 60}, "idle")], minutes=1)

    assert found.endpoints == {}
    assert Endpoint().seen == 0


def test_a_minute_is_settled_one_minute_after_its_end() -> None:
    """Settles commit in batches and clocks differ."""
    assert settled_until(BEGIN + 119.9) == FIRST
    assert settled_until(BEGIN + 120.0) == FIRST + 1
    assert minute_of(BEGIN + 59.9) == FIRST


def test_what_is_written_late_is_written_under_the_present_minute() -> None:
    """A minute is its own until half a minute after its end; a minute after it, nobody reads it any more."""
    soon, late = BEGIN + 60 + 29.9, BEGIN + 60 + 30

    assert minute_to_write(FIRST, BEGIN) == FIRST
    assert minute_to_write(FIRST, soon) == FIRST >= settled_until(soon + 30)
    assert minute_to_write(FIRST, late) == FIRST + 1
    assert minute_to_write(FIRST, BEGIN + 3_600) == FIRST + 60


@pytest.mark.parametrize("ahead", [1, 60])
def test_what_a_host_counted_in_a_minute_to_come_is_written_under_the_present_one(ahead: int) -> None:
    """Its clock is ahead of the store's: nobody would read it before the store's clock is there."""
    assert minute_to_write(FIRST + ahead, BEGIN + 59.9) == FIRST
