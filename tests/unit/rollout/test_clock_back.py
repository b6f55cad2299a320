"""The store's clock goes back: said, held for one look, and then a fault is seen as if it had not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rollout import evidence_text
from rollout.counters import Counts
from rollout.criteria import Criteria
from rollout.evidence import Evidence, Row, minute_of
from rollout.guard import SOURCES, Look, look
from rollout.verdict import Call, Standing, VerdictKind
from tests.guarding import BEGIN, WELL, reading, row, seen

CRITERIA = Criteria()
DEAD = {**WELL, "ok": 0, "failed_server_error": 25}


class Store:
    """Rows that grow, and a clock that goes wrong; what is remembered is kept as text, as a store does."""

    def __init__(self) -> None:
        self.now, self._text = BEGIN, evidence_text.dumps(Evidence(since=BEGIN))
        self._rows: dict[tuple[int, str], Counts] = {}

    def count(self, counts: Mapping[str, int], endpoint: str = "e") -> None:
        """Add to the minute that the clock shows."""
        key = (minute_of(self.now), endpoint)
        self._rows[key] = self._rows.get(key, Counts()) + Counts(counts)

    @property
    def evidence(self) -> Evidence:
        """What is remembered."""
        kept = evidence_text.loads(self._text)
        assert kept is not None
        return kept

    def look(self, **options: Mapping[str, str]) -> Look:
        """Look now, at what a source tells: nothing of minutes that have not begun."""
        kept, minute = self.evidence, minute_of(self.now)
        rows = [
            Row(at, name, counts)
            for (at, name), counts in self._rows.items()
            if min(kept.until, minute) <= at <= minute
        ]
        found = look(CRITERIA, kept, rows, now=self.now, **options)
        self._text = evidence_text.dumps(found.keep)
        return found

    def run(self, minutes: int, counts: Mapping[str, int]) -> list[Look]:
        """Have *counts* in the first seconds of each minute, and look each quarter of it."""
        found = []
        for second in range(15, minutes * 60 + 15, 15):
            self.now += 15
            if second % 60 == 15:
                self.count(counts)
            found.append(self.look())
        return found


def well_for(minutes: int) -> Store:
    """A stage in which everything went well for so long."""
    store = Store()
    store.look()
    assert store.run(minutes, WELL)[-1].verdict.call is Call.ADVANCE_ALLOWED
    return store


@pytest.mark.parametrize("back", [2, 30, 65, 600])
def test_a_fault_after_the_clock_went_back_is_seen_at_once(back: int) -> None:
    """As many minutes as without it: one tick says that the clock went back, the ones after it judge."""
    store = well_for(70)
    store.now -= back * 60
    store.count(DEAD)

    found = store.look()
    ticks = [each.verdict.call for each in store.run(3, DEAD)]

    assert (found.verdict.kind, found.verdict.call) == (VerdictKind.UNDECIDED, Call.HOLD)
    assert ticks.index(Call.ROLL_BACK) <= 8
    assert all(each is Call.ROLL_BACK for each in ticks[8:])


def test_the_look_that_sees_it_says_by_how_much() -> None:
    """All sources are undecided for it, with the minutes that are certain."""
    store = well_for(70)
    store.now -= 30 * 60

    verdict = store.look().verdict

    assert {one.standing for one in verdict.readings} == {Standing.UNDECIDED}
    why = "the store's clock went back by at least 30 min"
    assert {one.why for one in verdict.readings} == {f"cannot be read: {why}"}
    assert why in verdict.explain()
    assert len(SOURCES) <= len(verdict.readings)


@pytest.mark.parametrize(("seconds", "call"), [(60, Call.ADVANCE_ALLOWED), (61, Call.HOLD)])
def test_a_clock_is_back_where_the_present_minute_is_folded_already(seconds: int, call: Call) -> None:
    """A minute is folded one minute after its end: until then a clock that is corrected hides nothing."""
    store = well_for(70)
    assert store.now == BEGIN + 70 * 60
    store.now -= seconds

    assert store.look().verdict.call is call


def test_a_stage_that_has_just_begun_is_no_clock_that_went_back() -> None:
    """Its first minute is its own from the beginning on."""
    since = BEGIN + 59.9
    begun = Evidence.begun([], since=since)

    found = [look(CRITERIA, each, [], now=since) for each in (begun, seen([], minutes=0).next_stage(since))]

    assert not any("clock" in each.verdict.explain() for each in found)


def test_what_is_lived_through_again_counts_nothing_twice() -> None:
    """Rows from before the clock went back stand in the same minutes: only what comes on top is counted."""
    store = well_for(70)
    whole = store.evidence.stage.ended + 25  # and the minute that was not settled yet
    store.now -= 30 * 60

    store.look()
    silent = store.run(28, {})
    calls = {each.verdict.call for each in silent[:-4]}
    store.run(5, {})

    assert calls == {Call.ADVANCE_ALLOWED}  # by the hour before, which it is as sure of as it was
    assert store.evidence.stage.ended == whole
    assert store.evidence.before == ()


def test_what_comes_on_top_counts_although_rows_were_there() -> None:
    """At each look in a minute what is new is told from what was there before."""
    store = well_for(70)
    before = store.evidence.stage.ended
    store.now -= 30 * 60

    store.look()
    for _ in range(40):
        store.run(1, {})
        store.count(WELL)
        store.look()

    assert store.evidence.stage.ended == before + 25 + 38 * 25


def test_five_bad_minutes_and_a_silent_receiver_go_on_over_it() -> None:
    """What was building up is dated back with the clock."""
    store, lost = well_for(70), {"failed_timeout": 1, "unanswered": 3, "attempts": 3, "dispatch_03": 25}
    bad = {**WELL, "ok": 22, "failed_redirect": 3}
    store.run(3, {**bad, **lost})
    store.now -= 20 * 60

    store.look()
    values = [
        [reading(each.verdict, name).value for name in ("success_rate_minutes", "receiver_unreachable")]
        for each in store.run(4, {**bad, **lost})
    ]

    assert max(value for value, _ in values if isinstance(value, int)) >= 5


def test_a_receiver_that_was_silent_is_lost_no_later_for_it() -> None:
    """Its trouble began so long before the present, whatever the clock says."""
    store, lost = well_for(70), {"failed_timeout": 1, "unanswered": 3, "attempts": 3}
    store.run(4, lost)
    store.now -= 30 * 60

    store.look()
    found = [reading(each.verdict, "receiver_unreachable").standing for each in store.run(4, lost)]

    assert found[0] is Standing.GO_ON
    assert found[-1] is Standing.ROLL_BACK


def test_openings_that_are_known_are_not_counted_twice() -> None:
    """A breaker tells them with its own minutes, those to come included."""
    store = well_for(70)
    store.now -= 60
    store.count({"openings": 2})
    store.now += 60
    store.look()
    store.run(2, WELL)
    store.now -= 20 * 60

    store.look()
    store.run(30, WELL)

    assert reading(store.look().verdict, "breaker_openings").value == 2


def test_a_clock_that_is_put_right_again_counts_nothing_twice() -> None:
    """Ten minutes three hours back, then forward: the minutes between are known, and the next ones count."""
    store = well_for(70)
    store.now -= 180 * 60
    store.look()
    store.run(10, WELL)
    whole = store.evidence.stage.ended

    store.now += 180 * 60
    store.look()
    found = store.run(3, DEAD)

    assert found[-1].verdict.call is Call.ROLL_BACK
    ended = found[-1].seen.stage.ended - whole
    assert ended <= 7 * 25


def test_rows_that_cannot_be_read_leave_it_for_the_next_look() -> None:
    """Nothing is dated back by a look that saw nothing."""
    before = seen([row(minute, WELL) for minute in range(60)], minutes=60)

    found = look(CRITERIA, before, None, now=BEGIN + 30 * 60)

    assert found.keep is before
    assert found.verdict.call is Call.HOLD


def test_what_is_remembered_stays_as_small_as_it_was() -> None:
    """A few minutes of rows on top, however far the clock went back."""
    store = well_for(70)
    usual = len(evidence_text.dumps(store.evidence))
    store.now -= 60 * 60

    store.look()
    sizes = [len(evidence_text.dumps(each.keep)) for each in store.run(59, WELL)]

    assert max(sizes) < 1.2 * usual
