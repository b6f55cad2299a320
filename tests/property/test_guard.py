"""Property: no data never passes or rolls back, failures never help, order never matters."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rollout.counters import COLUMNS, FAILURES, UNANSWERED, Counts
from rollout.criteria import Criteria
from rollout.cusum import Weights
from rollout.evidence import Evidence, Row
from rollout.guard import SOURCES, judge
from rollout.streaks import FRESH, count
from rollout.verdict import Call, VerdictKind
from tests.guarding import BEGIN, FIRST, row, seen

pytestmark = pytest.mark.slow

CRITERIA = Criteria()
WORSE = {Call.ADVANCE_ALLOWED: 0, Call.HOLD: 1, Call.ROLL_BACK: 2}
ANSWERED = sorted(set(FAILURES) - UNANSWERED)

counts = st.dictionaries(st.sampled_from(sorted(COLUMNS)), st.integers(0, 60), max_size=8).map(Counts)
rows = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["", "a", "b", "c", "d"]), counts).map(
        lambda one: Row(FIRST + one[0], one[1], one[2])
    ),
    max_size=25,
)


@given(counts, counts, counts)
def test_counts_add_up_in_any_order(a: Counts, b: Counts, c: Counts) -> None:
    """Commutative and associative, with nothing as the neutral element; what was added can be taken away."""
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == Counts.sum([c, a, b])
    assert a + Counts() == a
    assert (a + b).without([b]) == a


@given(counts)
def test_counts_survive_a_database_row(a: Counts) -> None:
    """All columns flat, and back."""
    flat: dict[str, object] = {column: a.get(column) for column in COLUMNS}

    assert Counts.of_row(flat) == a == Counts(a.as_dict())


@example(
    [Row(FIRST, "", Counts({"unanswered": 1})), Row(FIRST + 1, "", Counts({"failed_redirect": 1}))],
    Random(0),
    [1],
)
@given(rows, st.randoms(use_true_random=False), st.lists(st.integers(1, 41), max_size=5))
def test_evidence_depends_neither_on_order_nor_on_looks(
    taken: list[Row], shuffle: object, looks: list[int]
) -> None:
    """Rows in any order, split in any way, folded in any number of steps."""
    mixed = [Row(one.minute, one.endpoint, part) for one in taken for part in _split(one.counts)]
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    stepwise = Evidence(since=BEGIN)
    for minutes in sorted(looks):
        stepwise = stepwise.fold(mixed, criteria=CRITERIA, until=FIRST + minutes)

    at_once = seen(taken, minutes=41)

    assert stepwise.fold(mixed, criteria=CRITERIA, until=FIRST + 41) == at_once


def _split(whole: Counts) -> list[Counts]:
    half = {column: count // 2 for column, count in whole.as_dict().items()}
    return [Counts(half), whole.without([Counts(half)])]


@given(rows, st.sampled_from(SOURCES))
def test_what_cannot_be_read_never_passes(taken: list[Row], source: str) -> None:
    """Whatever was counted before, one source that is away is enough."""
    verdict = judge(CRITERIA, seen(taken, minutes=41), BEGIN + 41 * 60, unreadable={source: "away"})

    assert verdict.kind is not VerdictKind.PASS


@given(rows)
def test_with_nothing_to_be_read_it_holds(taken: list[Row]) -> None:
    """Undecided, never a rollback by itself."""
    unreadable = dict.fromkeys(SOURCES, "away")

    verdict = judge(CRITERIA, seen(taken, minutes=41), BEGIN + 41 * 60, unreadable=unreadable)

    assert (verdict.kind, verdict.call) == (VerdictKind.UNDECIDED, Call.HOLD)


@given(st.integers(0, 100_000), st.booleans())
def test_without_deliveries_it_never_passes_and_never_rolls_back(minutes: int, shadow: bool) -> None:
    """However much time goes by, in either kind of stage, and with dispatch times alone."""
    found = seen([row(0, {"dispatch_03": 60})], minutes=max(1, minutes))

    verdict = judge(CRITERIA, found, BEGIN + 60 * minutes, is_shadow=shadow)

    assert (verdict.kind, verdict.call) == (VerdictKind.UNDECIDED, Call.HOLD)


@given(rows)
def test_too_few_deliveries_never_pass(taken: list[Row]) -> None:
    """Below 25 of the stage nothing goes on, however well they went."""
    found = seen(taken, minutes=41)

    verdict = judge(CRITERIA, found, BEGIN + 41 * 60)

    assert verdict.kind is not VerdictKind.PASS or found.stage.ended >= 50


minutes_of_one = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), min_size=1, max_size=12)


@given(minutes_of_one, st.data())
def test_a_delivery_that_fails_instead_of_arriving_never_helps(
    minutes: list[tuple[int, int]], data: st.DataObject
) -> None:
    """One receiver that answers: at each minute's end the call is the same or worse."""
    hit = data.draw(st.sampled_from(range(len(minutes))))
    outcome = data.draw(st.sampled_from(ANSWERED))
    change = data.draw(st.integers(0, minutes[hit][0]))
    worse = [(ok - change, bad + change) if n == hit else (ok, bad) for n, (ok, bad) in enumerate(minutes)]

    before, after = _calls(minutes, outcome), _calls(worse, outcome)

    assert all(WORSE[one] <= WORSE[other] for one, other in zip(before, after, strict=True))


