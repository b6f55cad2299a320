"""What was seen is never gone below, and what is not confirmed is not for sending."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout import polled
from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.percentage import NOBODY, Percentage
from rollout.polled import Control, Polled

FLAG = FlagKey("tournament-webhooks")
FREE = FlagKey("free")
FIVE, HALF = Percentage.parse(5), Percentage.parse(50)
CEILINGS = st.sampled_from([None, NOBODY, FIVE, HALF])
HEADS = st.sampled_from(["", "begun", "passed", "killed"])


def at(version: int, ceiling: Percentage | None, *, epoch: int = 1, head: str = "") -> Control:
    """One row, whose last entry made its version."""
    return Control(flag=FLAG, version=version, epoch=epoch, ceiling=ceiling, head=head, entry=version)


def read(known: Polled, *controls: Control, version: int = -1, moment: float = 10.0) -> Polled:
    """A reading of these rows."""
    return known.after(controls, configuration="", configuration_version=version, at=moment)


def test_nothing_is_known_at_first_and_nothing_confirmed() -> None:
    """Not even that there is no ceiling."""
    first = Polled()

    assert not first.is_known
    assert not first.is_confirmed(now=0.0, within_seconds=2.0)
    assert read(first).is_known


def test_a_reading_confirms_for_as_long_as_it_is_asked_for() -> None:
    """Two seconds old is still good; older, or from the future, is not."""
    found = read(Polled(), at(1, FIVE))

    confirmed = [found.is_confirmed(now=now, within_seconds=2.0) for now in (10.0, 12.0, 12.001, 9.0)]

    assert confirmed == [True, True, False, False]


def test_a_row_that_goes_back_is_not_taken_and_not_confirmed() -> None:
    """A fail-over to a replica that lags must not raise the ceiling again."""
    killed = read(Polled(), at(7, NOBODY))

    lagging = read(killed, at(6, HALF), moment=11.0)

    assert lagging.ceilings() == {FLAG: NOBODY}
    assert lagging.problem == "store went back: tournament-webhooks from version 7 to 6"
    assert not lagging.is_confirmed(now=11.0, within_seconds=2.0)


def test_a_row_that_is_gone_went_back_too() -> None:
    """An emptied table is no permission."""
    known = read(Polled(), at(7, FIVE))

    gone = read(known, moment=11.0)

    assert gone.ceilings() == {FLAG: FIVE}
    assert "from version 7 to none" in gone.problem


def test_flags_that_go_back_are_told() -> None:
    """The document of all flags has a version of its own."""
    known = read(Polled(), version=4)

    back = read(known, version=3, moment=11.0)

    assert (back.configuration_version, back.problem) == (4, "store went back: flags from version 4 to 3")


def test_a_lower_ceiling_counts_whatever_its_version() -> None:
    """In doubt the lower one: a restored backup that says 0 is obeyed at once; a new row is, too."""
    known = read(Polled(), at(7, HALF))
    other = Control(flag=FlagKey("other"), version=1, epoch=1, ceiling=FIVE)

    back = read(known, at(6, NOBODY), other, moment=11.0)

    assert back.ceilings() == {FLAG: NOBODY, "other": FIVE}
    assert back.problem


def test_without_a_ceiling_a_lower_version_with_one_is_obeyed() -> None:
    """No ceiling is the highest of all."""
    known = read(Polled(), at(7, None))

    back = read(known, at(6, FIVE), moment=11.0)

    assert back.ceilings() == {FLAG: FIVE}


def test_a_store_that_is_ahead_again_is_taken() -> None:
    """The problem goes with the reading that made it."""
    back = read(read(Polled(), at(7, FIVE)), at(6, FIVE), moment=11.0)

    ahead = read(back, at(8, HALF), moment=12.0)

    assert (ahead.ceilings(), ahead.problem) == ({FLAG: HALF}, "")


def test_a_reading_that_failed_changes_nothing_but_the_problem() -> None:
    """And says it once."""
    known = read(Polled(), at(7, FIVE))

    failed = known.unread("database: TimeoutError")

    assert (failed.ceilings(), failed.confirmed_at, failed.problem) == (
        {FLAG: FIVE},
        10.0,
        "database: TimeoutError",
    )
    assert failed.unread("database: TimeoutError") is failed


def test_a_reading_that_failed_half_way_lowers_what_it_had_read() -> None:
    """A kill that was read is obeyed, whatever could not be read after it; what it raises is not."""
    known = read(Polled(), at(7, HALF, head="passed"))
    other = Control(flag=FREE, version=1, epoch=1, ceiling=FIVE)

    killed = known.unread("database: TimeoutError", [at(8, NOBODY, epoch=2, head="killed"), other])
    raised = killed.unread("database: TimeoutError", [at(9, HALF, epoch=3, head="passed again"), other])

    assert (killed.ceilings(), killed.confirmed_at) == ({FLAG: NOBODY, FREE: FIVE}, 10.0)
    assert killed.controls[FLAG].head == "passed"  # what is looked for in the journal at the next reading
    assert raised is killed


@given(
    history=st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([None, NOBODY, FIVE, HALF])), min_size=1, max_size=12
    )
)
def test_no_history_of_readings_raises_a_ceiling_without_a_new_version(
    history: list[tuple[int, Percentage | None]],
) -> None:
    """Whatever is read in whatever order: what is in force goes up only with a version above all before."""
    known, highest = Polled(), -1
    for version, ceiling in history:
        before = known.ceilings().get(FLAG, Percentage.parse(100))

        known = read(known, at(version, ceiling))

        after = known.ceilings().get(FLAG, Percentage.parse(100))
        assert after <= before or version > highest
        highest = max(highest, version)


@given(
    first=st.tuples(st.integers(0, 4), st.integers(0, 2), CEILINGS, HEADS, st.integers(-1, 2)),
    second=st.tuples(st.integers(0, 4), st.integers(0, 2), CEILINGS, HEADS, st.integers(-1, 2)),
    journal=st.sets(HEADS),
)
def test_of_any_two_readings_the_second_is_obeyed_only_where_it_follows_the_first(
    first: tuple[int, int, Percentage | None, str, int],
    second: tuple[int, int, Percentage | None, str, int],
    journal: set[str],
) -> None:
    """Nothing lower, nothing else at the same version, and by no journal without what was obeyed."""
    version, epoch, ceiling, head, flags = first
    known = read(Polled(), at(version, ceiling, epoch=epoch, head=head), version=flags)
    later = at(second[0], second[2], epoch=second[1], head=second[3])
    lacks = [each.flag for each in known.asks([later]) if each.head not in journal]

    found = known.after([later], configuration="", configuration_version=second[4], at=11.0, lacks=lacks)

    same_entry = head != "" and head == second[3]
    by_journal = "" not in (head, second[3])  # it was asked, and says whether the one follows the other
    follows = second[0] > version or (second[0] == version and (by_journal or second[1:3] == first[1:3]))
    has_it = head == "" or same_entry or head in journal
    taken = follows and has_it and second[1] >= epoch and second[4] >= flags
    assert found.is_confirmed(now=11.0, within_seconds=2.0) == taken
    assert found.went_back != taken
    assert found.controls[FLAG].version == (second[0] if taken else version)
    if not taken:
        highest = Percentage.parse(100)
        assert (found.ceilings().get(FLAG, highest)) <= (known.ceilings().get(FLAG, highest))


def test_another_entry_at_the_same_version_that_follows_by_the_journal_is_obeyed() -> None:
    """The journal has what was obeyed: nothing was lost, and nobody has to accept anything."""
    known = read(Polled(), at(7, HALF, head="passed"))
    later = at(7, FIVE, epoch=2, head="paused")

    asked = [each.head for each in known.asks([later])]
    found = read(known, later, moment=11.0)

    assert asked == ["passed"]
    assert (found.ceilings(), found.problem) == ({FLAG: FIVE}, "")


def test_a_lower_ceiling_that_was_obeyed_meanwhile_does_not_outlive_the_store_that_said_so() -> None:
    """The right store answers again, at the version that was known: it says the same, and is taken."""
    known = read(Polled(), at(7, HALF, head="passed"))
    lagging = read(known, at(6, FIVE, head="begun"), moment=11.0)

    again = read(lagging, at(7, HALF, head="passed"), moment=12.0)

    assert lagging.ceilings() == {FLAG: FIVE}
    assert (again.ceilings(), again.problem) == ({FLAG: HALF}, "")


def test_only_a_decision_that_is_lacking_is_lost() -> None:
    """Bake time alone is a version, too, and nothing that others must hear of."""
    known = read(Polled(), at(7, FIVE, head="begun"), version=4)

    only_bake_time = read(known, at(6, FIVE, head="begun"), version=4)
    lost = [
        known.after([at(8, FIVE, head="x")], configuration="", configuration_version=4, at=1.0, lacks=[FLAG]),
        read(known, version=4),
        read(known, at(8, FIVE, head="begun"), version=3),
    ]

    assert (only_bake_time.went_back, only_bake_time.is_lost) == (True, False)
    assert [(each.went_back, each.is_lost) for each in lost] == [(True, True)] * 3


def test_a_persons_word_counts_above_what_was_known_and_for_every_flag() -> None:
    """Of a flag that is known above its version; of one that is not, at any."""
    known = read(Polled(), at(7, FIVE))

    settled = [known.is_settled_by(accepted) for accepted in ({}, {FLAG: 7}, {FLAG: 8}, {FREE: 1})]

    assert settled == [False, False, True, True]


@pytest.mark.parametrize("lacks", ['"head":"begun",', '"entry":7,'], ids=["no-head", "no-entry"])
def test_what_an_older_release_left_on_disk_can_be_read(lacks: str) -> None:
    """Its rows have no `head`, or no `entry` that says where it stands: the journal's entry is not known."""
    known = read(Polled(), at(7, FIVE, head="begun"))
    text = polled.dumps(known, environment="test")

    older = polled.loads(text.replace(lacks, ""), environment="test")

    assert [(each.version, each.head, each.entry) for each in older.controls.values()] == [(7, "", 0)]
    assert polled.loads(text, environment="test").controls == known.controls


