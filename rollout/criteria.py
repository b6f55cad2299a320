"""Every number the guard judges by: the contract's table (§10) as defaults, each to be changed per plan.

Values only. Invariants: a hold line never lies beyond its roll-back line; what a rollout may go on at never
rolls it back. What is not a threshold (which measures there are, what is a sample) is not here. The whole
table, and what the defaults do in simulated worlds, is docs/reference/guard.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches

from rollout.errors import ConfigError

__all__ = ["LEAVABLE", "Criteria"]

#: Measures that a plan may leave out, for an application that cannot give the numbers.
LEAVABLE = frozenset(
    {"latency", "dispatch_time", "breaker_openings", "retried", "client_errors", "server_errors"}
)

_PERCENTS = (
    *("success_go_on_percent", "success_roll_back_percent", "success_lower_bound_percent"),
    *("cusum_good_percent", "cusum_bad_percent", "signature_roll_back_percent"),
    *("unreachable_percent", "retried_hold_percent", "client_errors_hold_percent"),
    "server_errors_hold_percent",
)
_COUNTS = (
    *("minutes_in_a_row", "minute_needs", "quantile_needs", "share_needs", "failures_in_a_row"),
    *("many_endpoints", "openings_hold", "openings_roll_back", "signature_needs", "unreachable_minutes"),
    "unreachable_endpoints",
)
_AMOUNTS = (
    *("success_z", "cusum_limit", "latency_p50_hold_ms", "latency_p95_hold_ms", "latency_p95_roll_back_ms"),
    *("dispatch_p95_hold_ms", "dispatch_p95_roll_back_ms"),
)
_MOST_WINDOW_MINUTES = 1_440
# Beyond it no threshold means anything; the comparison also refuses infinity, NaN and what no float can hold.
_TOO_LARGE = 1e12

# The first must not be greater than the second.
_ORDER = (
    ("success_roll_back_percent", "success_go_on_percent"),
    ("success_lower_bound_percent", "success_go_on_percent"),
    ("cusum_good_percent", "success_go_on_percent"),
    ("latency_p95_hold_ms", "latency_p95_roll_back_ms"),
    ("dispatch_p95_hold_ms", "dispatch_p95_roll_back_ms"),
    ("openings_hold", "openings_roll_back"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """The thresholds of one plan.

    Args:
        success_go_on_percent: Success rate over the stage from which it may go on; below it holds.
        success_roll_back_percent: Below it in each of *minutes_in_a_row* minutes: roll back.
        success_lower_bound_percent: To go on, the Wilson lower bound must be at least this.
        success_z: Normal quantile of that bound; 1.645 is one-sided 95 %.
        cusum_good_percent: p0 of the sequential test, the success rate that is still good.
        cusum_bad_percent: p1, the rate that must be found.
        cusum_limit: h; the test rolls back where its sum is at least this.
        failures_in_a_row: How many failures in a row of one endpoint count (`streaks.py` says when).
        many_endpoints: From how many endpoints in use on one that is dead must not roll everybody back.
        minutes_in_a_row: Length of the five-minute rules.
        minute_needs: Samples that a minute needs for these rules.
        quantile_needs: Samples that a quantile needs.
        share_needs: Samples that a share needs.
        window_minutes: "The last hour". Up to 1,440: where there is little traffic, an hour never has enough.
        latency_p50_hold_ms: p50 at or above holds.
        latency_p95_hold_ms: p95 at or above holds.
        latency_p95_roll_back_ms: p95 above it in each of *minutes_in_a_row* minutes: roll back.
        openings_hold: Breaker openings of one endpoint in 24 h from which it holds.
        openings_roll_back: More than these roll back.
        signature_roll_back_percent: The lower bound of the share of rejected signatures above it: roll back.
        signature_needs: Deliveries that this needs.
        unreachable_minutes: For how long an endpoint must be unreachable.
        unreachable_endpoints: With *unreachable_percent*: this many of many roll back.
        unreachable_percent: And they are this share of the endpoints in use.
        retried_hold_percent: Share of deliveries that took a retry at or above which it holds.
        client_errors_hold_percent: The same for deliveries that ended in a 4xx.
        server_errors_hold_percent: The same for deliveries that met a 5xx.
        dispatch_p95_hold_ms: p95 of the time added to the caller at or above which it holds.
        dispatch_p95_roll_back_ms: Above it in each of *minutes_in_a_row* minutes: roll back.
        leave_out: Measures that are not judged, from `LEAVABLE`; `latency` is all three of its rows.

    Raises:
        ConfigError: A value has another type or range, or a hold line lies beyond its roll-back line.
    Source: contract §10. `many_endpoints` to `window_minutes` are its prose below the table.
    """

    success_go_on_percent: float = 95
    success_roll_back_percent: float = 90
    success_lower_bound_percent: float = 90
    success_z: float = 1.645
    cusum_good_percent: float = 92
    cusum_bad_percent: float = 80
    cusum_limit: float = 9.2
    failures_in_a_row: int = 3
    many_endpoints: int = 3
    minutes_in_a_row: int = 5
    minute_needs: int = 20
    quantile_needs: int = 20
    share_needs: int = 50
    window_minutes: int = 60
    latency_p50_hold_ms: float = 500
    latency_p95_hold_ms: float = 2_000
    latency_p95_roll_back_ms: float = 5_000
    openings_hold: int = 5
    openings_roll_back: int = 20
    signature_roll_back_percent: float = 10
    signature_needs: int = 20
    unreachable_minutes: int = 5
    unreachable_endpoints: int = 3
    unreachable_percent: float = 30
    retried_hold_percent: float = 20
    client_errors_hold_percent: float = 5
    server_errors_hold_percent: float = 15
    dispatch_p95_hold_ms: float = 5
    dispatch_p95_roll_back_ms: float = 50
    leave_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in _PERCENTS:
            _check(name, getattr(self, name), most=100)
        for name in _AMOUNTS:
            _check(name, getattr(self, name), most=None)
        for name in _COUNTS:
            _check_count(name, getattr(self, name), most=10**6)
        _check_count("window_minutes", self.window_minutes, most=_MOST_WINDOW_MINUTES)
        self._check_order()
        _check_names("leave_out", self.leave_out)

    def _check_order(self) -> None:
        for low, high in _ORDER:
            first, second = getattr(self, low), getattr(self, high)
            if first > second:
                raise ConfigError(
                    f"criteria.{low}", f"is {first:g}, and must not be above {high}, which is {second:g}"
                )
        if self.success_lower_bound_percent == 100:
            problem = "must be below 100: no sample reaches it"
            raise ConfigError("criteria.success_lower_bound_percent", problem)
        if self.minutes_in_a_row >= self.window_minutes:
            raise ConfigError(
                "criteria.minutes_in_a_row",
                f"is {self.minutes_in_a_row}, and must be below window_minutes, {self.window_minutes}",
            )
        good, bad = self.cusum_good_percent, self.cusum_bad_percent
        if not bad < good < 100:
            raise ConfigError(
                "criteria.cusum_bad_percent",
                f"is {bad:g}, and must be below cusum_good_percent, which is {good:g} and must be below 100",
            )

    @classmethod
    def from_mapping(cls, data: Mapping[str, object], *, path: str = "criteria") -> Criteria:
        """Read thresholds as a plan writes them; what is not named keeps its default.

        Args:
            data: Names and values as JSON or TOML gives them.
            path: Where the mapping stands, for messages.

        Raises:
            ConfigError: An unknown name (the nearest known one is told), or a value that is not allowed.
        """
        known = {one.name for one in fields(cls)}
        for name in data:
            if name not in known:
                near = get_close_matches(str(name), known, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ConfigError(f"{path}.{name!s:.64}", f"no such threshold{hint}")
        values = dict(data)
        if isinstance(left_out := values.get("leave_out"), list):
            values["leave_out"] = tuple(str(name) for name in left_out)
        try:
            return cls(**values)  # type: ignore[arg-type]  # __post_init__ checks each of them
        except ConfigError as error:
            raise ConfigError(error.path.replace("criteria", path, 1), error.problem) from None

    def as_dict(self) -> dict[str, object]:
        """Return all of it as JSON types, defaults included: what the plan's hash is taken of."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**values, "leave_out": list(self.leave_out)}


def _check(name: str, value: object, *, most: float | None) -> None:
    allowed = f"above 0, at most {most:g}" if most is not None else "above 0"
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _TOO_LARGE:
        raise ConfigError(f"criteria.{name}", f"must be a number {allowed}")
    if value <= 0 or (most is not None and value > most):
        raise ConfigError(f"criteria.{name}", f"is {value:g}, and must be {allowed}")


def _check_count(name: str, value: object, *, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ConfigError(f"criteria.{name}", f"must be a whole number from 1 to {most}")


def _check_names(name: str, value: object) -> None:
    if not isinstance(value, tuple) or any(one not in LEAVABLE for one in map(str, value)):
        raise ConfigError(f"criteria.{name}", f"must be a list out of {', '.join(sorted(LEAVABLE))}")
