"""What the tests of the controller share: a plan, verdicts, senders, and a rollout that can be driven."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rollout.actor import Actor
from rollout.commands import (
    AcceptStore,
    Advance,
    Approve,
    ChangeFlag,
    ClearTrip,
    Command,
    Kill,
    Pause,
    Replan,
    Resume,
    RollBack,
    SetPercentage,
    Start,
    Tick,
    Unkill,
)
from rollout.controller import Step, step
from rollout.flags import FlagKey
from rollout.fleet import Sender
from rollout.journal import JournalEntry
from rollout.percentage import Percentage
from rollout.plan import Plan, Stage
from rollout.rollout_state import Cause, RolloutState, State
from rollout.situation import Situation
from rollout.verdict import Reading, Standing, Verdict

NOW = 1_763_000_000.0
FLAG = FlagKey("tournament-webhooks")
ANNA = Actor(name="user:17", authenticated=True)


def pct(value: int | str) -> Percentage:
    """A percentage."""
    return Percentage.parse(value)


def plan_of(*percentages: int, bake: int = 60, approval: tuple[int, ...] = (), **options: object) -> Plan:
    """A plan with these percentages, each baked for as long; *approval* names those that need one."""
    stages = tuple(
        Stage(
            percentage=pct(each),
            bake_seconds=bake,
            approval=each in approval,
            shadow=each == 0,
        )
        for each in percentages
    )
    return Plan(flag=FLAG, stages=stages, **options)  # type: ignore[arg-type]


PLAN = plan_of(5, 25, 50, 100)


def verdict(standing: Standing, *, at: float = NOW) -> Verdict:
    """A verdict with one reading."""
    why = f"success rate is {standing.value}"
    reading = Reading(measure="success_rate", value=None, sample=9, needed=1, standing=standing, why=why)
    return Verdict.of([reading], at=at, rule_version=1)


PASS, HOLD = Standing.GO_ON, Standing.HOLD
BREACH, UNDECIDED = Standing.ROLL_BACK, Standing.UNDECIDED


def sender(name: str = "web-1", *, epoch: int = 0, seen_at: float = NOW, lease: float = 5.0) -> Sender:
    """A sender that told of *epoch* when it was last seen."""
    return Sender(name=name, epoch=epoch, acknowledged_at=seen_at, seen_at=seen_at, lease_seconds=lease)


# What brings each cause about; those of the machine are a tick in the right world.
SPOKEN: dict[Cause, Command] = {
    Cause.START: Start(by=ANNA),
    Cause.APPROVED: Approve(by=ANNA),
    Cause.ADVANCED: Advance(by=ANNA, force=True, reason="we know why", to=pct(25)),
    Cause.PAUSED: Pause(by=ANNA),
    Cause.RESUMED: Resume(by=ANNA),
    Cause.SET: SetPercentage(by=ANNA, percentage=pct(1)),
    Cause.REPLANNED: Replan(by=ANNA),
    Cause.ROLL_BACK: RollBack(by=ANNA, reason="5xx"),
    Cause.KILLED: Kill(by=ANNA, reason="now"),
    Cause.UNKILLED: Unkill(by=ANNA, reason="over"),
    Cause.STORE_ACCEPTED: AcceptStore(by=ANNA, reason="restored"),
    Cause.TRIP_CLEARED: ClearTrip(by=ANNA, reason="the call is corrected"),
    Cause.FLAG_CHANGED: ChangeFlag(by=ANNA, reason="5 % -> 25 %"),
}


@dataclass
class Driven:
    """A rollout that is driven step by step without a store; time passes only when told."""

    plan: Plan = PLAN
    now: float = NOW
    state: RolloutState = field(default_factory=lambda: RolloutState(flag=FLAG))
    entries: list[JournalEntry] = field(default_factory=list)
    senders: tuple[Sender, ...] = ()
    seen_version: int = 0

    def situation(self, standing: Standing | None = PASS, **others: object) -> Situation:
        """The present moment."""
        said = None if standing is None else verdict(standing, at=self.now)
        situation = Situation(
            now=self.now,
            plan=self.plan,
            verdict=said,
            senders=self.senders,
            seen_version=self.seen_version,
        )
        return replace(situation, **others)  # type: ignore[arg-type]

    def do(self, command: Command, standing: Standing | None = PASS, **others: object) -> Step:
        """One command, now."""
        made = step(self.state, command, self.situation(standing, **others))
        self.state = made.state
        if made.entry is not None:
            self.entries.append(made.entry)
        return made

    def tick(self, standing: Standing | None = PASS, *, after: float = 15.0, **others: object) -> Step:
        """Let time pass, then tick."""
        self.now += after
        return self.do(Tick(), standing, **others)

    def start(self) -> Driven:
        """Begin the plan."""
        self.do(Start(by=ANNA, reason="go"))
        return self

    def bake(self, standing: Standing = PASS, *, ticks: int = 8) -> Driven:
        """Tick through two minutes, every 15 s, and stop where something but the bake time changes."""
        before = (self.state.state, self.state.ceiling)
        for _ in range(ticks):
            self.tick(standing)
            if (self.state.state, self.state.ceiling) != before:
                break
        return self

    def at(self, state: State) -> Driven:
        """Bring it to *state* by the ways that lead there."""
        ways = {
            State.NOT_STARTED: lambda: None,
            State.RUNNING: self.start,
            State.HOLD: lambda: self.start().tick(HOLD),
            State.PAUSED: self._paused,
            State.AWAITING_APPROVAL: self._awaiting,
            State.COMPLETED: self._completed,
            State.ROLLING_BACK: self._rolling_back,
            State.ROLLED_BACK: self._rolled_back,
        }
        ways[state]()
        assert self.state.state is state
        return self

    def _paused(self) -> None:
        self.start().do(Pause(by=ANNA))

    def _awaiting(self) -> None:
        self.plan = plan_of(5, 25, 50, 100, approval=(25,))
        self.start().bake()

    def _completed(self) -> None:
        self.plan = plan_of(5)
        self.start().bake()

    def _rolling_back(self) -> None:
        self.start().tick(BREACH)

    def _rolled_back(self) -> None:
        self._rolling_back()
        self.tick(PASS)
