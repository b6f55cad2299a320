"""Thresholds: the contract's table by default, checked when they are made, and told by name."""

from __future__ import annotations

import json

import pytest

from rollout.criteria import Criteria
from rollout.errors import ConfigError


def test_the_defaults_are_the_table_of_the_contract() -> None:
    """Contract §10, row by row, and the prose below it."""
    assert Criteria().as_dict() == {
        "success_go_on_percent": 95, "success_roll_back_percent": 90, "success_lower_bound_percent": 90,
        "success_z": 1.645, "cusum_good_percent": 92, "cusum_bad_percent": 80, "cusum_limit": 9.2,
        "failures_in_a_row": 3, "many_endpoints": 3, "minutes_in_a_row": 5, "minute_needs": 20,
        "quantile_needs": 20, "share_needs": 50, "window_minutes": 60, "latency_p50_hold_ms": 500,
        "latency_p95_hold_ms": 2000, "latency_p95_roll_back_ms": 5000, "openings_hold": 5,
        "openings_roll_back": 20, "signature_roll_back_percent": 10, "signature_needs": 20,
        "unreachable_minutes": 5, "unreachable_endpoints": 3, "unreachable_percent": 30,
        "retried_hold_percent": 20, "client_errors_hold_percent": 5, "server_errors_hold_percent": 15,
        "dispatch_p95_hold_ms": 5, "dispatch_p95_roll_back_ms": 50, "leave_out": [],
    }  # fmt: skip


def test_criteria_survive_json() -> None:
    """What a journal kept is read back equal."""
    before = Criteria(latency_p95_hold_ms=1_500, leave_out=("dispatch_time",))

    assert Criteria.from_mapping(json.loads(json.dumps(before.as_dict()))) == before


def test_a_plan_names_only_what_it_changes() -> None:
    """Everything else keeps its default."""
    assert Criteria.from_mapping({"openings_hold": 3}) == Criteria(openings_hold=3)


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        ("success_roll_back_percent", "success_go_on_percent", {"success_roll_back_percent": 96}),
        ("success_lower_bound_percent", "success_go_on_percent", {"success_lower_bound_percent": 96}),
        ("cusum_good_percent", "success_go_on_percent", {"cusum_good_percent": 96}),
        ("latency_p95_hold_ms", "latency_p95_roll_back_ms", {"latency_p95_hold_ms": 6_000}),
        ("dispatch_p95_hold_ms", "dispatch_p95_roll_back_ms", {"dispatch_p95_roll_back_ms": 4}),
        ("openings_hold", "openings_roll_back", {"openings_hold": 21}),
        ("minutes_in_a_row", "window_minutes", {"window_minutes": 5}),
        ("cusum_bad_percent", "cusum_good_percent", {"cusum_bad_percent": 92}),
    ],
)
def test_a_hold_line_beyond_its_roll_back_line_is_an_error_that_names_both(
    low: str, high: str, values: dict[str, object]
) -> None:
    """Which two, and what they are, in the words of the plan."""
    with pytest.raises(ConfigError) as caught:
        Criteria.from_mapping(values, path="plan.criteria")

    assert caught.value.path == f"plan.criteria.{low}"
    assert high in caught.value.problem


@pytest.mark.parametrize(
    "values",
    [
        {"success_roll_back_percent": 95},
        {"latency_p95_hold_ms": 5_000},
        {"openings_hold": 20},
        {"window_minutes": 6},
        {"window_minutes": 1_440},
        {"success_lower_bound_percent": 95},
        {"dispatch_p95_hold_ms": 50.0},
    ],
    ids=str,
)
def test_two_lines_may_be_one(values: dict[str, object]) -> None:
    """Without a band between them nothing holds there, which is a choice."""
    assert Criteria.from_mapping(values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"success_go_on_percent": 0}, "must be above 0, at most 100"),
        ({"success_go_on_percent": 100.5}, "must be above 0, at most 100"),
        ({"success_go_on_percent": "95"}, "must be a number"),
        ({"success_go_on_percent": True}, "must be a number"),
        ({"success_z": float("nan")}, "must be a number"),
        ({"success_z": float("inf")}, "must be a number"),
        ({"cusum_limit": 10**400}, "must be a number"),
        ({"cusum_limit": -1}, "must be above 0"),
        ({"minute_needs": 0}, "whole number from 1"),
        ({"minute_needs": 20.0}, "whole number from 1"),
        ({"minute_needs": True}, "whole number from 1"),
        ({"window_minutes": 1_441}, "whole number from 1 to 1440"),
        ({"success_lower_bound_percent": 100, "success_go_on_percent": 100}, "must be below 100"),
        ({"cusum_good_percent": 100, "success_go_on_percent": 100}, "must be below 100"),
        ({"leave_out": "latency"}, "must be a list out of"),
        ({"leave_out": ["pii"]}, "must be a list out of"),
        ({"leave_out": [["latency"]]}, "must be a list out of"),
    ],
    ids=[f"case-{number}" for number in range(17)],
)
def test_a_value_that_is_not_allowed_is_told_with_what_is(values: dict[str, object], said: str) -> None:
    """Types, ranges, and the measures that nobody may leave out."""
    with pytest.raises(ConfigError) as caught:
        Criteria.from_mapping(values)

    assert said in caught.value.problem


@pytest.mark.parametrize(
    ("name", "hint"),
    [("success_goon_percent", "did you mean success_go_on_percent?"), ("zzz", "no such threshold")],
)
def test_an_unknown_name_is_told_with_the_nearest_known_one(name: str, hint: str) -> None:
    """A threshold that is silently not in force would be worse."""
    with pytest.raises(ConfigError, match=name) as caught:
        Criteria.from_mapping({name: 1})

    assert hint in caught.value.problem
