"""What replaces the last good flags, and what does not."""

from __future__ import annotations

import pytest

from rollout.flags import Flag, FlagKey
from rollout.percentage import Percentage
from rollout.snapshot import SourceStatus
from rollout.sources.dump import FlagSet
from rollout.sources.lastgood import LastGood


def reading(percentage: int, version: int, key: str = "a", **changes: str) -> FlagSet:
    """Build what a source has read."""
    flag = Flag(key=FlagKey(key), percentage=Percentage.parse(percentage), version=version, **changes)  # type: ignore[arg-type]
    return FlagSet(flags={flag.key: flag}, version=version)


@pytest.fixture
def last() -> LastGood:
    """Version 7 is in force."""
    good = LastGood("here")
    good.take(reading(5, 7))
    return good


def test_before_anything_was_read_there_is_nothing() -> None:
    """ERROR, no flags, and what is wrong."""
    last = LastGood("here")

    assert not last.is_there
    assert last.snapshot.status is SourceStatus.ERROR
    assert last.keep("no JSON").problem == "no JSON"
    assert (last.snapshot.status, last.snapshot.flags) == (SourceStatus.ERROR, {})


@pytest.mark.parametrize("version", [7, 8, 2**63 - 1])
def test_the_same_or_a_higher_version_is_taken(last: LastGood, version: int) -> None:
    """The same version with other content: edited by hand."""
    snapshot = last.take(reading(50, version))

    assert (snapshot.status, snapshot.version, snapshot.origin) == (SourceStatus.READY, version, "here")
    assert snapshot.flags == reading(50, version).flags


def test_the_same_again_is_the_same_object(last: LastGood) -> None:
    """A file that was touched compiles nothing anew."""
    assert last.take(reading(5, 7)) is last.snapshot


def test_a_lower_version_is_not_taken_until_it_is_high_again(last: LastGood) -> None:
    """A restored backup, a lagging replica: the last good stays, a person decides."""
    back = last.take(reading(50, 6))
    assert (back.status, back.version) == (SourceStatus.STORE_WENT_BACK, 7)
    assert back.flags == reading(5, 7).flags
    assert back.problem == "here: version 6 after version 7"
    assert last.take(reading(50, 6)) is back

    assert last.take(reading(50, 8)).status is SourceStatus.READY


@pytest.mark.parametrize("changes", [{"salt": "b"}, {"algorithm": "r2"}])
def test_another_salt_or_algorithm_is_not_taken(last: LastGood, changes: dict[str, str]) -> None:
    """It would deal every unit again."""
    snapshot = last.take(reading(50, 8, **changes))

    assert (snapshot.status, snapshot.version) == (SourceStatus.STALE, 7)
    assert "put back salt 'a' and algorithm 'r1'" in str(snapshot.problem)


def test_a_flag_that_was_away_keeps_its_salt_too(last: LastGood) -> None:
    """A reused key is the same flag."""
    last.take(FlagSet(version=8))

    assert last.take(reading(50, 9, salt="b")).status is SourceStatus.STALE
    assert last.take(reading(50, 9)).status is SourceStatus.READY


def test_other_flags_have_salts_of_their_own(last: LastGood) -> None:
    """A new key may have any."""
    assert last.take(reading(50, 8, key="b", salt="c")).status is SourceStatus.READY


def test_a_problem_keeps_the_flags_and_is_told_once(last: LastGood) -> None:
    """The same problem is the same object; the same flags afterwards are ready again."""
    stale = last.keep("no JSON")

    assert (stale.status, stale.problem, stale.version) == (SourceStatus.STALE, "no JSON", 7)
    assert last.keep("no JSON") is stale
    assert last.keep("is not there") is not stale
    assert last.take(reading(5, 7)).status is SourceStatus.READY
