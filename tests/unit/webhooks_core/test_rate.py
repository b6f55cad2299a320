"""The token bucket, in numbers."""

from __future__ import annotations

import math
from random import Random

import pytest

from webhooks_core.errors import ConfigError
from webhooks_core.rate import Grant, RatePolicy, RateState, give_back, lowest, take

NOW = 1_763_000_000.0
POLICY = RatePolicy(per_second=2.0, burst=5.0)


def test_a_new_bucket_is_full() -> None:
    """The burst at once, then nothing before the next token has come in."""
    first = take(POLICY, None, 9, now=NOW)

    assert first == Grant(state=RateState(tokens=0.0, at=NOW), count=5, retry_at=NOW + 0.5)


def test_tokens_come_in_by_the_second() -> None:
    """Two a second: after 0.4 s none, after 0.5 s one, and the part of the next is kept."""
    empty = RateState(tokens=0.0, at=NOW)

    assert take(POLICY, empty, 1, now=NOW + 0.4).count == 0
    assert take(POLICY, empty, 1, now=NOW + 0.4).retry_at == pytest.approx(NOW + 0.5)
    assert take(POLICY, empty, 3, now=NOW + 0.75) == Grant(
        state=RateState(tokens=0.5, at=NOW + 0.75), count=1, retry_at=NOW + 1.0
    )


def test_a_wish_that_is_met_names_no_moment() -> None:
    """Nobody has to come again."""
    assert take(POLICY, None, 5, now=NOW).retry_at is None
    assert take(POLICY, None, 0, now=NOW) == Grant(state=RateState(tokens=5.0, at=NOW), count=0)


def test_a_bucket_holds_no_more_than_its_burst() -> None:
    """An hour of silence is not saved up."""
    assert take(POLICY, RateState(tokens=1.0, at=NOW), 100, now=NOW + 3600).count == 5


def test_a_clock_that_is_set_back_costs_nothing() -> None:
    """The bucket goes on from the new moment."""
    back = take(POLICY, RateState(tokens=0.0, at=NOW), 1, now=NOW - 3600)

    assert back.retry_at == NOW - 3600 + 0.5
    assert take(POLICY, back.state, 1, now=NOW - 3600 + 0.5).count == 1


def test_what_was_not_needed_goes_back_and_no_further_than_the_burst() -> None:
    """Granted four, used one: three are there for the next."""
    granted = take(POLICY, None, 4, now=NOW)

    assert give_back(POLICY, granted.state, 3, now=NOW) == RateState(tokens=4.0, at=NOW)
    assert give_back(POLICY, granted.state, 30, now=NOW).tokens == 5.0


def test_over_any_time_no_more_is_granted_than_burst_and_rate() -> None:
    """A thousand random wishes at random moments, two policies."""
    rng = Random(7)
    for policy in (POLICY, RatePolicy(per_second=0.3)):
        state, now, total = None, NOW, 0
        for _ in range(1_000):
            now += rng.random()
            grant = take(policy, state, rng.randrange(4), now=now)
            state, total = grant.state, total + grant.count
            assert total <= policy.burst + policy.per_second * (now - NOW) + 1e-6


@pytest.mark.parametrize(
    ("per_second", "burst", "named"),
    [
        (0, 1, "per_second"),
        (-1, 1, "per_second"),
        (math.inf, 1, "per_second"),
        (math.nan, 1, "per_second"),
        (True, 1, "per_second"),
        ("2", 1, "per_second"),
        (1, 0.5, "burst"),
        (1, math.inf, "burst"),
        (1, None, "burst"),
    ],
)
def test_refuses_what_is_no_rate(per_second: object, burst: object, named: str) -> None:
    """The error names the number and what is allowed."""
    with pytest.raises(ConfigError, match=rf"rate\.{named}: must be a finite number"):
        RatePolicy(per_second=per_second, burst=burst)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("caps", "policy"),
    [
        ((), None),
        ((None, None), None),
        ((2.0, None), RatePolicy(per_second=2.0, burst=1.0)),
        ((None, 0.5), RatePolicy(per_second=0.5, burst=1.0)),
        ((40.0, 80.0), RatePolicy(per_second=40.0, burst=10.0)),
    ],
    ids=range(5),
)
def test_the_lowest_cap_rules(caps: tuple[float | None, ...], policy: RatePolicy | None) -> None:
    """Of an endpoint and of a stage; a quarter of a second's worth may come at once."""
    assert lowest(*caps) == policy
