"""Unreachable: trouble without life, for as long as the plan says, and never by silence alone."""

from __future__ import annotations

import pytest

from rollout.counters import Counts
from rollout.reach import THERE, Reach

LOST = {"attempts": 3, "unanswered": 3, "failed_connection_error": 1}
OPEN = {"open_seconds": 60}
REFUSED = {"refused": 2}
WELL = {"ok": 2, "attempts": 2}
ANSWERED = {"attempts": 1}
MINUTE = 29_383_334


def after(*minutes: dict[str, int]) -> Reach:
    """Return what is known after these minutes, one after the other."""
    reach = THERE
    for number, counts in enumerate(minutes):
        reach = reach.after(MINUTE + number, Counts(counts))
    return reach


@pytest.mark.parametrize(
    "trouble", [LOST, OPEN, REFUSED, {**LOST, **OPEN}], ids=["lost", "open", "refused", "both"]
)
def test_five_minutes_of_trouble_after_the_first_are_unreachable(trouble: dict[str, int]) -> None:
    """Dated from the end of the first minute with trouble: then it is, a second earlier it is not."""
    reach = after(*[trouble] * 6)
    lost = (MINUTE + 1) * 60 + 300

    assert reach.is_lost(lost, minutes=5)
    assert not reach.is_lost(lost - 1, minutes=5)


def test_so_many_minutes_must_have_shown_trouble() -> None:
    """Four in ten minutes are too few, five are enough."""
    four = after(LOST, {}, LOST, {}, LOST, {}, {}, LOST)
    five = after(LOST, {}, LOST, {}, LOST, {}, LOST, LOST)

    assert not four.is_lost((MINUTE + 9) * 60, minutes=5)
    assert five.is_lost((MINUTE + 9) * 60, minutes=5)


def test_what_was_long_ago_is_not_now() -> None:
    """After as many minutes of silence nothing is known any more."""
    reach = after(*[LOST] * 6)
    last = MINUTE + 5

    assert reach.is_lost((last + 5) * 60 + 59, minutes=5)
    assert not reach.is_lost((last + 6) * 60, minutes=5)


@pytest.mark.parametrize(
    "life", [WELL, ANSWERED, {"recovered": 1, "attempts": 1}], ids=["ok", "answer", "recovery"]
)
def test_life_ends_what_was(life: dict[str, int]) -> None:
    """An arrival, or an answer while no breaker is open."""
    assert after(LOST, LOST, life) == THERE


def test_an_answer_while_the_breaker_is_open_is_no_life() -> None:
    """A probe that is answered with a 5xx keeps the breaker open: nothing arrives."""
    assert after(OPEN, {**OPEN, **ANSWERED}).minutes == 2


def test_a_minute_with_both_begins_anew() -> None:
    """It died in that minute, or came back for a moment: counted from its end."""
    reach = after(LOST, LOST, {**LOST, "ok": 1, "attempts": 4}, LOST)

    assert reach == Reach(first=MINUTE + 2, last=MINUTE + 3, minutes=2)


def test_silence_is_neither_trouble_nor_life() -> None:
    """An endpoint without traffic stays what it was."""
    assert after({}) == THERE
    assert after(LOST, {}, {}) == Reach(first=MINUTE, last=MINUTE, minutes=1)
