"""The answer to one question, and why: enough to explain it a year later.

A `Decision` is a named tuple, since it is made on the hot path and a frozen dataclass would cost three
times the hash. It is true only where its value is exactly True. The words of `Reason` and `ErrorCode` are
OpenFeature's. Explained in docs/explanation/bucketing.md.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from rollout.percentage import POSITIONS

__all__ = ["Decision", "ErrorCode", "Reason"]

# Places after the point that "turns on at" is rounded up to: what a person can type into a percentage.
_PLACES = 4
_STEPS = 100 * 10**_PLACES


class Reason(StrEnum):
    """How a value came about. Source: OpenFeature specification, types, "Resolution Reason"."""

    STATIC = "STATIC"
    SPLIT = "SPLIT"
    TARGETING_MATCH = "TARGETING_MATCH"
    DISABLED = "DISABLED"
    DEFAULT = "DEFAULT"
    ERROR = "ERROR"
    STALE = "STALE"
    CACHED = "CACHED"
    UNKNOWN = "UNKNOWN"


class ErrorCode(StrEnum):
    """What went wrong where the reason is ERROR. Source: OpenFeature specification, types, "Error Code"."""

    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    PARSE_ERROR = "PARSE_ERROR"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    PROVIDER_NOT_READY = "PROVIDER_NOT_READY"
    GENERAL = "GENERAL"


class Decision(NamedTuple):
    """Whether a unit is in, and why. True in an `if` only where the value is exactly True.

    Reasons in use: SPLIT (the percentage decided), TARGETING_MATCH (a forced unit or a rule), DISABLED (kill
    switch, master switch, ceiling 0, flag disabled), DEFAULT (no percentage), ERROR, STALE (only in a strict
    decision: the store went back, so the state in force is not known), STATIC (an override in a test).
    """

    flag: str
    value: bool
    #: The value's name, `on` or `off` unless the flag says otherwise.
    variant: str
    reason: Reason
    error_code: ErrorCode | None
    #: The step that decided: "kill switch: …", "master switch", "ceiling 0", "flag disabled", "forced off",
    #: "forced on", "rule 2: region in ['eu']", "percentage 5", "no percentage"; or what went wrong.
    detail: str
    #: The unit's text; empty where there was none that could be used.
    unit: str
    #: The unit's place, 0 to 2^64 − 1; None where flag or unit are not known.
    position: int | None
    #: Positions below it were in; None where no percentage was asked.
    threshold: int | None
    #: The configuration's version.
    version: int

    def __bool__(self) -> bool:
        return self.value is True

    @property
    def turns_on_at(self) -> Decimal | None:
        """The smallest percentage at which this unit is in, rounded up to 4 places, where it has a place."""
        if self.position is None:
            return None
        whole, part = divmod(-(-(self.position + 1) * _STEPS // POSITIONS), 10**_PLACES)
        return Decimal(f"{whole}.{part:0{_PLACES}d}")

    def explain(self) -> str:
        """Say the whole decision in one line, for a person."""
        who = f" for {self.unit!a}" if self.unit else ""
        code = f" {self.error_code}" if self.error_code is not None else ""
        place = f"; this unit turns on at {self.turns_on_at} %" if self.position is not None else ""
        return (
            f"{self.flag} is {self.variant}{who}: {self.detail} [{self.reason}{code}]{place}"
            f" (version {self.version})"
        )
