"""The numbers of a worker, checked when they are set."""

from __future__ import annotations

from dataclasses import fields

import pytest

from webhooks_core.errors import ConfigError
from webhooks_core.worker.policy import WorkerPolicy

DURATIONS = [field.name for field in fields(WorkerPolicy) if field.name.endswith("_seconds")]


def test_the_defaults_are_those_of_the_contract() -> None:
    """A lease of 15 s, 24 h of age; a clock 5 s off is told, 20 s off does not sign."""
    policy = WorkerPolicy()

    assert (policy.lease.seconds, policy.max_age_seconds) == (15.0, 86_400.0)
    assert (policy.say_off_seconds, policy.max_off_seconds) == (5.0, 20.0)


@pytest.mark.parametrize(
    ("threads", "is_slow", "is_alone", "cap"),
    [
        (8, False, True, 72),
        (8, True, True, 72),
        (8, False, False, 4),
        (8, True, False, 2),
        (1, True, False, 1),
        (1, False, False, 1),
    ],
)
def test_an_endpoint_of_several_gets_half_of_the_threads_and_a_slow_one_a_quarter(
    threads: int, is_slow: bool, is_alone: bool, cap: int
) -> None:
    """At least one; and all slots where there is no other endpoint."""
    assert WorkerPolicy(threads=threads).cap(is_slow=is_slow, is_alone=is_alone) == cap


@pytest.mark.parametrize(
    ("pace_seconds", "slots"),
    [(0.0, 72), (0.001, 72), (0.005, 8 + 48), (0.03, 8 + 8), (0.1, 8 + 2), (0.3, 8), (10.0, 8)],
)
def test_as_many_are_handed_out_ahead_as_the_threads_are_through_with_in_30_ms(
    pace_seconds: float, slots: int
) -> None:
    """64 at most, and none for attempts that take long."""
    assert WorkerPolicy(threads=8).slots_for(pace_seconds) == slots


@pytest.mark.parametrize(("threads", "cap"), [(8, 4), (3, 1), (1, 1)])
def test_all_slow_endpoints_together_get_half_of_the_threads(threads: int, cap: int) -> None:
    """So that the others always find one."""
    assert WorkerPolicy(threads=threads).slow_cap == cap


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "1"])
def test_refuses_what_is_no_duration(name: str, value: object) -> None:
    """The error names the number and what is allowed."""
    with pytest.raises(ConfigError, match=rf"worker\.{name}: must be a finite number of seconds above 0"):
        WorkerPolicy(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("threads", 0, "1 to 256"),
        ("threads", 257, "1 to 256"),
        ("threads", True, "1 to 256"),
        ("threads", 2.0, "1 to 256"),
        ("ahead", -1, "0 to 10000"),
        ("batch", 0, "1 to 10000"),
        ("batch", "64", "1 to 10000"),
    ],
)
def test_refuses_what_is_no_number_of_rows_or_threads(name: str, value: object, allowed: str) -> None:
    """The error names the number and its range."""
    with pytest.raises(ConfigError, match=rf"worker\.{name}: must be an int from {allowed}"):
        WorkerPolicy(**{name: value})  # type: ignore[arg-type]