def test_what_a_newer_release_left_on_disk_can_be_read() -> None:
    """The older one is put back: what it does not know, of the whole and of a row, it does without."""
    known = read(Polled(), at(7, FIVE, head="begun"), version=3)
    text = polled.dumps(known, environment="test")
    newer = text.replace('{"ceiling"', '{"a_new_column":1,"ceiling"').replace(
        '{"conf', '{"a_new_key":[],"conf'
    )

    older = polled.loads(newer, environment="test")

    assert newer.count("a_new") == 2
    assert (older.controls, older.configuration_version) == (known.controls, 3)


def test_a_row_is_read_as_text_and_what_cannot_be_read_is_nobody() -> None:
    """Empty is no ceiling; a damaged one is 0."""
    found = [polled.control("f", 1, 1, text, shadow=False).ceiling for text in ("", "5", "50%", "1e2", "NaN")]

    assert found == [None, FIVE, NOBODY, NOBODY, NOBODY]


def test_what_is_kept_on_disk_comes_back_unconfirmed() -> None:
    """Ceilings, epochs and the flags' document; never the moment."""
    known = Polled(
        controls={FLAG: at(7, FIVE), FREE: Control(flag=FREE, version=2, epoch=0, ceiling=None)},
        configuration='{"schema":1}', configuration_version=3, confirmed_at=10.0,
    )  # fmt: skip

    back = polled.loads(polled.dumps(known, environment="test"), environment="test")

    assert (back.controls, back.configuration, back.configuration_version) == (
        known.controls,
        known.configuration,
        3,
    )
    assert (back.confirmed_at, back.problem) == (None, "from disk")


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "[" * 100_000,
        '{"schema":2,"environment":"test","controls":[],"configuration":"","configuration_version":0}',
        '{"schema":1,"environment":"test","controls":{},"configuration":"","configuration_version":0}',
        '{"schema":1,"environment":"test","controls":[{}],"configuration":"","configuration_version":0}',
        '{"schema":1,"environment":"prod","controls":[],"configuration":"","configuration_version":0}',
        '{"schema":1,"controls":[],"configuration":"","configuration_version":0}',
    ],
    ids=["nothing", "a-list", "empty", "deep", "another-schema", "no-list", "a-bad-row", "others", "nobodys"],
)  # fmt: skip
def test_a_damaged_file_is_an_error_of_ours(text: str) -> None:
    """Nothing else comes out, whatever a disk holds."""
    with pytest.raises(ConfigError, match="last known good"):
        polled.loads(text, environment="test")
