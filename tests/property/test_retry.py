"""Property: waits follow the contract §6 to the second, are capped, and no Retry-After text breaks them."""

from __future__ import annotations

from email.utils import formatdate

from hypothesis import example, given
from hypothesis import strategies as st

from webhooks_core.outcome import Outcome
from webhooks_core.retry import DeadLetter, RetryAt, RetryPolicy

NOW = 1_763_000_000.0
RETRIED = [Outcome.SERVER_ERROR, Outcome.TIMEOUT, Outcome.CONNECTION_ERROR, Outcome.TLS_ERROR]
NEVER = [
    Outcome.CLIENT_ERROR,
    Outcome.REDIRECT,
    Outcome.BLOCKED_ADDRESS,
    Outcome.SIGNATURE_REJECTED,
    Outcome.PII_BLOCKED,
]


@given(st.sampled_from(RETRIED), st.integers(1, 19), st.floats(0, 4e9))
def test_the_schedule_doubles_from_two_seconds_up_to_sixty(
    outcome: Outcome, attempt: int, now: float
) -> None:
    """After attempt n the wait is min(2^n, 60) s, counted from the failure (§6: 2 s, 4 s, …)."""
    step = RetryPolicy(max_attempts=20).next(outcome, attempt=attempt, now=now)

    assert isinstance(step, RetryAt)
    assert step.wait_seconds == min(2.0**attempt, 60.0)
    assert step.when == now + step.wait_seconds


@given(st.sampled_from(RETRIED), st.integers(1, 20))
def test_attempts_are_counted_in_total(outcome: Outcome, limit: int) -> None:
    """`max_attempts` counts the first one too: n attempts, n − 1 waits, then a dead letter (§1, §6)."""
    policy = RetryPolicy(max_attempts=limit)
    steps = [policy.next(outcome, attempt=attempt, now=NOW) for attempt in range(1, limit + 1)]

    assert all(isinstance(step, RetryAt) for step in steps[:-1])
    assert isinstance(steps[-1], DeadLetter)


@given(st.sampled_from(NEVER), st.integers(1, 20), st.none() | st.integers(0, 9).map(str))
def test_what_must_not_be_retried_is_not(outcome: Outcome, attempt: int, wish: str | None) -> None:
    """Other 4xx, 3xx, blocked addresses: never again by itself, whatever Retry-After wishes (§6)."""
    step = RetryPolicy(max_attempts=20).next(outcome, attempt=attempt, now=NOW, retry_after=wish)

    assert not isinstance(step, RetryAt)


@given(st.integers(0, 10**12), st.integers(1, 18))
@example(3600, 1)
@example(3601, 1)
@example(0, 1)
def test_retry_after_in_seconds_is_honoured_up_to_an_hour(seconds: int, attempt: int) -> None:
    """The receiver's wish is met, never undercut, and capped at 3,600 s (§6)."""
    step = RetryPolicy(max_attempts=20).next(
        Outcome.SERVER_ERROR, attempt=attempt, now=NOW, retry_after=str(seconds)
    )

    assert isinstance(step, RetryAt)
    assert min(seconds, 3600) <= step.wait_seconds <= 3600
    if seconds >= 60:
        assert step.wait_seconds == min(seconds, 3600)


@given(st.integers(-100_000, 100_000))
@example(3600)
@example(3601)
def test_retry_after_as_a_date_is_honoured_up_to_an_hour(ahead: int) -> None:
    """An HTTP date works as the seconds until then; a date gone by asks for nothing (§6)."""
    step = RetryPolicy(max_attempts=20).next(
        Outcome.SERVER_ERROR, attempt=1, now=NOW, retry_after=formatdate(NOW + ahead, usegmt=True)
    )

    assert isinstance(step, RetryAt)
    assert max(0, min(ahead, 3600)) <= step.wait_seconds <= 3600
    if ahead >= 60:
        assert step.wait_seconds == min(ahead, 3600)
    if ahead <= 0:
        assert step.wait_seconds == 2.0


HEADERISH = st.text("0123456789 -+.,:eEinfNaAGMTSunJ", max_size=40)


@given(
    st.sampled_from(sorted(set(Outcome) - {Outcome.SUCCESS})),
    st.integers(1, 20),
    st.one_of(st.none(), st.text(), HEADERISH, st.binary().map(lambda raw: raw.decode("latin-1"))),
    st.floats(0, 1, exclude_max=True),
)
@example(Outcome.SERVER_ERROR, 1, "9" * 5000, 0.0)
@example(Outcome.SERVER_ERROR, 1, "1e400", 0.0)
@example(Outcome.SERVER_ERROR, 1, "inf", 0.0)
@example(Outcome.SERVER_ERROR, 1, "nan", 0.0)
@example(Outcome.SERVER_ERROR, 1, "-5", 0.0)
@example(Outcome.SERVER_ERROR, 1, "٣", 0.0)
@example(Outcome.SERVER_ERROR, 1, "²", 0.0)
@example(Outcome.SERVER_ERROR, 1, "Fri, 31 Dec 9999 23:59:59 GMT", 0.0)
@example(Outcome.SERVER_ERROR, 1, "Mon, 01 Jan 0000 00:00:00 GMT", 0.0)
@example(Outcome.SERVER_ERROR, 1, "Fri, 31 Dec 9999 23:59:59 -9999", 0.0)
@example(Outcome.SERVER_ERROR, 1, "Mon, 99 Jan 2025 99:99:99 GMT", 0.0)
def test_no_retry_after_text_breaks_the_policy(
    outcome: Outcome, attempt: int, wish: str | None, chance: float
) -> None:
    """Whatever a receiver puts into Retry-After: no exception, and a wait from 0 to 3,600 s at most (§6)."""
    policy = RetryPolicy(max_attempts=20, jitter=0.5)

    step = policy.next(outcome, attempt=attempt, now=NOW, retry_after=wish, rng_value=chance)

    if isinstance(step, RetryAt):
        assert 0 <= step.wait_seconds <= 3600
        assert step.when == NOW + step.wait_seconds


@given(st.integers(1, 19), st.floats(0, 1, exclude_max=True))
def test_without_the_option_there_is_no_jitter(attempt: int, chance: float) -> None:
    """Jitter is off by default: chance changes nothing (§6)."""
    policy = RetryPolicy(max_attempts=20)

    plain = policy.next(Outcome.TIMEOUT, attempt=attempt, now=NOW)
    thrown = policy.next(Outcome.TIMEOUT, attempt=attempt, now=NOW, rng_value=chance)

    assert plain == thrown


@given(st.integers(1, 19), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_jitter_never_leaves_the_cap(attempt: int, chance: float, jitter: float) -> None:
    """With jitter the wait stays positive and within the cap of 60 s (§6)."""
    step = RetryPolicy(max_attempts=20, jitter=jitter).next(
        Outcome.TIMEOUT, attempt=attempt, now=NOW, rng_value=chance
    )

    assert isinstance(step, RetryAt)
    assert 0 <= step.wait_seconds <= 60
