"""What the guard says about a stage: one reading for each measure, and the verdict that follows from them.

Values only; `guard.py` makes them, the controller acts on them, the journal keeps them as JSON. Invariants: a
reading that is undecided holds, it never advances and never rolls back; a verdict without readings is
undecided. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import isfinite

from rollout.errors import ConfigError
from rollout.table import Table

__all__ = ["Call", "Reading", "Standing", "Verdict", "VerdictKind", "in_figures"]


class Standing(StrEnum):
    """Where one measure stands against its thresholds."""

    GO_ON = "go_on"
    HOLD = "hold"
    ROLL_BACK = "roll_back"
    #: Too few samples, no data, or a metric that cannot be read.
    UNDECIDED = "undecided"


class VerdictKind(StrEnum):
    """The three verdicts of the contract §10."""

    PASS = "pass"  # noqa: S105 (no password)
    BREACH = "breach"
    UNDECIDED = "undecided"


class Call(StrEnum):
    """What a verdict asks of the controller."""

    ADVANCE_ALLOWED = "advance_allowed"
    HOLD = "hold"
    ROLL_BACK = "roll_back"


# Worst first: the first standing that any reading has decides.
_ORDER = (
    (Standing.ROLL_BACK, VerdictKind.BREACH, Call.ROLL_BACK),
    (Standing.HOLD, VerdictKind.BREACH, Call.HOLD),
    (Standing.UNDECIDED, VerdictKind.UNDECIDED, Call.HOLD),
    (Standing.GO_ON, VerdictKind.PASS, Call.ADVANCE_ALLOWED),
)
_DECIDED_BY = {(kind, call): standing for standing, kind, call in _ORDER}


def in_figures(value: float) -> str:
    """Return *value* in four figures, or whole where it is larger; never with an exponent above."""
    return f"{value:.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measure, its number, and where that stands.

    Args:
        measure: The measure's name, such as `success_rate`; the list is docs/reference/guard.md.
        scope: The endpoint's id, or empty where the measure is taken over all of them.
        value: What was measured, in the measure's unit; None where there is no number.
        sample: How many deliveries, minutes or observations the value rests on.
        needed: How many it takes to decide; 0 where any number will do.
        go_on: The threshold to go on, in words and numbers (">= 95 %"); empty where there is none.
        hold: The same for holding.
        roll_back: The same for rolling back.
        why: One short sentence with the numbers. Our own words only: never a host, a body or personal data.
        bound: `<=` or `>=` where the value is the edge of a bucket, beyond which the true one is not;
            empty where it is exact.

    Raises:
        ConfigError: *value* is not a finite number.
    """

    measure: str
    scope: str = ""
    value: float | int | None
    sample: int
    needed: int
    go_on: str = ""
    hold: str = ""
    roll_back: str = ""
    standing: Standing
    why: str
    bound: str = ""

    def __post_init__(self) -> None:
        if self.value is not None and not isfinite(self.value):
            raise ConfigError(f"reading.{self.measure}", "value must be a finite number or None")

    @property
    def shown(self) -> str:
        """The value for a person, with the side on which the true one lies; a dash where there is none."""
        return "-" if self.value is None else f"{self.bound} {in_figures(self.value)}".lstrip()

    @property
    def sentence(self) -> str:
        """The measure in words, its endpoint where it has one, and why: "success rate: 341 of 391 …"."""
        where = f" of {self.scope}" if self.scope else ""
        return f"{self.measure.replace('_', ' ')}{where}: {self.why}"

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON types; the keys are the fields' names."""
        return {**asdict(self), "standing": self.standing.value}

    @classmethod
    def from_dict(cls, data: object, *, path: str = "reading") -> Reading:
        """Read what `as_dict` wrote. Keys that are not known are left alone: a later version may add some.

        Args:
            data: A mapping.
            path: Where it stands, the beginning of every message.

        Raises:
            ConfigError: A field is missing or has another type.
        """
        table = Table(data, path=path, known=None)
        return cls(
            measure=table.text("measure"),
            scope=table.text("scope"),
            value=_value(table),
            sample=table.whole("sample"),
            needed=table.whole("needed"),
            go_on=table.text("go_on"),
            hold=table.text("hold"),
            roll_back=table.text("roll_back"),
            standing=table.member("standing", Standing),
            why=table.text("why"),
            bound=table.text("bound") if "bound" in table else "",  # what was written before there was one
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the evidence says at one moment. Make it with `Verdict.of`, which draws the conclusion.

    Args:
        at: Epoch seconds, UTC: the `now` that was judged.
        kind: One of the contract's three. A breached hold line is a BREACH too.
        call: What is asked of the controller; it must fit *kind*.
        readings: Every measure, in the order of the contract's table, then by endpoint.
        rule_version: The version of the rules that judged, from 1 up.
        missing: What could not be decided for want of samples or data, one sentence each.

    Raises:
        ConfigError: *kind* and *call* do not fit each other.
    """

    at: float
    kind: VerdictKind
    call: Call
    readings: tuple[Reading, ...]
    rule_version: int
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind, self.call) not in _DECIDED_BY:
            raise ConfigError("verdict", f"{self.kind.value} does not go with the call {self.call.value}")

    @classmethod
    def of(
        cls, readings: Iterable[Reading], *, at: float, rule_version: int, missing: Iterable[str] = ()
    ) -> Verdict:
        """Conclude from *readings*: the worst standing decides, and no readings at all are undecided.

        Args:
            missing: What is missing beside the readings that are undecided; those are added by themselves.
        """
        taken = tuple(readings)
        undecided = [reading for reading in taken if reading.standing is Standing.UNDECIDED]
        absent = (*missing, *(reading.sentence for reading in undecided))
        standings = {reading.standing for reading in taken}
        if absent or not taken:
            standings.add(Standing.UNDECIDED)
        kind, call = next((kind, call) for standing, kind, call in _ORDER if standing in standings)
        return cls(
            at=at, kind=kind, call=call, readings=taken, rule_version=rule_version, missing=tuple(absent)
        )

    @property
    def standing(self) -> Standing:
        """The standing that decided."""
        return _DECIDED_BY[(self.kind, self.call)]

    @property
    def reasons(self) -> tuple[Reading, ...]:
        """The readings that decided: those in breach, or undecided; all of them where everything passed."""
        return tuple(reading for reading in self.readings if reading.standing is self.standing)

    def explain(self) -> str:
        """Say in one line what is asked, and why, with the numbers."""
        said = "; ".join(each.sentence for each in self.reasons) or "; ".join(self.missing) or "no readings"
        return f"{self.call.value}: {said}"

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON types; the keys are the fields' names."""
        return {
            "at": self.at,
            "kind": self.kind.value,
            "call": self.call.value,
            "readings": [reading.as_dict() for reading in self.readings],
            "rule_version": self.rule_version,
            "missing": list(self.missing),
        }

    @classmethod
    def from_dict(cls, data: object) -> Verdict:
        """Read what `as_dict` wrote.

        Raises:
            ConfigError: A field is missing or has another type, or kind and call do not fit.
        """
        table = Table(data, path="verdict", known=None)
        return cls(
            at=table.number("at"),
            kind=table.member("kind", VerdictKind),
            call=table.member("call", Call),
            readings=tuple(Reading.from_dict(each, path=path) for path, each in table.each("readings")),
            rule_version=table.whole("rule_version"),
            missing=table.texts("missing"),
        )


def _value(table: Table) -> float | int | None:
    value = table.value("value")
    if value is None:
        return None
    number = table.number("value")
    return value if isinstance(value, int) else number  # a count stays whole, as it was written
