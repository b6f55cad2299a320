"""An observer that fails never breaks what it observes, and its failure is handed on."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from rollout import events
from rollout.events import Fact, ObserverFailed, SnapshotLoaded, emit, report_failures_to
from rollout.testing import RecordingObserver

FACT = SnapshotLoaded(version=7, origin="settings")


@pytest.fixture(autouse=True)
def _reporters() -> Iterator[None]:
    """Put the reporter of the process back."""
    before = list(events._reporters)
    yield
    events._reporters[:] = before


def test_an_observer_hears_the_fact() -> None:
    """As it is."""
    observer = RecordingObserver()

    emit(observer, FACT)

    assert observer.facts == [FACT]
    assert observer.of(SnapshotLoaded) == [FACT]
    observer.clear()
    assert observer.facts == []


def test_no_observer_is_fine() -> None:
    """Nobody has to listen."""
    emit(None, FACT)


def test_a_failing_observer_is_reported_by_name() -> None:
    """Names only: what it said may hold anything."""
    failures: list[ObserverFailed] = []
    report_failures_to(failures.append)

    def broken(fact: Fact) -> None:
        raise ValueError("a secret")

    emit(broken, FACT)

    assert [(failure.error, failure.fact) for failure in failures] == [("ValueError", "SnapshotLoaded")]
    assert failures[0].observer.endswith("broken")
    assert "secret" not in repr(failures)


def test_an_observer_without_a_name_is_reported_by_its_type() -> None:
    """Objects that are called have no name of their own."""
    failures: list[ObserverFailed] = []
    report_failures_to(failures.append)

    class Broken:
        def __call__(self, fact: Fact) -> None:
            raise ValueError

    emit(Broken(), FACT)

    assert failures[0].observer.endswith("Broken")


def test_without_a_reporter_a_failure_is_swallowed() -> None:
    """Where nothing that logs is imported, the delivery still goes on."""
    events._reporters.clear()

    def broken(fact: Fact) -> None:
        raise ValueError

    emit(broken, FACT)


def test_a_reporter_that_fails_breaks_nothing_either(capsys: pytest.CaptureFixture[str]) -> None:
    """A log handler may raise: then one line on standard error is what is left."""

    def broken(what: object) -> None:
        raise ValueError("a secret")

    report_failures_to(broken)

    emit(broken, FACT)

    told = capsys.readouterr().err
    assert "SnapshotLoaded" in told
    assert "secret" not in told
    assert len(told.splitlines()) == 1


def test_without_standard_error_the_last_resort_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service without a console has none."""

    def broken(what: object) -> None:
        raise ValueError

    report_failures_to(broken)
    monkeypatch.setattr(sys, "stderr", None)

    emit(broken, FACT)


def test_the_end_of_the_process_is_not_swallowed() -> None:
    """Ctrl-C gets through an observer."""

    def interrupted(fact: Fact) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emit(interrupted, FACT)
