"""Facts are told in order, and an observer that fails breaks nothing."""

from __future__ import annotations

import sys
import typing

import pytest

from webhooks_core import events
from webhooks_core.events import Fact, ObserverFailed, Received, emit, fan_out
from webhooks_core.testing.observer import RecordingObserver

FACT = Received(event="payment_verified", webhook_id="550e8400-e29b-41d4-a716-446655440000")


def test_nobody_listens_and_nothing_happens() -> None:
    """`None` is an observer that hears nothing."""
    emit(None, FACT)


def test_an_observer_is_told_the_fact() -> None:
    """The very fact arrives."""
    seen = RecordingObserver()

    emit(seen, FACT)

    assert seen.facts == [FACT]


def test_a_failure_is_told_to_the_observer_itself() -> None:
    """What raised stays inside, and comes back as a fact without the error's text."""
    seen: list[Fact] = []

    def picky(fact: Fact) -> None:
        if isinstance(fact, Received):
            raise ValueError("a secret text")
        seen.append(fact)

    emit(picky, FACT)

    [failure] = seen
    assert isinstance(failure, ObserverFailed)
    assert failure.observer.endswith("picky")
    assert (failure.fact, failure.error) == ("Received", "ValueError")


def broken(fact: Fact) -> None:
    raise ValueError("a secret text")


def test_an_observer_that_always_fails_is_told_of_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The last resort names observer, fact and error, and not the error's text."""
    emit(broken, FACT)

    assert capsys.readouterr().err == "webhooks: observer broken failed on Received with ValueError\n"


def test_without_standard_error_the_last_resort_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without standard error goes on all the same."""
    monkeypatch.setattr(sys, "stderr", None)

    emit(broken, FACT)


def test_fan_out_tells_all_and_of_each_failure() -> None:
    """The second observer hears the fact although the first one failed, and hears of that."""
    seen = RecordingObserver()

    fan_out(broken, seen)(FACT)

    assert seen.kinds() == ["Received", "ObserverFailed"]


def test_an_interrupt_is_not_swallowed() -> None:
    """Only errors end in `emit`; Ctrl-C goes on."""

    def interrupted(fact: Fact) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emit(interrupted, FACT)


def test_every_fact_is_frozen_and_belongs_to_the_union() -> None:
    """A fact that is not in `Fact` could not be observed with types."""
    union = set(typing.get_args(events.Fact))
    classes = {
        value
        for value in vars(events).values()
        if isinstance(value, type) and value.__module__ == events.__name__
    }

    assert classes == union
    assert all(kind.__dataclass_params__.frozen for kind in union)  # type: ignore[attr-defined]
