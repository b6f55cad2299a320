"""The runner: one pass of it looks at the evidence and takes the rollout as far as that goes.

One runner a flag is at work in a fleet, by a fence; persons' commands go through here too, without one. The
invariants: what is decided is written before anything is told; every write is on top of the version that was
read; a pass that dies at any point leaves a state from which the next one, anybody's, goes on; a store that
does not follow what was seen before lets nothing go up, and nothing goes up before senders were heard on it.
Explained in docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from rollout.actions import Action
from rollout.actor import Actor
from rollout.commands import Command, Kill, Spoken, Start, Tick
from rollout.controller import ISSUING, Step, step
from rollout.controls import NOT_KILLED, KillState
from rollout.errors import ConfigError, StoreConflict
from rollout.events import Observer, SourceProblem, emit
from rollout.flags import FlagKey
from rollout.journal import facts_of
from rollout.percentage import NOBODY, Percentage
from rollout.plan import Plan
from rollout.rollout_state import GUARDED, RolloutState
from rollout.situation import Obstacle, Situation, following_stage, obstacles
from rollout.stores.base import MAX_LEASE_SECONDS, Fence, RolloutStore
from rollout.watch import Looked, Watch

__all__ = ["HEARING_SECONDS", "KILL_FILE", "Outcome", "Pass", "Runner"]

# How often a person's command is decided again when others write at the same time.
_TRIES = 8
#: So long a runner that would let more through waits for whoever has seen more than this store. Senders look
#: four times a second; but after an outage a worker leaves the database alone for up to five seconds
#: (`WorkerPolicy.max_backoff_seconds`), and is silent meanwhile.
HEARING_SECONDS = 6.0
#: Who kills where a runner finds the kill file of its host.
KILL_FILE = Actor(name="kill-file", authenticated=False)


class Outcome(StrEnum):
    """Name what came of one pass."""

    #: Another runner holds the fence.
    STANDBY = "STANDBY"
    #: Nothing was to be written.
    UNCHANGED = "UNCHANGED"
    #: A new state was written.
    WRITTEN = "WRITTEN"
    #: Somebody else wrote first; the next pass decides again.
    CONFLICT = "CONFLICT"
    #: The store went back, and nothing but a rollback will be done.
    STORE_WENT_BACK = "STORE_WENT_BACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass of the runner, as `status` and a log may show it.

    Args:
        outcome: What came of it.
        state: The state after it; None for a runner that stands by.
        situation: The moment that was judged; None for a runner that stands by.
        waiting_for: Why the next stage does not begin now.
        actions: What followed.
    """

    outcome: Outcome
    state: RolloutState | None = None
    situation: Situation | None = None
    waiting_for: tuple[Obstacle, ...] = ()
    actions: tuple[Action, ...] = ()


def nobody_counts(_percentage: Percentage) -> int | None:
    """Be the count of those who cannot tell how many units there are."""
    return None


def nothing_to_prepare(_state: RolloutState) -> None:
    """Be what comes before a way up where nothing does."""


def not_killed() -> KillState:
    """Be the kill switch of those who have none on this host."""
    return NOT_KILLED


