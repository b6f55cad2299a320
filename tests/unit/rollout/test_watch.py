"""The watch: rows in, a verdict out, and what the guard remembers kept as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from rollout import evidence_text
from rollout.commands import SetPercentage
from rollout.counters import Counts
from rollout.evidence import Evidence, Row, minute_of
from rollout.flags import FlagKey
from rollout.rollout_state import RolloutState
from rollout.verdict import Call
from rollout.watch import MAX_WAITING_MINUTES, Looked, PartlyUnreadable, Watch
from tests.unit.rollout.rollout_world import ANNA, FLAG, NOW, UNDECIDED, Driven, pct, plan_of


class Rows:
    """An evidence source of a test's own rows."""

    def __init__(self, *rows: Row) -> None:
        self.rows_, self.asked, self.error = list(rows), [], None

    def rows(self, flag: FlagKey, *, from_minute: int) -> Iterable[Row]:
        """Everything from that minute on."""
        self.asked.append(from_minute)
        if self.error is not None:
            raise self.error
        return [row for row in self.rows_ if row.minute >= from_minute]


class Everything:
    """A source that tells of every minute at each look, as a breaker tells its openings."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def rows(self, flag: FlagKey, *, from_minute: int) -> Iterable[Row]:
        """All of it."""
        return self._rows


def row(minute: int, **counts: int) -> Row:
    """One row of an endpoint."""
    return Row(minute, "main", Counts(counts))


def test_nothing_is_judged_where_no_stage_is_under_way() -> None:
    """Before the start and after a rollback there is nothing to look at."""
    assert Watch(Rows()).look(RolloutState(flag=FLAG), now=NOW) == Looked()


def test_no_data_is_undecided() -> None:
    """An empty source never passes."""
    looked = Watch(Rows()).look(Driven().start().state, now=NOW + 30)

    assert looked.verdict is not None
    assert looked.verdict.call is Call.HOLD
    assert looked.verdict.missing


def test_a_source_that_raises_is_undecided_and_said() -> None:
    """The type of the error and nothing of its text; what was remembered stays."""
    source = Rows()
    source.error = OSError("connection to 10.0.0.1 refused")

    looked = Watch(source).look(Driven().start().state, now=NOW + 30)

    assert looked.problem == "the evidence cannot be read (OSError)"
    assert looked.evidence == ""
    assert looked.verdict is not None
    assert looked.verdict.call is Call.HOLD


@pytest.mark.parametrize(
    ("counts", "call"),
    [
        pytest.param({"ok": 60, "attempts": 60}, Call.HOLD, id="well"),
        pytest.param({"failed_server_error": 40, "attempts": 40}, Call.ROLL_BACK, id="broken"),
    ],
)
def test_what_is_partly_unreadable_holds_and_rolls_back_and_is_read_again(
    counts: dict[str, int], call: Call
) -> None:
    """The rest is judged; nothing is remembered, since a minute is folded once."""
    source = Rows()
    rows = [row(minute_of(NOW), **counts)]
    source.error = PartlyUnreadable(rows, unreadable={"breakers": "their store does not answer"})

    looked = Watch(source).look(Driven().start().state, now=NOW + 30)

    assert looked.verdict is not None
    undecided = {each.measure for each in looked.verdict.readings if each.why.startswith("cannot be read")}
    assert (looked.verdict.call, undecided) == (call, {"breaker_openings", "receiver_unreachable"})
    assert (looked.evidence, looked.problem) == ("", "")


def test_an_outage_of_one_source_is_held_back_for_a_quarter_of_an_hour_at_most() -> None:
    """However long it lasts a look reads no more; openings that were missed are made up for."""
    first, driven, source = minute_of(NOW), Driven().start(), Rows()
    well = [row(first + number, ok=30, attempts=30) for number in range(90)]
    asked: list[int] = []
    for minute in range(1, 90):
        driven.now = NOW + 60.0 * minute
        source.error = PartlyUnreadable(well[:minute], unreadable={"breakers": "their store does not answer"})
        looked = Watch(source).look(driven.state, now=driven.now)
        asked.append(minute_of(driven.now) - source.asked[-1])
        driven.tick(UNDECIDED, evidence=looked.evidence, after=0.0)
    source.error, source.rows_ = None, [*well, *(row(first + number, openings=1) for number in range(2, 22))]

    looked = Watch(Everything(source.rows_)).look(driven.state, now=driven.now)

    assert looked.verdict is not None
    assert (max(asked), asked.count(max(asked))) == (MAX_WAITING_MINUTES + 1, 5)
    (openings,) = [each for each in looked.verdict.readings if each.measure == "breaker_openings"]
    assert (openings.value, openings.standing.value) == (20, "hold")
    (success,) = [each for each in looked.verdict.readings if each.measure == "success_rate"]
    assert success.sample == 90 * 30


def test_a_clock_that_went_back_is_remembered_although_something_cannot_be_read() -> None:
    """No minute waits for the breakers then: what minutes held when they came again would be forgotten."""
    first, driven, source = minute_of(NOW), Driven().start(), Rows()
    well = [row(first + number, ok=30, attempts=30) for number in range(60)]
    driven.now = NOW + 3_600
    driven.tick(evidence=Watch(Everything(well)).look(driven.state, now=driven.now).evidence, after=0.0)

    calls = []
    for failed in (0, 20, 40):
        rows = [*well, row(first + 30, failed_server_error=failed, attempts=failed)]
        source.error = PartlyUnreadable(rows, unreadable={"breakers": "their store does not answer"})
        driven.now = NOW + 1_800 + failed
        looked = Watch(source).look(driven.state, now=driven.now)
        assert looked.verdict is not None
        calls.append(looked.verdict.call)
        driven.tick(UNDECIDED, evidence=looked.evidence, after=0.0)

    assert source.asked == [first + 30] * 3
    assert calls == [Call.HOLD, Call.ROLL_BACK, Call.ROLL_BACK]


def test_a_clock_before_the_beginning_of_the_stage_is_said() -> None:
    """Nothing that is judged then is of the stage."""
    state = Driven().start().state

    looked = Watch(Rows()).look(state, now=NOW - 1_800)

    assert looked.problem == "the store's clock went back: it is 30 min 0 s before the beginning of the stage"


def test_a_start_knows_what_its_minute_held_although_something_cannot_be_read() -> None:
    """As if all of it could: what was there before the start is not judged."""
    source = Rows(row(minute_of(NOW), failed_server_error=9, attempts=9))
    whole = Watch(source).begin(FLAG, now=NOW)
    source.error = PartlyUnreadable(source.rows_, unreadable={"breakers": "their store does not answer"})

    partly = Watch(source).begin(FLAG, now=NOW)

    assert partly == whole != ""


def test_minutes_are_read_once_and_remembered_in_the_state() -> None:
    """The second look asks only for minutes that may still get rows, whoever looks."""
    first = minute_of(NOW)
    source = Rows(*(row(first + number, ok=30, attempts=30) for number in range(10)))
    driven = Driven().start()
    driven.now = NOW + 600
    looked = Watch(source).look(driven.state, now=driven.now)
    driven.tick(evidence=looked.evidence, after=0.0)

    again = Watch(source).look(driven.state, now=driven.now)

    assert source.asked == [first, first + 9]
    assert again.evidence == looked.evidence
    assert again.verdict == looked.verdict


def test_a_new_stage_counts_anew_and_the_test_for_breaches_goes_on() -> None:
    """Totals begin with the stage; the sum of the sequential test comes along."""
    first = minute_of(NOW)
    source = Rows(*(row(first + number, ok=10, failed_server_error=3) for number in range(6)))
    driven = Driven(plan=plan_of(5, 25)).start()
    driven.now = NOW + 420
    looked = Watch(source).look(driven.state, now=driven.now)
    driven.tick(evidence=looked.evidence, after=0.0)
    driven.do(SetPercentage(by=ANNA, percentage=pct(25), reason="look closer"))

    second = Watch(Rows()).look(driven.state, now=driven.now + 1)

    before, after = evidence_text.loads(looked.evidence), evidence_text.loads(second.evidence)
    assert before is not None
    assert after is not None
    assert before.cusum > 0
    assert after.cusum == before.cusum
    assert (after.since, after.stage) == (driven.state.stage_entered_at, Counts())


def test_a_memory_that_cannot_be_read_is_counted_anew() -> None:
    """Damaged or of another version: from the beginning of the stage."""
    source = Rows()
    state = Driven().start().state
    state = replace(state, progress=replace(state.progress, evidence='{"form":99}'))

    Watch(source).look(state, now=NOW + 600)

    assert source.asked == [minute_of(NOW)]


def test_a_start_notes_what_its_minute_holds_already() -> None:
    """What failed before it in the same minute is not of the stage; the same text is found again."""
    source = Rows(row(minute_of(NOW) - 1, ok=1), row(minute_of(NOW), failed_server_error=20))

    begun = Watch(source).begin(FLAG, now=NOW)

    assert source.asked == [minute_of(NOW)]
    kept = evidence_text.loads(begun)
    assert kept == Evidence(since=NOW, before=(row(minute_of(NOW), failed_server_error=20),))


def test_a_start_that_cannot_read_the_evidence_counts_its_whole_minute() -> None:
    """Nothing stands in a person's way, and in doubt it rolls back."""
    source = Rows()
    source.error = OSError("away")

    assert Watch(source).begin(FLAG, now=NOW) == ""