def _calls(minutes: Sequence[tuple[int, int]], outcome: str) -> list[Call]:
    rows = [
        row(
            n,
            {
                "ok": ok,
                FAILURES[outcome]: bad,
                "attempts": ok + bad,
                "latency_28": ok + bad,
                "dispatch_03": 60,
            },
        )
        for n, (ok, bad) in enumerate(minutes)
    ]
    return [judge(CRITERIA, seen(rows, minutes=n), BEGIN + 60 * n).call for n in range(1, len(minutes) + 1)]


bad_columns = st.sampled_from(
    ["retried", "met_5xx", "openings", "pii", "pii_free_text", "latency_95", "dispatch_13"]
)


@given(rows, bad_columns, st.integers(0, 40), st.integers(1, 60))
def test_more_of_what_is_bad_never_lets_it_go_on(
    taken: list[Row], column: str, minute: int, more: int
) -> None:
    """Where it held or rolled back before, more retries, 5xx, openings or findings never make it pass."""
    before = judge(CRITERIA, seen(taken, minutes=41), BEGIN + 41 * 60)
    added = [*taken, row(minute, {column: more}, "a")]

    after = judge(CRITERIA, seen(added, minutes=41), BEGIN + 41 * 60)

    known = before.kind is not VerdictKind.UNDECIDED
    assert not known or WORSE[after.call] >= WORSE[before.call]


@given(st.lists(st.lists(st.booleans(), max_size=30), max_size=10))
def test_by_the_minute_the_test_is_never_above_one_by_one(minutes: list[list[bool]]) -> None:
    """Whatever the order within a minute: it raises no alarm that outcome by outcome would not be raised."""
    weights = Weights.of(CRITERIA)
    grouped = single = highest = 0.0
    for minute in minutes:
        highest = single
        for arrived in minute:
            single = weights.after(single, failed=not arrived, succeeded=arrived)
            highest = max(highest, single)
        grouped = weights.after(grouped, failed=minute.count(False), succeeded=minute.count(True))

        assert grouped <= single + 1e-9 <= highest + 2e-9


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=20), st.integers(1, 9))
def test_never_more_failures_count_than_there_were(minutes: list[tuple[int, int]], limit: int) -> None:
    """And all of them where a minute has no more than the limit, beside a success."""
    streak = FRESH
    for failed, succeeded in minutes:
        counted, streak = count(streak, failed=failed, succeeded=succeeded, limit=limit)

        assert 0 <= counted <= failed
        assert counted == failed or failed > limit or not succeeded