class Runner:
    """Drive the rollout of one flag.

    Args:
        flag: The flag's key.
        store: Where it is kept. All moments are its clock's.
        watch: Who looks at the evidence.
        plan: Returns the plan as it is written now. One that raises `ConfigError` is a plan that cannot be
            read: what is pinned goes on being guarded, and nothing goes up.
        owner: This process, unique for its life and never used again, such as host, pid and a random part.
        lease_seconds: How long the fence holds without a tick: above 0, at most 600. At least three ticks.
        kill: This host's kill switch. Pulled, it rolls the whole rollout back.
        cohort: How many units are in at a percentage; None: nobody counts.
        prepare: Given the state that will let more through, before it is written; what it raises keeps it
            from being written.
        wait: Waits for so many seconds: before a pass lets more through, so that senders are heard first.
        observer: Told of every change, and once of a store that went back.
    """

    def __init__(  # noqa: PLR0913 (the one place where a rollout meets its world)
        self,
        flag: FlagKey,
        store: RolloutStore,
        watch: Watch,
        *,
        plan: Callable[[], Plan],
        owner: str,
        lease_seconds: float = 30.0,
        kill: Callable[[], KillState] = not_killed,
        cohort: Callable[[Percentage], int | None] = nobody_counts,
        prepare: Callable[[RolloutState], object] = nothing_to_prepare,
        wait: Callable[[float], object] = time.sleep,  # noqa: TID251 (it is an argument)
        observer: Observer | None = None,
    ) -> None:
        if not 0 < lease_seconds <= MAX_LEASE_SECONDS:
            allowed = f"must be above 0 and at most {MAX_LEASE_SECONDS:g} s"
            raise ConfigError("lease_seconds", f"{allowed}, got {lease_seconds}")
        self._flag, self._store, self._watch, self._plan = flag, store, watch, plan
        self._owner, self._lease_seconds = owner, lease_seconds
        self._kill, self._cohort, self._prepare, self._observer = kill, cohort, prepare, observer
        self._wait = wait
        self._seen_version, self._seen_head = 0, ""
        self._complaint = ""

    def tick(self) -> Pass:
        """Make one pass: take the fence, look, decide, write, tell.

        Raises:
            ConfigError: What the store keeps is no state. Nothing is written; senders stay as they are.
            Exception: What the store's technology raises when it is away.
        """
        fence = self._take_fence(self._lease_seconds)
        if fence is None:
            return Pass(outcome=Outcome.STANDBY)
        state, situation, made = self._decided()
        if _lets_more_through(state, made.state):
            fence = self._take_fence(max(self._lease_seconds, 2 * HEARING_SECONDS))  # lest it runs out
            if fence is None:
                return Pass(outcome=Outcome.STANDBY)
            self._wait(HEARING_SECONDS)  # who has obeyed what this store lacks says so meanwhile
            state, situation, made = self._decided()
        try:
            self._write(state, made, fence)
        except StoreConflict:
            return Pass(outcome=Outcome.CONFLICT, state=state, situation=situation)
        self._tell(state, made)
        problem = situation.went_back(state)
        self._complain(problem)
        unwritten = Outcome.STORE_WENT_BACK if problem else Outcome.UNCHANGED
        return Pass(
            outcome=unwritten if made.state is state else Outcome.WRITTEN,
            state=made.state,
            situation=situation,
            waiting_for=obstacles(made.state, situation) if made.state.state in GUARDED else (),
            actions=made.actions,
        )

    def _take_fence(self, seconds: float) -> Fence | None:
        return self._store.take_fence(self._flag, self._owner, lease_seconds=seconds)

    def _decided(self) -> tuple[RolloutState, Situation, Step]:
        """Look, and decide what comes of it; nothing is written."""
        state, situation = self.look()
        kill = self._kill()
        command: Command = Tick()
        if kill.killed is not False and not state.killed:
            command = Kill(by=KILL_FILE, reason=kill.why)
        return state, situation, step(state, command, situation)

    def obey(self, command: Spoken) -> Step:
        """Follow a person's or a tripwire's command, decided again where somebody else wrote first.

        Raises:
            TransitionError: It cannot be followed from where the rollout stands.
            ConfigError: A plan that cannot be read where one is needed, or a reason that is missing.
            StoreConflict: Others wrote first again and again; nothing was written.
        """
        for _ in range(_TRIES - 1):
            try:
                return self._obey(command)
            except StoreConflict:
                continue
        return self._obey(command)

    def look(self) -> tuple[RolloutState, Situation]:
        """Return where the rollout stands, and the world as the controller is told of it. Writes nothing."""
        state = self._store.load(self._flag)
        now = self._store.now()
        plan, problem = self._read_plan()
        looked = self._watch.look(state, now=now) if state.state in GUARDED else Looked()
        following = following_stage(state) or (plan.stages[0] if plan and state.stage is None else None)
        situation = Situation(
            now=now,
            plan=plan,
            plan_problem=problem,
            verdict=looked.verdict,
            evidence=looked.evidence,
            evidence_problem=looked.problem,
            senders=tuple(self._store.senders(self._flag)),
            seen_version=self._seen_version,
            lost_version=0 if self._follows(state) else self._seen_version,
            next_cohort=self._count(following.percentage) if following else None,
        )
        if not situation.went_back(state):
            self._seen_version, self._seen_head = state.version, state.head
        return state, situation

    def _follows(self, state: RolloutState) -> bool:
        """Whether the journal leads from what this runner saw last to *state*, or somebody stopped it since.

        Of a lower version that is not asked: it went back whatever its journal says.
        """
        if state.head == self._seen_head or state.version < self._seen_version or not self._seen_version:
            return True
        entries = self._store.journal(self._flag, after_version=self._seen_version)
        is_next = bool(entries) and entries[0].previous == self._seen_head
        return is_next or any(entry.cause in ISSUING for entry in entries)

    def _obey(self, command: Spoken) -> Step:
        state, situation = self.look()
        if isinstance(command, Start):
            situation = replace(situation, evidence=self._watch.begin(self._flag, now=situation.now))
        made = step(state, command, situation)
        self._write(state, made, None)
        self._tell(state, made)
        return made

    def _read_plan(self) -> tuple[Plan | None, str]:
        try:
            return self._plan(), ""
        except ConfigError as error:
            return None, str(error)

    def _count(self, percentage: Percentage) -> int | None:
        return None if percentage == NOBODY else self._cohort(percentage)

    def _write(self, state: RolloutState, made: Step, fence: Fence | None) -> None:
        if made.state is state:
            return
        if _lets_more_through(state, made.state):
            self._prepare(made.state)
        self._store.swap(made.state, made.entry, expected_version=state.version, fence=fence)
        self._seen_version, self._seen_head = made.state.version, made.state.head

    def _tell(self, state: RolloutState, made: Step) -> None:
        """Say what is written already."""
        if made.entry is None:
            return
        old, new = _basis_points(state), _basis_points(made.state)
        for fact in facts_of(made.entry, from_bp=old, to_bp=new, state=made.state.state.value):
            emit(self._observer, fact)

    def _complain(self, problem: str) -> None:
        """Say that the store went back, once for each way in which it did."""
        if problem and problem != self._complaint:
            emit(self._observer, SourceProblem(origin="rollout store", problem=problem))
        self._complaint = problem


def _lets_more_through(before: RolloutState, after: RolloutState) -> bool:
    if after.ceiling is None:
        return False
    return after.ceiling > (NOBODY if before.ceiling is None else before.ceiling)


def _basis_points(state: RolloutState) -> str:
    return "none" if state.ceiling is None else state.ceiling.basis_points
