"""The suite catches sources that break their promise, and must be told how to build one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rollout.snapshot import Snapshot
from rollout.sources.base import FlagSource
from rollout.sources.memory import MappingSource
from rollout.testing.contracts import FlagSourceContract


class Forgetful:
    """A source that hands over nothing once something is wrong, and takes everything."""

    def __init__(self, flags: Mapping[str, object]) -> None:
        self.flags = flags

    def snapshot(self) -> Snapshot:
        found = MappingSource(self.flags).snapshot()
        return Snapshot(flags=found.flags, problem=found.problem, status=found.status)


class ForgetfulSuite(FlagSourceContract):
    """The suite for it."""

    def make(self, flags: Mapping[str, object], *, version: int) -> FlagSource:
        return Forgetful(flags)

    def change(self, source: FlagSource, flags: Mapping[str, object], *, version: int) -> None:
        assert isinstance(source, Forgetful)
        source.flags = flags

    def spoil(self, source: FlagSource) -> None:
        assert isinstance(source, Forgetful)
        source.flags = {"a": None}


@pytest.mark.parametrize(
    "name",
    [
        "test_nothing_changed_means_the_same_object",
        "test_the_last_good_flags_outlive_what_is_wrong",
        "test_a_lower_version_is_not_taken",
        "test_another_salt_is_not_taken",
    ],
)
def test_a_source_that_forgets_is_caught(name: str) -> None:
    """Each promise has a test that fails."""
    with pytest.raises(AssertionError):
        getattr(ForgetfulSuite(), name)()


def test_the_suite_must_be_told_how_to_build_a_source() -> None:
    """Three methods are the user's to write."""
    suite = FlagSourceContract()

    with pytest.raises(NotImplementedError):
        suite.make({}, version=1)
    with pytest.raises(NotImplementedError):
        suite.change(MappingSource({}), {}, version=1)
    with pytest.raises(NotImplementedError):
        suite.spoil(MappingSource({}))
