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


def at(version: int, ceiling: Percentage | None, *, epoch: int = 1) -> Control:
    """One row."""
    return Control(flag=FLAG, version=version, epoch=epoch, ceiling=ceiling)


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
        assert after <= before or version >= highest
        highest = max(highest, version)


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
