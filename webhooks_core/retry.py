"""When to try again: `RetryPolicy.next` turns a failed attempt into `RetryAt`, `DeadLetter` or
`DisableEndpoint`.

Pure: `now` and the chance value come in, a frozen decision goes out; nobody sleeps here. Two tiers: the fast
one doubles its waits up to `max_attempts`; the slow one, where there is one, takes over there. Invariant: a
wait is never negative, never above the cap of its kind (60 s for the schedule, 3,600 s for `Retry-After`, the
slow tier's own), and no attempt beyond both tiers is planned. Explained in
docs/explanation/delivery-guarantees.md.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from webhooks_core.errors import ConfigError
from webhooks_core.outcome import GONE, Outcome, is_retried, is_success

MAX_ATTEMPTS = 20  # contract §1, WEBHOOK_MAX_RETRIES
CAP_SECONDS = 60.0  # contract §6
RETRY_AFTER_CAP_SECONDS = 3_600.0  # contract §6
MAX_SLOW_RETRIES = 20  # as many as the fast tier may have attempts
MAX_SLOW_SECONDS = 604_800.0  # 7 days: receivers remember an id no longer (contract §5)
_MAX_DOUBLINGS = 64  # beyond it any base above 0 is past every cap, and a float could overflow

# RFC 9110 §10.2.3: Retry-After = HTTP-date / delay-seconds; §5.6.7 gives the three forms of a date.
_SECONDS = re.compile(r"[0-9]+\Z")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES = (
    re.compile(
        rf"[A-Z]{{3}}, (?P<day>\d\d) (?P<month>[A-Z]{{3}}) (?P<year>\d{{4}}) {_TIME} GMT\Z", re.I | re.A
    ),
    re.compile(
        rf"[A-Z]{{6,9}}, (?P<day>\d\d)-(?P<month>[A-Z]{{3}})-(?P<year>\d\d) {_TIME} GMT\Z", re.I | re.A
    ),
    re.compile(
        rf"[A-Z]{{3}} (?P<month>[A-Z]{{3}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})\Z", re.I | re.A
    ),
)


class Tier(StrEnum):
    """Name the tier that a retry belongs to."""

    FAST = "fast"
    SLOW = "slow"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAt:
    """Try again at *when* (epoch seconds), `wait_seconds` after the attempt failed."""

    when: float
    wait_seconds: float
    reason: str
    tier: Tier = Tier.FAST


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Do not try again by yourself: keep it for a person."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableEndpoint(DeadLetter):
    """Keep the delivery for a person and send nothing more to this endpoint until a person re-enables it."""


Decision = RetryAt | DeadLetter


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The schedule: attempt *n* begins `base_seconds · 2^(n−2)` after the one before has failed.

    Args:
        max_attempts: Attempts in total, the first included; 1 to 20.
        base_seconds: Wait before attempt 2; 0 or more. The contract's 2 gives 2 s, 4 s, 8 s, …
        cap_seconds: No wait of the schedule is longer; 0 or more.
        retry_after_cap_seconds: No `Retry-After` is believed beyond this; 0 or more.
        jitter: Share of a wait that chance may take away, 0 (off) to 1. It only shortens, so that the caps
            hold.
        slow_seconds: The waits of the slow tier, each before one attempt more: at most 20, each of 1 to
            604,800 s. Empty: there is none.
    """

    max_attempts: int = 3
    base_seconds: float = 2.0
    cap_seconds: float = CAP_SECONDS
    retry_after_cap_seconds: float = RETRY_AFTER_CAP_SECONDS
    jitter: float = 0.0
    slow_seconds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no policy."""
        if not (_is_whole(self.max_attempts) and 1 <= self.max_attempts <= MAX_ATTEMPTS):
            raise ConfigError("retry.max_attempts", f"must be an int from 1 to {MAX_ATTEMPTS}")
        for name in ("base_seconds", "cap_seconds", "retry_after_cap_seconds"):
            value = getattr(self, name)
            if not (_is_real(value) and value >= 0):
                raise ConfigError(f"retry.{name}", "must be a finite number of seconds, 0 or more")
        if not (_is_real(self.jitter) and 0 <= self.jitter <= 1):
            raise ConfigError("retry.jitter", "must be a share from 0 (off) to 1")
        if not _is_waits(self.slow_seconds):
            allowed = f"must be a tuple of at most {MAX_SLOW_RETRIES} waits of 1 to {MAX_SLOW_SECONDS:.0f} s"
            raise ConfigError("retry.slow_seconds", allowed)

    def most(self, tier: Tier) -> int:
        """Return how many attempts a delivery has in all by the end of *tier*, the first included."""
        return self.max_attempts + (len(self.slow_seconds) if tier is Tier.SLOW else 0)

    def wait_after(self, attempt: int, *, rng_value: float = 0.0) -> float:
        """Return the seconds to wait after *attempt* (from 1) has failed, `Retry-After` left aside."""
        wait = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt - 1, _MAX_DOUBLINGS))
        return wait * (1.0 - self.jitter * rng_value)

    def next(
        self,
        outcome: Outcome,
        *,
        attempt: int,
        now: float,
        status: int | None = None,
        retry_after: str | None = None,
        rng_value: float = 0.0,
        slow_taken: int = 0,
        latest: float = math.inf,
    ) -> Decision:
        """Decide what follows on a failed attempt.

        Args:
            outcome: Class of the failure; never `success`.
            attempt: Number of the attempt that failed, from 1.
            now: Epoch seconds at which it had failed.
            status: HTTP status, None without an answer; 408, 425 and 429 are retried, 410 ends the endpoint.
            retry_after: The header as it came. Seconds or an HTTP date; anything else is as if it were not
                there. The longer of schedule and header counts.
            rng_value: Chance in [0, 1), used only with jitter.
            slow_taken: How many waits of the slow tier the delivery has had. Once in that tier it stays.
            latest: Epoch seconds of its maximum age: the slow tier plans nothing beyond, and ends there.

        Raises:
            ValueError: *outcome* is `success`: there is nothing to decide.
        """
        if is_success(outcome):
            raise ValueError("a delivered webhook is not tried again")
        if status == GONE:
            return DisableEndpoint(reason="endpoint gone (HTTP 410)")
        if not is_retried(outcome, status=status):
            return DeadLetter(reason=f"{outcome} is not retried")
        wished = min(parse_retry_after(retry_after, now=now) or 0.0, self.retry_after_cap_seconds)
        if not slow_taken and attempt < self.max_attempts:
            wait = self.wait_after(attempt, rng_value=rng_value)
            reason, wait = ("Retry-After", wished) if wished > wait else ("schedule", wait)
            return RetryAt(when=now + wait, wait_seconds=wait, reason=reason)
        if slow_taken >= len(self.slow_seconds):
            return DeadLetter(reason=f"{attempt} of {self.most(Tier.SLOW)} attempts failed")
        if now >= latest:
            return DeadLetter(reason=f"older than the maximum age after {attempt} attempts")
        wait = self.slow_seconds[slow_taken] * (1.0 - self.jitter * rng_value)
        wait = min(max(wait, wished), latest - now)
        reason = f"slow retry {slow_taken + 1} of {len(self.slow_seconds)}"
        return RetryAt(when=now + wait, wait_seconds=wait, reason=reason, tier=Tier.SLOW)


def parse_retry_after(text: str | None, *, now: float) -> float | None:
    """Return the seconds that *text* asks to wait, or None where it says nothing that can be read.

    A date in the past is 0. Signs, fractions, units and dates that do not exist are unreadable.

    Source: RFC 9110 §10.2.3 and §5.6.7 (all three forms of a date, any letter case).
    """
    if text is None:
        return None
    text = text.strip(" \t")
    if _SECONDS.match(text):
        return float(text)
    for form in _DATES:
        found = form.match(text)
        if found:
            return _seconds_until(found, now=now)
    return None


def _seconds_until(found: re.Match[str], *, now: float) -> float | None:
    month = found["month"].lower()
    if month not in _MONTHS:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:  # RFC 9110 §5.6.7: more than 50 years ahead means the century before
        this_year = datetime.fromtimestamp(now, UTC).year
        year += this_year - this_year % 100
        year -= 100 if year > this_year + 50 else 0
    second = min(int(found["second"]), 59)  # a leap second is 60
    try:
        moment = datetime(
            year, _MONTHS.index(month) + 1, int(found["day"]), int(found["hour"]), int(found["minute"]),
            second, tzinfo=UTC,
        )  # fmt: skip
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_waits(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) > MAX_SLOW_RETRIES:
        return False
    return all(_is_real(wait) and 1 <= wait <= MAX_SLOW_SECONDS for wait in value)


def _is_real(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
