"""Leases by the worker's monotonic clock, at each edge."""

from __future__ import annotations

import math

import pytest

from webhooks_core.errors import ConfigError
from webhooks_core.outbox.lease import LeasePolicy

LEASE = LeasePolicy()


def test_a_lease_is_fifteen_seconds_and_renewed_after_five() -> None:
    """A third is used when it is renewed: two more tries fit in."""
    until = LEASE.until(100.0)

    assert until == 115.0
    assert LEASE.renew_at(until) == pytest.approx(105.0)


@pytest.mark.parametrize(("now", "may"), [(100.0, True), (107.5, True), (107.501, False), (200.0, False)])
def test_an_attempt_starts_only_with_half_of_the_lease_left(now: float, may: bool) -> None:
    """Exactly half is enough."""
    assert LEASE.may_start(115.0, now=now) is may


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, True, "15", None])
def test_refuses_what_is_no_duration(seconds: object) -> None:
    """The error names the setting and what is allowed."""
    with pytest.raises(ConfigError, match=r"lease\.seconds: must be a finite number of seconds above 0"):
        LeasePolicy(seconds=seconds)  # type: ignore[arg-type]
