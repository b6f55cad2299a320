"""Where a rollout stands: one value, the row that every runner, sender and person goes by.

Values only; the controller makes the next one. The invariants: a state that exists is a valid one; the
ceiling is never above the pinned plan's stage; after a rollback, or while it is killed, nothing is let
through; the version only grows. Explained in docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from math import isfinite

from rollout.errors import ConfigError
from rollout.flags import Flag, FlagKey
from rollout.percentage import NOBODY, Percentage
from rollout.plan import Plan, Stage

__all__ = ["GUARDED", "LATCHED", "Approval", "Cause", "Progress", "RolloutState", "State"]


class State(StrEnum):
    """Name where a rollout stands (the contract §10)."""

    NOT_STARTED = "NOT_STARTED"
    RUNNING = "RUNNING"
    HOLD = "HOLD"
    PAUSED = "PAUSED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    COMPLETED = "COMPLETED"


class Cause(StrEnum):
    """Name what moves a rollout."""

    START = "a person starts the plan"
    PASSED = "the stage has held and the guard passes"
    DONE = "the last stage has held and the guard passes"
    HELD = "the guard holds"
    CLEARED = "the guard passes again"
    NEEDS_APPROVAL = "the next stage needs a person's approval"
    APPROVED = "a person approves the next stage"
    ADVANCED = "a person begins the next stage"
    PAUSED = "a person pauses"
    RESUMED = "a person resumes"
    SET = "a person sets the percentage"
    REPLANNED = "a person pins the plan as it is now"
    BREACHED = "the guard finds a breach"
    ROLL_BACK = "a person or a tripwire rolls back"
    KILLED = "the kill switch is pulled"
    UNKILLED = "a person puts the kill switch back"
    ISSUED_AGAIN = "the store went back while rolling back"
    STOPPED = "every live sender has stopped"
    STORE_ACCEPTED = "a person accepts a store that went back"
    TRIP_CLEARED = "a person clears a trip on personal data"
    FLAG_CHANGED = "a person changes the flag in the database"


#: In these the plan is under way and the guard watches.
GUARDED = frozenset(
    {State.RUNNING, State.HOLD, State.PAUSED, State.AWAITING_APPROVAL, State.COMPLETED},
)
#: In these nothing is let through until a person starts again.
LATCHED = frozenset({State.ROLLING_BACK, State.ROLLED_BACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's word that a stage may begin; it holds for the pinned plan only.

    Args:
        percentage: The stage's percentage.
        by: Who.
        at: When, epoch seconds.
    """

    percentage: Percentage
    by: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What grows from tick to tick, and is not worth a journal row.

    Args:
        baked_seconds: How long the stage has held, counting only time with evidence and a live runner.
        ticked_at: The last tick that counted, epoch seconds; None: the next one begins to count.
        evidence: What the guard remembers between ticks, as text that only it can read; empty: nothing yet.
    """

    baked_seconds: float = 0.0
    ticked_at: float | None = None
    evidence: str = ""

    def __post_init__(self) -> None:
        if not (isfinite(self.baked_seconds) and self.baked_seconds >= 0):
            raise ConfigError("progress.baked_seconds", "must be a finite number of 0 or more")
        if self.ticked_at is not None and not isfinite(self.ticked_at):
            raise ConfigError("progress.ticked_at", "must be a finite number")


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutState:
    """Where the rollout of one flag stands. A flag that was never rolled out is `RolloutState(flag=key)`.

    Args:
        flag: The flag's key.
        version: Grows with every write; 0: never written.
        state: Where it stands.
        ceiling: The highest percentage that is let through; None before the first start: no ceiling.
        epoch: Grows whenever senders must obey something new; they acknowledge it.
        epoch_at: When that was, epoch seconds, the store's clock.
        stage_entered_at: When the stage began, epoch seconds; evidence counts from here.
        killed: Whether somebody pulled the kill switch and nobody has put it back.
        reason: Why it stands where it stands, for a person.
        actor: Who brought it there.
        plan: The plan that was pinned at the start; None before.
        approvals: Stages that a person has approved, in the order of approval.
        progress: What grows from tick to tick.
        head: The hash of the last journal entry; empty: none yet.

    Raises:
        ConfigError: The fields do not fit each other.
    """

    flag: FlagKey
    version: int = 0
    state: State = State.NOT_STARTED
    ceiling: Percentage | None = None
    epoch: int = 0
    epoch_at: float = 0.0
    stage_entered_at: float = 0.0
    killed: bool = False
    reason: str = ""
    actor: str = ""
    plan: Plan | None = None
    approvals: tuple[Approval, ...] = ()
    progress: Progress = field(default=Progress())
    head: str = ""

    def __post_init__(self) -> None:
        Flag(key=self.flag)
        if self.version < 0 or self.epoch < 0:
            raise ConfigError("state.version", "version and epoch must be 0 or more")
        if not (isfinite(self.epoch_at) and isfinite(self.stage_entered_at)):
            raise ConfigError("state.epoch_at", "moments must be finite numbers")
        if (self.ceiling is None) != (self.state is State.NOT_STARTED):
            raise ConfigError(
                "state.ceiling", "there is none before the first start, and always one after it"
            )
        if self.state in LATCHED and self.ceiling != NOBODY:
            raise ConfigError("state.ceiling", f"must be 0 while {self.state}")
        if self.killed and self.state not in LATCHED:
            raise ConfigError("state.killed", f"a rollout that is {self.state} is not killed")
        if self.state in GUARDED:
            self._check_plan()

    def _check_plan(self) -> None:
        if self.plan is None or self.plan.flag != self.flag:
            raise ConfigError("state.plan", f"must be a plan of {self.flag} while {self.state}")
        if self.ceiling is None or self.ceiling > self.plan.highest:
            raise ConfigError("state.ceiling", f"must not be above the plan's {self.plan.highest} %")

    @property
    def stage(self) -> int | None:
        """The number of the stage it is in, from 0; None where no stage is under way."""
        if self.state not in GUARDED or self.plan is None or self.ceiling is None:
            return None
        return self.plan.stage_of(self.ceiling)

    @property
    def stage_plan(self) -> Stage | None:
        """What the plan says of the stage it is in."""
        return None if self.plan is None or self.stage is None else self.plan.stages[self.stage]

    @property
    def stage_text(self) -> str:
        """The stage it is in, for a person, such as `2 of 4`; empty where no stage is under way."""
        number, plan = self.stage, self.plan
        return "" if number is None or plan is None else f"{number + 1} of {len(plan.stages)}"

    @property
    def ceiling_text(self) -> str:
        """The ceiling for a person: `25 %`, or `no ceiling`."""
        return "no ceiling" if self.ceiling is None else f"{self.ceiling} %"

    @property
    def rate_per_second(self) -> Decimal | None:
        """The most deliveries a second over the whole fleet; None: no cap."""
        return None if self.stage_plan is None else self.stage_plan.rate_per_second

    @property
    def is_shadow(self) -> bool:
        """Whether envelopes are built, checked and signed, and nothing is sent."""
        return self.stage_plan is not None and self.stage_plan.shadow and self.ceiling == NOBODY

    def has_approved(self, percentage: Percentage) -> bool:
        """Whether a person has approved the stage of *percentage*."""
        return any(approval.percentage == percentage for approval in self.approvals)

    def without_progress(self) -> RolloutState:
        """Return what the journal replays to: the same without what grows from tick to tick."""
        return replace(self, progress=Progress(), version=0)
