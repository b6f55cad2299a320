"""What the controller is told of the world at one moment, and what it says about going up.

Values and pure questions; nothing is read here. The invariant: `obstacles` names every reason why the next
stage does not begin now, so that nobody has to guess. Explained in docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from rollout.duration import spoken
from rollout.fleet import Sender
from rollout.freeze import frozen_until
from rollout.plan import TINY_COHORT, Plan, Stage
from rollout.rollout_state import RolloutState
from rollout.verdict import Call, Verdict

__all__ = ["Obstacle", "ObstacleKind", "Situation", "cohort_note", "following_stage", "moment", "obstacles"]

#: A verdict older than this is none: two ticks of a runner that is well.
MAX_VERDICT_AGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One moment as the caller saw it.

    Args:
        now: Epoch seconds, the store's clock.
        plan: The plan as it is written now; None: there is none that can be read.
        plan_problem: Why not, for a person.
        verdict: What the guard says; None: the evidence cannot be read.
        evidence_problem: Why not, for a person.
        evidence: What the guard remembers from here on, at a start what was there before it; the controller
            keeps it and does not read it.
        senders: Every heartbeat row there is.
        seen_version: The highest version of the state that the caller ever saw.
        lost_version: The version that the caller saw, where the state does not follow it; 0 where it does.
        next_cohort: How many units the next stage would let through; None: nobody counted.
    """

    now: float
    plan: Plan | None = None
    plan_problem: str = ""
    verdict: Verdict | None = None
    evidence_problem: str = ""
    evidence: str = ""
    senders: tuple[Sender, ...] = ()
    seen_version: int = 0
    lost_version: int = 0
    next_cohort: int | None = None

    def usable_verdict(self, state: RolloutState) -> Verdict | None:
        """Return the verdict where it is fresh and of the present stage; what was judged before is none.

        Where the store's clock went back behind the stage's beginning nothing is of the stage, and nothing
        goes up; but a breach is one all the same.
        """
        verdict = self.verdict
        if verdict is None or verdict.at > self.now:
            return None
        if verdict.at < state.stage_entered_at and verdict.call is not Call.ROLL_BACK:
            return None
        return verdict if self.now - verdict.at <= MAX_VERDICT_AGE_SECONDS else None

    def why_no_pass(self, state: RolloutState) -> str:
        """Say why the guard does not let *state* go on; empty where it does."""
        verdict = self.usable_verdict(state)
        if verdict is None:
            return self.evidence_problem or "no fresh verdict on this stage"
        return "" if verdict.call is Call.ADVANCE_ALLOWED else verdict.explain()

    @property
    def seen_epoch(self) -> int:
        """The highest epoch that a sender has acknowledged."""
        return max((sender.epoch for sender in self.senders), default=0)

    @property
    def lost(self) -> int:
        """The highest version seen by anybody of which the store lacks something; 0: it lacks nothing."""
        return max((self.lost_version, *(sender.seen_version for sender in self.senders)))

    def is_news_to_all(self, state: RolloutState) -> bool:
        """Whether nobody can have seen this version, or acknowledged this epoch, of another store."""
        is_above = self.lost < state.version and self.seen_version <= state.version
        return is_above and self.seen_epoch <= state.epoch

    def went_back(self, state: RolloutState) -> str:
        """Say how the store went back, by what was seen before; empty where it did not."""
        if self.seen_version > state.version:
            return f"store went back: version {state.version}, seen {self.seen_version}"
        if self.seen_epoch > state.epoch:
            return f"store went back: epoch {state.epoch}, senders have seen {self.seen_epoch}"
        if self.lost:
            return f"store went back: version {state.version} does not follow {self.lost}, which was seen"
        return ""

    def drift(self, state: RolloutState) -> str:
        """Say how the plan as written differs from the pinned one; empty where it does not."""
        if self.plan is None:
            return f"the plan cannot be read: {self.plan_problem or 'there is none'}"
        same = self.plan == state.plan
        return "" if same else "the plan was edited after it was pinned: replan, or undo the edit"

    def freeze(self) -> str:
        """Say until when nothing may go up; empty where it may."""
        plan = self.plan
        until = None if plan is None else frozen_until(plan.freezes, now=self.now)
        return "" if until is None else f"frozen until {moment(until)}"

    def cohort_note(self) -> str:
        """Say that the next stage would be empty or tiny; see `cohort_note`."""
        return cohort_note(self.next_cohort)


def cohort_note(count: int | None) -> str:
    """Say that a cohort of *count* units is empty or tiny; empty where it is not, or nobody counted."""
    if count is None or count >= TINY_COHORT:
        return ""
    return "nobody is in: the cohort is empty" if count == 0 else f"only {count} in: the cohort is tiny"


class ObstacleKind(StrEnum):
    """Name what stands between a rollout and its next stage."""

    BAKE = "bake"
    VERDICT = "verdict"
    STORE = "store"
    DRIFT = "drift"
    FREEZE = "freeze"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One reason why the next stage does not begin now, and what it waits for."""

    kind: ObstacleKind
    text: str


def obstacles(state: RolloutState, situation: Situation) -> tuple[Obstacle, ...]:
    """Return every reason why a rollout under way does not go on to its next stage now; none: it does.

    Completing the last stage takes the bake time and the verdict alone.
    """
    stage, following = state.stage_plan, following_stage(state)
    found = [
        (ObstacleKind.BAKE, _bake(state, stage)),
        (ObstacleKind.VERDICT, situation.why_no_pass(state)),
        (ObstacleKind.STORE, situation.went_back(state)),
    ]
    if following is not None:
        found += [
            (ObstacleKind.DRIFT, situation.drift(state)),
            (ObstacleKind.FREEZE, situation.freeze()),
            (ObstacleKind.APPROVAL, _approval(state, following)),
        ]
    return tuple(Obstacle(kind=kind, text=text) for kind, text in found if text)


def following_stage(state: RolloutState) -> Stage | None:
    """Return the stage that would begin next; None where the plan ends, or nothing is under way."""
    if state.plan is None or state.stage is None:
        return None
    number = state.plan.stage_above(state.ceiling)
    return None if number is None else state.plan.stages[number]


def _bake(state: RolloutState, stage: Stage | None) -> str:
    if stage is None:
        return "no stage is under way"
    baked = state.progress.baked_seconds
    if baked >= stage.bake_seconds:
        return ""
    return f"held {spoken(baked)} of {spoken(stage.bake_seconds)}"


def _approval(state: RolloutState, following: Stage) -> str:
    if not following.approval or state.has_approved(following.percentage):
        return ""
    return f"{following.percentage} % waits for a person's approval"


def moment(seconds: float) -> str:
    """Return *seconds* since the epoch as a date and time in UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
