"""What a breaker's state becomes as evidence: openings in their minute, and the seconds it is open."""

from __future__ import annotations

import pytest

from rollout.django.fleet_evidence import MAX_OPEN_MINUTES, rows_of
from rollout.evidence import minute_of
from webhooks_core.breaker import BreakerState, State

NOW = 1_763_000_040.0  # the first second of a minute
MINUTE = minute_of(NOW)


def told(breaker: BreakerState, *, since: int = 0, now: float) -> dict[int, dict[str, int]]:
    """The counts by minute, from the start's minute on; a minute that counts nothing is left out."""
    found: dict[int, dict[str, int]] = {}
    for minute, endpoint, counts in rows_of("main", breaker, since=MINUTE + since, now=now):
        assert endpoint == "main"
        for name, value in counts.as_dict().items():
            there = found.setdefault(minute - MINUTE, {})
            there[name] = there.get(name, 0) + value
    return found


@pytest.mark.parametrize(
    ("seconds", "minute"),
    [pytest.param(0.0, 0, id="first-second"), (59.999, 0), (60.0, 1), (-0.001, -1)],
)
def test_an_opening_counts_in_its_minute(seconds: float, minute: int) -> None:
    """By the second in which it was: from :00 on it is the next one's."""
    closed = BreakerState(openings=(NOW + seconds,))

    assert told(closed, now=NOW + 300) == {minute: {"openings": 1}}


def test_every_opening_counts_once_however_many_a_minute_has() -> None:
    """Two in one minute, and one an hour before that."""
    closed = BreakerState(openings=(NOW - 3_600, NOW, NOW + 59))

    assert told(closed, now=NOW + 60) == {-60: {"openings": 1}, 0: {"openings": 2}}


def test_openings_of_minutes_that_were_judged_are_told_again() -> None:
    """At each look the same, so that one that was missed while nobody saw the breaker is made up for."""
    closed = BreakerState(openings=(NOW,))

    assert (
        told(closed, since=2, now=NOW + 200) == told(closed, since=0, now=NOW + 200) == {0: {"openings": 1}}
    )


@pytest.mark.parametrize("state", [State.OPEN, State.HALF_OPEN])
def test_the_seconds_of_each_minute_for_which_it_is_open_are_told(state: State) -> None:
    """From the opening to now: the rest of the first minute, whole ones, and the begun one."""
    breaker = BreakerState(state=state, openings=(NOW + 45,))

    found = told(breaker, now=NOW + 150)

    assert found == {0: {"openings": 1, "open_seconds": 15}, 1: {"open_seconds": 60}, 2: {"open_seconds": 30}}


def test_seconds_of_minutes_that_were_judged_are_not_told_again() -> None:
    """They were counted; the opening alone is."""
    breaker = BreakerState(state=State.OPEN, openings=(NOW,))

    assert told(breaker, since=2, now=NOW + 150) == {0: {"openings": 1}, 2: {"open_seconds": 30}}


def test_a_breaker_that_is_closed_again_was_open_for_nothing_that_is_known() -> None:
    """When it closed is not kept; what it refused was counted as it refused it."""
    assert told(BreakerState(openings=(NOW,)), now=NOW + 60) == {0: {"openings": 1}}


def test_an_open_breaker_is_told_for_an_hour_at_most() -> None:
    """Dead for a day, first looked at now: sixty whole minutes and the begun one, not 1,440."""
    breaker = BreakerState(state=State.OPEN, openings=(NOW - 86_000,))

    found = told(breaker, since=-2_000, now=NOW + 1)

    seconds = {minute: counts["open_seconds"] for minute, counts in found.items() if "open_seconds" in counts}
    assert list(seconds) == list(range(-MAX_OPEN_MINUTES, 1))
    assert set(seconds.values()) == {60, 1}


def test_a_breaker_that_a_person_opened_has_no_opening() -> None:
    """Forced open, it tells nothing of the receiver."""
    assert list(rows_of("main", BreakerState(state=State.OPEN), since=MINUTE, now=NOW)) == []


def test_a_look_in_the_second_of_the_opening_counts_no_time() -> None:
    """A row that says nothing, rather than a negative number."""
    breaker = BreakerState(state=State.OPEN, openings=(NOW,))

    assert told(breaker, now=NOW) == {0: {"openings": 1}}
