"""The schedule 2, 4, 8, … seconds, its caps, jitter, and what a receiver may ask for."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from webhooks_core.errors import ConfigError
from webhooks_core.outcome import Outcome
from webhooks_core.retry import DeadLetter, DisableEndpoint, RetryAt, RetryPolicy, Tier, parse_retry_after

NOW = 1_763_000_000.0


def after(attempt: int, policy: RetryPolicy | None = None, retry_after: str | None = None) -> object:
    """Decide on a 503 of *attempt*."""
    policy = RetryPolicy() if policy is None else policy
    return policy.next(Outcome.SERVER_ERROR, attempt=attempt, now=NOW, status=503, retry_after=retry_after)


def test_the_seeds_schedule() -> None:
    """Attempt 2 two seconds after the first failed, attempt 3 four seconds after the second, no fourth."""
    assert after(1) == RetryAt(when=NOW + 2.0, wait_seconds=2.0, reason="schedule")
    assert after(2) == RetryAt(when=NOW + 4.0, wait_seconds=4.0, reason="schedule")
    assert after(3) == DeadLetter(reason="3 of 3 attempts failed")
    assert after(4) == DeadLetter(reason="4 of 3 attempts failed")


def test_waits_double_up_to_sixty_seconds() -> None:
    """2, 4, 8, 16, 32, 60, 60, …"""
    policy = RetryPolicy(max_attempts=20)

    waits = [policy.wait_after(attempt) for attempt in range(1, 20)]

    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0] + [60.0] * 14


def test_a_far_attempt_does_not_overflow() -> None:
    """The exponent is bounded."""
    assert RetryPolicy().wait_after(100_000) == 60.0


def test_one_attempt_means_no_second() -> None:
    """WEBHOOK_MAX_RETRIES counts the first attempt."""
    assert isinstance(after(1, RetryPolicy(max_attempts=1)), DeadLetter)


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 4.0), (0.5, 3.0), (1.0, 2.0)])
def test_jitter_only_shortens(chance: float, wait: float) -> None:
    """Half a wait may go, so that the caps hold."""
    assert RetryPolicy(jitter=0.5).wait_after(2, rng_value=chance) == wait


def test_without_jitter_chance_changes_nothing() -> None:
    """Jitter is off by default."""
    assert RetryPolicy().wait_after(2, rng_value=0.999) == 4.0


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.CLIENT_ERROR, 400),
        (Outcome.CLIENT_ERROR, 404),
        (Outcome.SIGNATURE_REJECTED, 401),
        (Outcome.REDIRECT, 302),
        (Outcome.BLOCKED_ADDRESS, None),
        (Outcome.DUPLICATE_UNCONFIRMED, 409),
    ],
)
def test_what_no_repetition_changes_is_not_retried(outcome: Outcome, status: int | None) -> None:
    """Other 4xx, 3xx and blocked addresses: one attempt."""
    decision = RetryPolicy().next(outcome, attempt=1, now=NOW, status=status)

    assert decision == DeadLetter(reason=f"{outcome} is not retried")


@pytest.mark.parametrize("status", [408, 425, 429])
def test_three_client_errors_are_retried(status: int) -> None:
    """They ask for it."""
    decision = RetryPolicy().next(Outcome.CLIENT_ERROR, attempt=1, now=NOW, status=status)

    assert isinstance(decision, RetryAt)


def test_410_disables_the_endpoint() -> None:
    """Gone is a dead letter that also ends the endpoint, at any attempt."""
    decision = RetryPolicy().next(Outcome.CLIENT_ERROR, attempt=3, now=NOW, status=410)

    assert isinstance(decision, DisableEndpoint)
    assert isinstance(decision, DeadLetter)
    assert not isinstance(after(3), DisableEndpoint)


def test_success_needs_no_decision() -> None:
    """Asking is a mistake of the caller."""
    with pytest.raises(ValueError, match="delivered"):
        RetryPolicy().next(Outcome.SUCCESS, attempt=1, now=NOW)


@pytest.mark.parametrize(
    ("header", "wait", "reason"),
    [
        ("7", 7.0, "Retry-After"),
        (" 7\t", 7.0, "Retry-After"),
        ("3600", 3600.0, "Retry-After"),
        ("3601", 3600.0, "Retry-After"),
        ("9" * 30, 3600.0, "Retry-After"),
        ("9" * 400, 3600.0, "Retry-After"),
        ("1", 2.0, "schedule"),
        ("2", 2.0, "schedule"),
        ("0", 2.0, "schedule"),
        ("-5", 2.0, "schedule"),
        ("+5", 2.0, "schedule"),
        ("7.5", 2.0, "schedule"),
        ("7s", 2.0, "schedule"),
        ("1e3", 2.0, "schedule"),
        ("٧", 2.0, "schedule"),
        ("", 2.0, "schedule"),
        ("soon", 2.0, "schedule"),
        (formatdate(NOW + 30, usegmt=True), 30.0, "Retry-After"),
        (formatdate(NOW + 86_400, usegmt=True), 3600.0, "Retry-After"),
        (formatdate(NOW - 30, usegmt=True), 2.0, "schedule"),
    ],
)
def test_the_longer_of_schedule_and_header_counts(header: str, wait: float, reason: str) -> None:
    """Seconds and dates up to an hour; what cannot be read is as if it were not there."""
    assert after(1, retry_after=header) == RetryAt(when=NOW + wait, wait_seconds=wait, reason=reason)


# 1994-11-06 08:49:37 UTC, the example of RFC 9110 §5.6.7, in its three forms.
RFC_MOMENT = 784_111_777.0


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "sun, 06 nov 1994 08:49:37 gmt",
    ],
)
def test_the_three_forms_of_a_date(text: str) -> None:
    """All forms of RFC 9110 name the same moment."""
    assert parse_retry_after(text, now=RFC_MOMENT - 10) == 10.0


def test_a_date_in_the_past_is_zero() -> None:
    """Nothing is left to wait."""
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now=NOW) == 0.0


def test_a_leap_second_is_read_as_the_second_before() -> None:
    """23:59:60 exists in HTTP dates and not in a datetime."""
    assert parse_retry_after("Sat, 31 Dec 2016 23:59:60 GMT", now=1_483_228_799.0 - 5) == 5.0


def test_two_digits_of_a_year_mean_the_nearest_century() -> None:
    """More than fifty years ahead means the century before (RFC 9110 §5.6.7)."""
    assert parse_retry_after("Thursday, 13-Nov-25 02:13:30 GMT", now=NOW) == 10.0
    assert parse_retry_after("Thursday, 13-Nov-75 02:13:30 GMT", now=NOW) > 49 * 365 * 86_400  # type: ignore[operator]
    assert parse_retry_after("Thursday, 13-Nov-76 02:13:30 GMT", now=NOW) == 0.0
    assert parse_retry_after("Thursday, 13-Nov-99 02:13:30 GMT", now=NOW) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        None,
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 2025 08:49:37 GMT",
        "Sun, 06 Foo 2025 08:49:37 GMT",
        "Sun, 06 Nov 2025 25:49:37 GMT",
        "Sun, 00 Nov 0000 00:00:00 GMT",
        "2025-11-13T02:13:20Z",
    ],
)
def test_what_is_no_date_says_nothing(text: str | None) -> None:
    """Dates that do not exist, other zones and other standards are unreadable."""
    assert parse_retry_after(text, now=NOW) is None


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"max_attempts": 0}, "retry.max_attempts"),
        ({"slow_seconds": [60.0]}, "retry.slow_seconds"),
        ({"slow_seconds": (60.0,) * 21}, "retry.slow_seconds"),
        ({"slow_seconds": (0.5,)}, "retry.slow_seconds"),
        ({"slow_seconds": (604_801.0,)}, "retry.slow_seconds"),
        ({"slow_seconds": (True,)}, "retry.slow_seconds"),
        ({"slow_seconds": (float("nan"),)}, "retry.slow_seconds"),
        ({"max_attempts": 21}, "retry.max_attempts"),
        ({"max_attempts": True}, "retry.max_attempts"),
        ({"max_attempts": 3.0}, "retry.max_attempts"),
        ({"base_seconds": -0.001}, "retry.base_seconds"),
        ({"base_seconds": float("nan")}, "retry.base_seconds"),
        ({"cap_seconds": float("inf")}, "retry.cap_seconds"),
        ({"retry_after_cap_seconds": "60"}, "retry.retry_after_cap_seconds"),
        ({"jitter": 1.001}, "retry.jitter"),
        ({"jitter": -0.001}, "retry.jitter"),
        ({"jitter": True}, "retry.jitter"),
    ],
)
def test_a_bad_policy_is_refused(changes: dict[str, object], path: str) -> None:
    """Each field is checked on creation."""
    with pytest.raises(ConfigError) as caught:
        RetryPolicy(**changes)  # type: ignore[arg-type]

    assert caught.value.path == path


@pytest.mark.parametrize("attempts", [1, 20])
def test_the_ends_of_the_range_are_good(attempts: int) -> None:
    """1 and 20 attempts are allowed, and so are waits of nothing."""
    assert RetryPolicy(max_attempts=attempts, base_seconds=0, cap_seconds=0, jitter=1).wait_after(1) == 0.0


# --- the slow tier ----------------------------------------------------------------------------------------

SLOW = RetryPolicy(slow_seconds=(60.0, 600.0))


def slowly(taken: int, *, attempt: int = 4, policy: RetryPolicy = SLOW, **more: object) -> object:
    """Decide on a 503 of a delivery that has had *taken* waits of the slow tier."""
    arguments = {"attempt": attempt, "now": NOW, "status": 503, "slow_taken": taken, **more}
    return policy.next(Outcome.SERVER_ERROR, **arguments)  # type: ignore[arg-type]


def test_the_slow_tier_takes_over_where_the_fast_one_ends() -> None:
    """Contract §6: after the fast three; then its own waits, one after the other, then a dead letter."""
    found = [after(2, SLOW), after(3, SLOW), slowly(1, attempt=4), slowly(2, attempt=5)]

    assert found == [
        RetryAt(when=NOW + 4.0, wait_seconds=4.0, reason="schedule"),
        RetryAt(when=NOW + 60.0, wait_seconds=60.0, reason="slow retry 1 of 2", tier=Tier.SLOW),
        RetryAt(when=NOW + 600.0, wait_seconds=600.0, reason="slow retry 2 of 2", tier=Tier.SLOW),
        DeadLetter(reason="5 of 5 attempts failed"),
    ]


def test_once_in_the_slow_tier_it_stays_there() -> None:
    """More fast attempts, set while it waited, are not caught up on; fewer change nothing."""
    more, fewer = RetryPolicy(max_attempts=9, slow_seconds=(60.0, 600.0)), RetryPolicy(max_attempts=1)

    assert slowly(1, policy=more).tier is Tier.SLOW  # type: ignore[attr-defined]
    assert isinstance(slowly(1, policy=fewer), DeadLetter)


@pytest.mark.parametrize(
    ("latest", "wait"),
    [(NOW + 700, 600.0), (NOW + 599, 599.0), (NOW + 0.5, 0.5), (NOW, None), (NOW - 1, None)],
)
def test_the_slow_tier_ends_at_the_maximum_age(latest: float, wait: float | None) -> None:
    """One more attempt at that very moment, and none beyond."""
    found = slowly(1, latest=latest)

    assert getattr(found, "wait_seconds", None) == wait
    assert wait is not None or found == DeadLetter(reason="older than the maximum age after 4 attempts")


def test_the_fast_tier_has_no_maximum_age() -> None:
    """It is over within seconds; a delivery that waited for a breaker has all of it before it."""
    found = RetryPolicy().next(Outcome.TIMEOUT, attempt=1, now=NOW, latest=NOW - 1)

    assert found == RetryAt(when=NOW + 2.0, wait_seconds=2.0, reason="schedule")


@pytest.mark.parametrize(("wish", "wait"), [("30", 60.0), ("90", 90.0), ("86400", 3600.0)])
def test_the_slow_tier_hears_a_retry_after_too(wish: str, wait: float) -> None:
    """The longer of the two, up to its cap."""
    assert slowly(0, attempt=3, retry_after=wish).wait_seconds == wait  # type: ignore[attr-defined]


def test_jitter_shortens_slow_waits_as_well() -> None:
    """What failed together need not come back together."""
    policy = RetryPolicy(jitter=0.5, slow_seconds=(600.0,))

    assert slowly(0, policy=policy, rng_value=1.0).wait_seconds == 300.0  # type: ignore[attr-defined]


def test_what_is_not_retried_is_not_retried_slowly_either() -> None:
    """A 4xx ends a delivery wherever it is."""
    found = SLOW.next(Outcome.CLIENT_ERROR, attempt=3, now=NOW, status=404)

    assert isinstance(found, DeadLetter)


def test_a_tier_knows_how_many_attempts_there_are_by_its_end() -> None:
    """What a log line counts up to."""
    assert (SLOW.most(Tier.FAST), SLOW.most(Tier.SLOW)) == (3, 5)
