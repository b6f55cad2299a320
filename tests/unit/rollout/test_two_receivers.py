"""Two endpoints, of which one is away for half an hour: half is not more than half (contract §10)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rollout.evidence import Row
from rollout.testing.worlds import Fault, Health, World, simulate
from rollout.verdict import Call, Standing
from tests.guarding import WELL, reading, row, verdict_of

pytestmark = pytest.mark.slow

DIES = {"attempts": 15, "unanswered": 15, "failed_connection_error": 5, "openings": 1, "open_seconds": 40}
AWAY = {"attempts": 1, "unanswered": 1, "refused": 25, "open_seconds": 60}
HALF_AN_HOUR = 30


def rows(*, well_before: int) -> Iterator[Row]:
    """Both are well for so many minutes; then one is away, and what its breaker refuses is no sample."""
    for minute in range(well_before + HALF_AN_HOUR):
        yield row(minute, WELL, "there")
        yield row(minute, WELL if minute < well_before else DIES if minute == well_before else AWAY, "away")


def test_one_of_two_that_is_away_neither_rolls_back_nor_holds_and_is_named() -> None:
    """The contract has no hold for it: the other receiver's deliveries are judged, and go on."""
    everything = list(rows(well_before=10))

    verdicts = [verdict_of(everything, minutes=minutes) for minutes in range(10, 10 + HALF_AN_HOUR)]

    assert {verdict.call for verdict in verdicts} == {Call.ADVANCE_ALLOWED}
    last = reading(verdicts[-1], "receiver_unreachable")
    assert (last.standing, last.value, last.sample) == (Standing.GO_ON, 1, 2)
    assert (last.scope, last.why) == ("away", "1 of 2 endpoints in use cannot be reached: away")


def test_what_failed_until_the_breaker_opened_holds_a_stage_that_has_little_else() -> None:
    """5 of 80 are more than 5 %: it waits until the other receiver has made up for them."""
    everything = list(rows(well_before=0))

    early, late = verdict_of(everything, minutes=3), verdict_of(everything, minutes=HALF_AN_HOUR)

    assert (early.call, [each.measure for each in early.reasons][:1]) == (Call.HOLD, ["success_rate"])
    assert late.call is Call.ADVANCE_ALLOWED


def test_the_second_one_away_rolls_back() -> None:
    """Then nobody is there."""
    both = [row(minute, DIES if not minute else AWAY, name) for minute in range(8) for name in ("a", "b")]

    verdict = verdict_of(both, minutes=8)

    assert (verdict.call, verdict.reasons[0].measure) == (Call.ROLL_BACK, "receiver_unreachable")


@pytest.mark.parametrize(
    ("is_answering", "has_breaker", "per_minute", "measure"),
    [
        pytest.param(False, True, 1, "", id="no-answer-1-a-minute"),
        pytest.param(False, True, 50, "", id="no-answer-50-a-minute"),
        pytest.param(False, False, 5, "", id="no-answer-no-breaker-5-a-minute"),
        pytest.param(False, False, 50, "success_rate_minutes", id="no-answer-no-breaker-50-a-minute"),
        pytest.param(True, True, 5, "", id="5xx-5-a-minute"),
        pytest.param(True, True, 50, "success_rate_sequence", id="5xx-50-a-minute"),
        pytest.param(True, False, 5, "success_rate_sequence", id="5xx-no-breaker-5-a-minute"),
    ],
)
def test_the_success_rate_decides_what_half_of_the_receivers_cannot(
    is_answering: bool, has_breaker: bool, per_minute: int, measure: str
) -> None:
    """What a breaker refuses is no sample; without one, or with answers of 5xx, half fails: that is ours."""
    health = Health(success=0.0, is_answering=is_answering)
    fault = Fault(health=health, lasts=HALF_AN_HOUR * 60.0, endpoints=1)
    world = World(
        name="one of two", per_minute=per_minute, endpoints=2, hours=3.0, fault=fault,
        has_breaker=has_breaker,
    )  # fmt: skip

    outcomes = [simulate(world, seed) for seed in range(5)]

    assert {outcome.measure for outcome in outcomes} == {measure}
