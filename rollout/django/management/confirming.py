"""What a person's word overrules: every reason, told before it is asked for, and again once it was said.

Reading only. Invariant: `--yes` said because of one reason never overrules another that was not told.
Explained in docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from rollout.django.management.words import refusal
from rollout.percentage import Percentage
from rollout.rollout_state import GUARDED, RolloutState
from rollout.situation import Situation, cohort_note, following_stage

__all__ = ["ask", "confirmed", "of_advance", "of_force", "of_set", "of_start"]

# What a person has to say, as a sentence asks for it.
_SPOKEN = {"--yes": "--yes", "--force": "--force, with a reason,"}


def of_start(situation: Situation) -> list[str]:
    """Say what stands against beginning the plan now: who would be in, a freeze."""
    plan = situation.plan
    first = [] if plan is None else [_cohort(situation, plan.stages[0].percentage)]
    return _there(*first, situation.freeze())


def of_advance(state: RolloutState, situation: Situation) -> list[str]:
    """Say what stands against the next stage now that `--yes` overrules: who would be in."""
    following = following_stage(state)
    return [] if following is None else _there(_cohort(situation, following.percentage))


def of_force(state: RolloutState, situation: Situation) -> list[str]:
    """Say what stands against the next stage now that `--force` overrules: the guard, a freeze."""
    if following_stage(state) is None or situation.drift(state):
        return []  # that is refused whatever is said
    why = situation.why_no_pass(state)
    return _there(f"the guard does not pass ({why})" if why else "", situation.freeze())


def of_set(state: RolloutState, situation: Situation, to: Percentage, *, count: int | None) -> list[str]:
    """Say what stands against setting *to*, of whom *count* would be in; that units go out is said anyway."""
    if state.ceiling is not None and to < state.ceiling:
        return []
    following = following_stage(state)
    note = cohort_note(count)
    if following is None or state.ceiling is None or to <= state.ceiling or state.state not in GUARDED:
        return _there(note)
    is_beyond = to > following.percentage
    beyond = f"it is beyond the next stage, {following.percentage} %" if is_beyond else ""
    return _there(note, beyond, situation.freeze())


def ask(reasons: Sequence[str], *, word: str, to: str, data: dict[str, object]) -> None:
    """Refuse for all *reasons*, where there are any.

    Args:
        reasons: What stands against it.
        word: What a person has to say: `--yes` or `--force`.
        to: What they would say it for, such as `begin`.
        data: For a program.

    Raises:
        Refused: There is a reason; nothing was changed.
    """
    if reasons:
        problem = f"{'; '.join(reasons)}: say {_SPOKEN[word]} to {to} all the same; nothing was changed"
        raise refusal(problem, data={**data, "needs": word, "reasons": list(reasons)})


def confirmed(reasons: Sequence[str]) -> str:
    """Say what was overruled; empty where nothing was."""
    return f"Confirmed all the same: {'; '.join(reasons)}." if reasons else ""


def _cohort(situation: Situation, percentage: Percentage) -> str:
    note = situation.cohort_note()
    return f"at {percentage} % {note}" if note else ""


def _there(*texts: str) -> list[str]:
    return [text for text in texts if text]
