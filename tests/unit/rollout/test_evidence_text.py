"""What the guard remembers, as text: it comes back, across releases too, and a damaged one is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout import evidence_text
from rollout.counters import Counts
from rollout.criteria import Criteria
from rollout.evidence import Evidence, Row, minute_of
from tests.unit.rollout.rollout_world import NOW


def row(minute: int, **counts: int) -> Row:
    """One row of an endpoint."""
    return Row(minute, "main", Counts(counts))


NAMES = ("ok", "failed_timeout", "unanswered", "openings", "attempts")
COUNTS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(NAMES, st.integers(0, 50)),
)
ROWS = st.lists(
    st.builds(
        lambda minute, name, counts: Row(minute_of(NOW) + minute, name, Counts(counts)),
        st.integers(0, 80),
        st.sampled_from(["", "a", "b"]),
        COUNTS,
    ),
    max_size=30,
)


@given(ROWS)
def test_what_is_remembered_comes_back(rows: list[Row]) -> None:
    """`loads(dumps(evidence)) == evidence`, whatever was folded."""
    begun = Evidence.begun(rows, since=NOW)
    evidence = begun.fold(rows, criteria=Criteria(), until=minute_of(NOW) + 81)

    changed = evidence.next_stage(NOW + 81 * 60)
    assert [evidence_text.loads(evidence_text.dumps(each)) for each in (evidence, begun, changed)] == [
        *(evidence, begun, changed)
    ]


WHOLE = evidence_text.dumps(
    Evidence(since=NOW).fold(
        [row(minute_of(NOW), ok=3, openings=1)], criteria=Criteria(), until=minute_of(NOW) + 1
    )
)


# As the release before wrote it, which knew no `earlier`.
OF_BEFORE = (
    '{"before":[[29383335,"e",{"failed_server_error":2}]],"cusum":0.5,"endpoints":{"e":[[0,[0,0],[0,0]],'
    '[0,[0,0],[0,0]],false,[0,0,0],29383334,[[29383334,1]]]},"form":2,"since":1763000070.0,'
    '"stage":{"ok":3},"until":29383335,"window":[[29383334,{"ok":3,"openings":1},0]]}'
)


def test_what_an_older_release_remembered_goes_on() -> None:
    """Nothing of it is counted anew; what it did not know is empty."""
    kept = evidence_text.loads(OF_BEFORE)

    assert kept is not None
    assert (kept.since, kept.until, kept.cusum) == (1_763_000_070.0, 29_383_335, 0.5)
    assert (kept.stage, kept.recent) == (Counts({"ok": 3}), Counts({"ok": 3, "openings": 1}))
    assert kept.before == (Row(29_383_335, "e", Counts({"failed_server_error": 2})),)
    assert kept.minutes == kept.window
    assert evidence_text.loads(evidence_text.dumps(kept)) == kept


def test_what_this_release_remembers_has_all_that_an_older_one_reads() -> None:
    """The form is the same, and keys that are new come on top: whoever goes back a release goes on too."""
    kept = evidence_text.loads(OF_BEFORE)
    assert kept is not None

    written = json.loads(evidence_text.dumps(kept.next_stage(kept.since + 60)))

    assert written["form"] == json.loads(OF_BEFORE)["form"]
    assert set(json.loads(OF_BEFORE)) <= set(written)
    assert written["window"] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        "[]",
        "{}",
        "[" * 100_000,
        WHOLE.replace('"form":2', '"form":1'),
        WHOLE.replace('"before":[]', '"before":[[1,2]]'),
        WHOLE.replace('"before":[]', '"before":[[1,"main",{"nonsense":1}]]'),
        WHOLE.replace('"ok":3', '"ok":-3'),
        WHOLE.replace("[0,[0,0],[0,", "[0,[0],[0,"),
        WHOLE.replace('"openings":1', '"nonsense":1'),
        WHOLE.replace("[[", "[7,[", 1),
        WHOLE.replace('"main":[', '"main":["x",'),
        WHOLE.replace("[0,0,0]", "[0,0]"),
        WHOLE.replace("[0,0,0]", '"none"'),
        WHOLE.replace('"earlier":[]', '"earlier":[[1,2]]'),
        WHOLE.replace('"cusum":', '"cusum":{},"x":'),
    ],
)
def test_what_is_no_memory_is_none(text: str) -> None:
    """Never an error out of a damaged text."""
    assert text != WHOLE

    assert evidence_text.loads(text) is None
