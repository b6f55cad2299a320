"""What every flag source must do, as tests: subclass, say how to build yours, run.

    class TestMySource(FlagSourceContract):
        def make(self, flags, *, version): ...
        def change(self, source, flags, *, version): ...
        def spoil(self, source): ...

No test library is imported: the methods are plain assertions that pytest collects from the subclass.
Explained in docs/reference/flag-file.md.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from rollout.context import EvaluationContext
from rollout.controls import Controls
from rollout.evaluator import evaluate
from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.snapshot import Snapshot, SourceStatus
from rollout.sources.base import FlagSource

__all__ = ["FlagSourceContract"]

_KEY = FlagKey("tournament-webhooks")
_FIVE: Mapping[str, object] = {_KEY: {"percentage": "5"}}
_HALF: Mapping[str, object] = {_KEY: {"percentage": "50"}}
_EXACT = "0.00000000000000000001"


class FlagSourceContract:
    """The suite. Set `keeps_versions` to False for a source whose place has no version."""

    keeps_versions = True

    def make(self, flags: Mapping[str, object], *, version: int) -> FlagSource:
        """Build a source that serves *flags*, a mapping of keys to what a file would say of them."""
        raise NotImplementedError

    def change(self, source: FlagSource, flags: Mapping[str, object], *, version: int) -> None:
        """Change what *source* reads, as somebody else would."""
        raise NotImplementedError

    def spoil(self, source: FlagSource) -> None:
        """Make what *source* reads unusable."""
        raise NotImplementedError

    def test_it_serves_what_was_configured(self) -> None:
        """The first snapshot is ready and holds the flags."""
        snapshot = self.make(_FIVE, version=1).snapshot()

        assert snapshot.status is SourceStatus.READY
        assert snapshot.problem is None
        assert _percentage(snapshot) == Percentage.parse(5)

    def test_a_percentage_stays_exact(self) -> None:
        """20 digits after the point come through."""
        snapshot = self.make({_KEY: {"percentage": _EXACT}}, version=1).snapshot()

        assert str(_percentage(snapshot)) == _EXACT

    def test_nothing_changed_means_the_same_object(self) -> None:
        """Whoever compiles flags may do so once a snapshot."""
        source = self.make(_FIVE, version=1)

        assert source.snapshot() is source.snapshot()

    def test_a_change_is_picked_up(self) -> None:
        """The next snapshot after a change holds it, and the one before stays as it was."""
        source = self.make(_FIVE, version=1)
        before = source.snapshot()

        self.change(source, _HALF, version=2)
        after = source.snapshot()

        assert _percentage(after) == Percentage.parse(50)
        assert _percentage(before) == Percentage.parse(5)

    def test_a_flag_that_is_removed_is_gone(self) -> None:
        """No flag outlives the configuration that defined it."""
        source = self.make(_FIVE, version=1)
        source.snapshot()

        self.change(source, {}, version=2)

        assert _KEY not in source.snapshot().flags

    def test_the_last_good_flags_outlive_what_is_wrong(self) -> None:
        """Spoilt afterwards: stale, the flags stay, and it says why."""
        source = self.make(_FIVE, version=1)
        source.snapshot()

        self.spoil(source)
        snapshot = source.snapshot()

        assert snapshot.status is SourceStatus.STALE
        assert snapshot.problem
        assert _percentage(snapshot) == Percentage.parse(5)
        assert source.snapshot() is snapshot

    def test_it_recovers(self) -> None:
        """Good again after it was wrong: ready, and without a problem."""
        source = self.make(_FIVE, version=1)
        source.snapshot()
        self.spoil(source)
        source.snapshot()

        self.change(source, _HALF, version=2)
        snapshot = source.snapshot()

        assert (snapshot.status, snapshot.problem) == (SourceStatus.READY, None)
        assert _percentage(snapshot) == Percentage.parse(50)

    def test_a_lower_version_is_not_taken(self) -> None:
        """The store went back: the last good flags stay and a person decides."""
        if not self.keeps_versions:
            return
        source = self.make(_FIVE, version=7)
        source.snapshot()

        self.change(source, _HALF, version=6)
        snapshot = source.snapshot()

        assert snapshot.status is SourceStatus.STORE_WENT_BACK
        assert (snapshot.version, _percentage(snapshot)) == (7, Percentage.parse(5))

    def test_another_salt_is_not_taken(self) -> None:
        """A flag keeps its salt for life: the change is refused whole."""
        source = self.make(_FIVE, version=1)
        source.snapshot()

        self.change(source, {_KEY: {"percentage": "50", "salt": "another"}}, version=2)
        snapshot = source.snapshot()

        assert snapshot.status is SourceStatus.STALE
        assert _percentage(snapshot) == Percentage.parse(5)

    def test_a_bad_percentage_never_turns_anything_on(self) -> None:
        """101 %, never seen before: no flags, and the answer is off."""
        snapshot = self.make({_KEY: {"percentage": "101"}}, version=1).snapshot()

        assert snapshot.status is SourceStatus.ERROR
        decision = evaluate(snapshot, _KEY, EvaluationContext(unit=101), controls=Controls())
        assert decision.value is False

    def test_many_threads_see_whole_snapshots(self) -> None:
        """While it changes, each thread gets the one state or the other."""
        source = self.make(_FIVE, version=1)
        source.snapshot()
        seen: list[Snapshot] = []
        threads = [threading.Thread(target=lambda: seen.append(source.snapshot())) for _ in range(8)]

        self.change(source, _HALF, version=2)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(seen) == len(threads)
        assert {str(_percentage(snapshot)) for snapshot in seen} <= {"5", "50"}


def _percentage(snapshot: Snapshot) -> Percentage:
    percentage = snapshot.flags[_KEY].percentage
    assert percentage is not None
    return percentage
