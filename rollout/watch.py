"""Who looks at the evidence for the runner: reads the rows that came, lets the guard judge, remembers.

The invariants: what cannot be read is undecided, which holds; a new stage counts anew, while the sequential
test and the endpoints go on; what was there before a start does not count; nothing is remembered here, only
in the rollout's state, so that any process can take over. Explained in docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from rollout import evidence_text, guard
from rollout.duration import spoken
from rollout.evidence import Evidence, Row, minute_of
from rollout.flags import FlagKey
from rollout.rollout_state import RolloutState
from rollout.verdict import Verdict

__all__ = ["EvidenceSource", "Looked", "PartlyUnreadable", "Watch"]

#: So long a minute waits for a source that cannot be read: longer than the rules by the minute look back, and
#: short enough that a look costs little however long that lasts.
MAX_WAITING_MINUTES = 15


class EvidenceSource(Protocol):
    """Where the counts of (minute, endpoint) are kept."""

    def rows(self, flag: FlagKey, *, from_minute: int) -> Iterable[Row]:
        """Return every row of *flag* from *from_minute* on (minutes since the epoch), in any order.

        Openings of breakers may be told of earlier minutes, too, with the same number at each look.

        It may raise whatever its technology raises; that is a look without a verdict.

        Raises:
            PartlyUnreadable: Some of it cannot be read, and the rest is in the error.
        """
        ...


class PartlyUnreadable(Exception):
    """Some of the evidence cannot be read: its measures are undecided, and the rest is judged.

    Args:
        rows: What could be read.
        unreadable: Source (one of `guard.SOURCES`) → why it cannot be read, in our own words.
    """

    def __init__(self, rows: Iterable[Row], *, unreadable: Mapping[str, str]) -> None:
        super().__init__(", ".join(unreadable))
        self.rows, self.unreadable = list(rows), dict(unreadable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look at the evidence gave.

    Args:
        verdict: What the guard says; None where nothing is judged.
        evidence: What the guard remembers from here on, as text; empty: nothing new.
        problem: Why the evidence cannot be read, for a person; empty where it can.
    """

    verdict: Verdict | None = None
    evidence: str = ""
    problem: str = ""


class Watch:
    """Look at the evidence of one flag.

    Args:
        source: Where it is kept.
    """

    __slots__ = ("_source",)

    def __init__(self, source: EvidenceSource) -> None:
        self._source = source

    def begin(self, flag: FlagKey, *, now: float) -> str:
        """Return what the guard remembers of *flag*'s rollout that a person starts at *now*, as text.

        Whatever the source raises: nothing. The whole minute of the start counts then, which at worst rolls
        back what may be started again.

        Args:
            flag: The flag's key.
            now: The moment of the start; epoch seconds, the store's clock.
        """
        try:
            rows, _ = self._rows(flag, from_minute=minute_of(now))
        except Exception:  # noqa: BLE001 (the next look says that the evidence cannot be read)
            return ""
        return evidence_text.dumps(Evidence.begun(rows, since=now))

    def look(self, state: RolloutState, *, now: float) -> Looked:
        """Judge the stage that *state* is in, by its pinned plan. Whatever the source raises: undecided.

        Args:
            state: Where the rollout stands, with what the guard remembered.
            now: Epoch seconds, the store's clock.
        """
        if state.plan is None or state.stage is None:
            return Looked()
        kept = _remembered(state)
        rows: list[Row] | None = None
        unreadable: Mapping[str, str] = {}
        problem = ""
        try:
            rows, unreadable = self._rows(state.flag, from_minute=min(kept.until, minute_of(now)))
        except Exception as error:  # noqa: BLE001 (whatever keeps it from being read: undecided, and said)
            problem = f"the evidence cannot be read ({type(error).__name__})"
        if now < state.stage_entered_at and not problem:
            gap = spoken(state.stage_entered_at - now)
            problem = f"the store's clock went back: it is {gap} before the beginning of the stage"
        looked = guard.look(
            state.plan.criteria, kept, rows, now=now, unreadable=unreadable, is_shadow=state.is_shadow
        )
        # A minute is folded once: what could not be read of it is read again at the next look, for a while.
        # Not while minutes come again: what they held when they were seen first must be remembered.
        comes_again = looked.keep.until < looked.keep.again
        waits = unreadable and not comes_again and minute_of(now) - kept.until <= MAX_WAITING_MINUTES
        return Looked(
            verdict=looked.verdict,
            evidence="" if rows is None or waits else evidence_text.dumps(looked.keep),
            problem=problem,
        )

    def _rows(self, flag: FlagKey, *, from_minute: int) -> tuple[list[Row], Mapping[str, str]]:
        """Return what can be read, and why the rest cannot."""
        try:
            return list(self._source.rows(flag, from_minute=from_minute)), {}
        except PartlyUnreadable as error:
            return error.rows, error.unreadable


def _remembered(state: RolloutState) -> Evidence:
    """What the guard knew at the last look, at the beginning of the present stage at the latest."""
    kept = evidence_text.loads(state.progress.evidence) if state.progress.evidence else None
    if kept is None:
        return Evidence(since=state.stage_entered_at)
    return kept if kept.since == state.stage_entered_at else kept.next_stage(state.stage_entered_at)
