"""What the guard says of a stage, as `status` shows it: its word, a table of measures, why they do not pass.

Invariant: what does not pass comes first, so that no limit on rows hides it. Explained in
docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from rollout.django.management.screen import Grid, Line
from rollout.django.management.standing import Seen
from rollout.verdict import Reading, Standing, Verdict

__all__ = ["MOST_ROWS", "lines_of"]

#: Rows of one table for a person; a program gets all.
MOST_ROWS = 40
_WORST_FIRST = (
    Standing.ROLL_BACK,
    Standing.HOLD,
    Standing.UNDECIDED,
    Standing.GO_ON,
)


def lines_of(seen: Seen) -> list[Line]:
    """Return the verdict, what does not pass first, and why each of those does not."""
    verdict, problem = seen.verdict, seen.situation.evidence_problem
    if verdict is None:
        return [f"guard: {problem or 'no verdict on this stage yet'}"]
    if problem:
        return [f"guard: {verdict.kind.value}: {problem}"]
    lines: list[Line] = [f"guard: {verdict.kind.value}, {verdict.call.value.replace('_', ' ')}"]
    readings = _sorted(verdict)
    head = ("", "measure", "endpoint", "value", "of", "needs", "go on", "hold", "roll back")
    lines.append(Grid.of(head, [_row(each) for each in readings[:MOST_ROWS]]))
    left = len(readings) - MOST_ROWS
    lines += [f"and {left} more readings: --json has all"] if left > 0 else []
    return [*lines, *_reasons(readings[:MOST_ROWS])]


def _reasons(readings: list[Reading]) -> list[Line]:
    """Return why they do not pass: the guard's sentences, each once with all the measures it is true of."""
    whose: dict[str, list[str]] = {}
    for each in readings:
        if each.standing is not Standing.GO_ON:
            whose.setdefault(each.why, []).append(each.sentence.removesuffix(f": {each.why}"))
    return [f"  {', '.join(names)}: {why}" for why, names in whose.items()]


def _sorted(verdict: Verdict) -> list[Reading]:
    """Return what does not pass first; beyond that in the guard's order."""
    return sorted(verdict.readings, key=lambda each: _WORST_FIRST.index(each.standing))


def _row(reading: Reading) -> tuple[str, ...]:
    word = reading.standing.value.replace("_", " ")
    needs = str(reading.needed) if reading.needed else ""
    return (
        *(word.upper() if reading.standing is not Standing.GO_ON else "ok", reading.measure),
        *(reading.scope, reading.shown, str(reading.sample), needs),
        *(reading.go_on, reading.hold, reading.roll_back),
    )
