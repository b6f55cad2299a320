"""What the demo expects, and what it measured: each with its numbers, nothing taken for granted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from rehearsal import page


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One claim and its proof.

    Attributes:
        name: The claim, as a sentence.
        ok: Whether it holds.
        measured: What was counted or timed, and where it matters by whom.
        wanted: What it had to be.
    """

    name: str
    ok: bool
    measured: object
    wanted: object


class Expectations:
    """All claims of a run, in order."""

    def __init__(self) -> None:
        self.all: list[Expectation] = []

    def equal(self, name: str, measured: object, wanted: object) -> None:
        """Expect *measured* to be exactly *wanted*."""
        self.add(name, ok=measured == wanted, measured=measured, wanted=wanted)

    def at_most(self, name: str, measured: float | None, limit: float, *, unit: str) -> None:
        """Expect a measured number, and that it is not above *limit*."""
        shown = "not measured" if measured is None else f"{measured:,.0f} {unit}"
        self.add(
            name,
            ok=measured is not None and measured <= limit,
            measured=shown,
            wanted=f"<= {limit:,.0f} {unit}",
        )

    def add(self, name: str, *, ok: bool, measured: object, wanted: object) -> None:
        """Record one claim."""
        self.all.append(Expectation(name=name, ok=ok, measured=measured, wanted=wanted))

    @property
    def ok(self) -> bool:
        """Whether there are claims and all of them hold."""
        return bool(self.all) and all(expectation.ok for expectation in self.all)

    def show(self) -> None:
        """Print every claim with its numbers."""
        name_width = max(len(expectation.name) for expectation in self.all)
        columns = (
            page.Column("", 4, left=True),
            page.Column("expectation", name_width, left=True),
            page.Column("measured", 17),
            page.Column("wanted", 17),
        )
        table = page.Table(*columns)
        table.head()
        for expectation in self.all:
            table.row(
                "ok" if expectation.ok else "MISS",
                expectation.name,
                _shown(expectation.measured),
                _shown(expectation.wanted),
            )

    def as_json(self) -> str:
        """Return one JSON object on one line."""
        return json.dumps({"expectations": [asdict(expectation) for expectation in self.all], "ok": self.ok})


def _shown(value: object) -> str:
    """Return *value* for a person: several numbers with commas between them, thousands with commas inside."""
    if isinstance(value, tuple):
        return ", ".join(_shown(part) for part in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
