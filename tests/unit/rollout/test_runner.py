"""The runner: one pass of it, and persons' commands."""

from __future__ import annotations

import pytest

from rollout.commands import (
    AcceptStore,
    Advance,
    ClearTrip,
    Pause,
    Resume,
    RollBack,
    SetPercentage,
    Start,
    Unkill,
)
from rollout.controls import KillState
from rollout.errors import ConfigError, StoreConflict, TransitionError
from rollout.events import JournalGrew, RolloutChanged, SourceProblem
from rollout.percentage import NOBODY
from rollout.rollout_state import RolloutState, State
from rollout.runner import HEARING_SECONDS, Outcome, Runner
from rollout.situation import ObstacleKind
from tests.unit.rollout.rollout_world import ANNA, BREACH, FLAG, PASS, PLAN, pct, plan_of
from tests.unit.rollout.runner_world import Crash, World
from webhooks_core.worker.policy import WorkerPolicy


@pytest.fixture
def world() -> World:
    """An empty world."""
    return World()


def test_a_pass_looks_decides_writes_and_tells(world: World) -> None:
    """Started by a person, a tick later it bakes; the change and the journal's head were told."""
    runner = world.runner()
    runner.obey(Start(by=ANNA, reason="go"))

    world.clock.advance(15.0)
    made = runner.tick()

    assert made.outcome is Outcome.WRITTEN
    assert [each.kind for each in made.waiting_for] == [ObstacleKind.BAKE]
    assert world.facts == [
        RolloutChanged(flag=FLAG, from_bp="none", to_bp="500", state="RUNNING", actor=ANNA.name, reason="go"),
        JournalGrew(flag=FLAG, version=1, head=world.state.head),
    ]


def test_one_runner_works_and_the_others_stand_by(world: World) -> None:
    """The fence is one's; once its lease runs out another goes on where it stopped."""
    first, second = world.runner(), world.runner()
    first.obey(Start(by=ANNA))
    first.tick()

    standing_by = second.tick()
    world.clock.advance(31.0)
    taken = second.tick()

    assert standing_by.outcome is Outcome.STANDBY
    assert taken.outcome is Outcome.WRITTEN


def test_a_runner_that_lost_its_fence_writes_nothing(world: World) -> None:
    """It slept between deciding and writing; meanwhile another took over and paused."""
    slow, quick = world.runner(), world.runner()
    slow.obey(Start(by=ANNA))
    real = world.store.swap

    def sleepy(*args: object, **options: object) -> None:
        world.store.swap = real  # type: ignore[method-assign]
        world.clock.advance(60.0)
        quick.tick()
        real(*args, **options)  # type: ignore[arg-type]

    world.store.swap = sleepy  # type: ignore[method-assign,assignment]
    made = slow.tick()

    assert made.outcome is Outcome.CONFLICT
    assert slow.tick().outcome is Outcome.STANDBY


def test_a_command_is_decided_again_where_somebody_else_wrote_first(world: World) -> None:
    """A person's word is not lost to a tick that came between; but not for ever."""
    runner, other = world.runner(), world.runner()
    runner.obey(Start(by=ANNA))
    real, races = world.store.swap, [1]

    def raced(*args: object, **options: object) -> None:
        if races[0]:
            races[0] -= 1
            world.store.swap = real  # type: ignore[method-assign]
            world.clock.advance(30.0)
            other.tick()
            world.store.swap = raced  # type: ignore[method-assign,assignment]
        real(*args, **options)  # type: ignore[arg-type]

    world.store.swap = raced  # type: ignore[method-assign,assignment]
    races[0] = 100
    with pytest.raises(StoreConflict, match="read again"):
        runner.obey(Pause(by=ANNA))
    running = world.state.state
    races[0] = 1
    runner.obey(Pause(by=ANNA))

    assert running is State.RUNNING
    assert world.state.state is State.PAUSED


def test_a_kill_file_rolls_back_once_and_its_removal_starts_nothing(world: World) -> None:
    """Killed as long as a person has not said otherwise, whatever a host's disk says."""
    runner = world.runner()
    runner.obey(Start(by=ANNA))

    world.kill = KillState(killed=True, why="'/run/kill' is there")
    runner.tick()
    runner.tick()
    world.kill = KillState(killed=False)
    runner.tick()
    with pytest.raises(TransitionError):
        runner.obey(Start(by=ANNA))
    runner.obey(Unkill(by=ANNA, reason="over"))
    runner.obey(Start(by=ANNA))

    causes = [entry.cause for entry in world.store.journal(FLAG)]
    assert causes.count("the kill switch is pulled") == 1
    assert world.store.journal(FLAG)[1].actor == "kill-file"
    assert world.state.state is State.RUNNING


def test_what_a_higher_ceiling_needs_is_seen_to_before_it_is_written(world: World) -> None:
    """At each way up, by hand or by the runner; never at a way down, which nothing may keep waiting."""
    seen: list[tuple[object, object]] = []
    runner = world.runner(prepare=lambda after: seen.append((after.ceiling, world.state.ceiling)))

    runner.obey(Start(by=ANNA))
    runner.obey(Advance(by=ANNA, reason="go on", force=True))
    runner.obey(Pause(by=ANNA))
    runner.obey(SetPercentage(by=ANNA, percentage=pct(5), reason="less"))
    runner.obey(RollBack(by=ANNA, reason="no"))

    assert seen == [(pct(5), None), (pct(25), pct(5))]


def test_a_way_up_that_could_not_be_prepared_is_not_gone(world: World) -> None:
    """Nothing is written, and the next pass tries again."""

    def away(_after: RolloutState) -> None:
        raise Crash("the outbox's database")

    runner = world.runner(prepare=away)

    with pytest.raises(Crash):
        runner.obey(Start(by=ANNA))

    assert world.state.state is State.NOT_STARTED


def test_a_plan_that_cannot_be_read_stops_the_way_up_and_not_the_guard(world: World) -> None:
    """The pinned plan goes on being guarded; what is wrong is said."""
    runner = world.runner()
    runner.obey(Start(by=ANNA))
    world.plan = None

    for _ in range(10):
        world.clock.advance(15.0)
        made = runner.tick()
    stood = world.state.ceiling
    world.eyes.standing = BREACH
    world.clock.advance(15.0)
    runner.tick()

    assert stood == pct(5)
    assert "plan.stages: must be a list" in made.waiting_for[0].text
    assert world.state.state is State.ROLLING_BACK


def test_evidence_that_cannot_be_read_holds_and_says_so(world: World) -> None:
    """No verdict: HOLD, with the reason."""
    runner = world.runner()
    runner.obey(Start(by=ANNA))
    world.eyes.standing, world.eyes.problem = None, "the evidence cannot be read (OperationalError)"

    world.clock.advance(15.0)
    runner.tick()

    assert (world.state.state, world.state.reason) == (State.HOLD, world.eyes.problem)


def test_a_store_that_went_back_is_said_once_and_goes_nowhere(world: World) -> None:
    """The runner remembers the highest version: an older one is refused until a person decides."""
    from rollout import state_text

    runner = world.runner()
    runner.obey(Start(by=ANNA))
    backup, entries = state_text.dumps(world.state), list(world.store._journals[FLAG])
    for _ in range(20):
        world.clock.advance(15.0)
        runner.tick()
    seen = world.state.version
    world.store._states[FLAG], world.store._journals[FLAG] = backup, entries

    passes = []
    for _ in range(5):
        world.clock.advance(15.0)
        passes.append(runner.tick())

    assert {each.outcome for each in passes} == {Outcome.STORE_WENT_BACK}
    assert [each.actions for each in passes] == [()] * 5  # what a pass tells is logged at each one
    assert world.state.ceiling == pct(5)
    problems = [fact for fact in world.facts if isinstance(fact, SourceProblem)]
    assert [each.problem for each in problems] == [f"store went back: version 1, seen {seen}"]


def at_the_edge(world: World) -> Runner:
    """A runner whose next tick begins the next stage."""
    runner = world.runner()
    runner.obey(Start(by=ANNA))
    for _ in range(PLAN.stages[0].bake_seconds // 15):
        world.clock.advance(15.0)
        runner.tick()
    world.clock.advance(15.0)
    return runner


def test_before_it_lets_more_through_senders_are_heard(world: World) -> None:
    """For six seconds, and a second look; never for anything else."""
    runner = at_the_edge(world)
    before = list(world.waited)

    runner.tick()

    assert (before, world.waited) == ([], [HEARING_SECONDS])
    assert world.state.ceiling == pct(25)


def test_senders_are_heard_for_longer_than_a_worker_is_silent_after_an_outage() -> None:
    """Its pulse waits as long as its outbox does; then it looks, and tells, within a second."""
    assert WorkerPolicy().max_backoff_seconds + 1.0 <= HEARING_SECONDS


def test_a_persons_commands_and_what_ends_a_rollback_hear_nobody_first(world: World) -> None:
    """Who typed it waits no six seconds: neither for it nor for the pass that `rollback` makes."""
    runner = world.runner(lease_seconds=5.0)
    runner.obey(Start(by=ANNA))
    runner.obey(RollBack(by=ANNA, reason="no"))
    world.store.beat("w1", {FLAG: world.state.epoch}, lease_seconds=3.0)

    runner.tick()

    assert (world.state.state, world.waited) == (State.ROLLED_BACK, [])


def test_hearing_senders_loses_no_fence_however_short_its_lease(world: World) -> None:
    """Two runners of a lease of three seconds would take it from each other for ever, and nothing go up."""
    at_the_edge(world)
    world.clock.advance(30.0)
    other, seen = world.runner(lease_seconds=3.0), []

    def hear(seconds: float) -> None:
        world.clock.advance(seconds)
        seen.append(other.tick().outcome)

    made = world.runner(lease_seconds=3.0, wait=hear).tick()

    assert (seen, made.outcome) == ([Outcome.STANDBY], Outcome.WRITTEN)
    assert world.state.ceiling == pct(25)


def test_a_runner_that_lost_its_fence_before_senders_were_heard_stands_by(world: World) -> None:
    """Its process slept while it looked: who has the fence now goes on."""
    at_the_edge(world)
    world.clock.advance(30.0)
    other, real = world.runner(), world.eyes.look

    def sleepy(*args: object, **options: object) -> object:
        world.eyes.look = real  # type: ignore[method-assign]
        world.clock.advance(31.0)
        world.store.take_fence(FLAG, other._owner, lease_seconds=30.0)
        return real(*args, **options)  # type: ignore[arg-type]

    world.eyes.look = sleepy  # type: ignore[method-assign,assignment]
    made = world.runner().tick()

    assert (made.outcome, world.waited) == (Outcome.STANDBY, [])
    assert world.state.ceiling == pct(5)


@pytest.mark.parametrize("is_new", [True, False], ids=["a-new-process", "the-same"])
def test_what_a_sender_says_while_it_is_heard_keeps_the_stage_where_it_is(
    world: World, *, is_new: bool
) -> None:
    """A kill was lost with the primary: whoever has obeyed it says so, and no runner goes on without it."""
    last = at_the_edge(world)
    version = world.state.version

    def hear(_seconds: float) -> None:
        world.store.beat("w1", {FLAG: 1}, lease_seconds=0.0, seen={FLAG: version + 1})

    runner = world.runner(wait=hear)
    if is_new:
        world.clock.advance(31.0)
    else:
        runner = last
        runner._wait = hear  # type: ignore[assignment]
    made = runner.tick()

    assert made.outcome is not Outcome.STANDBY
    assert [each.text for each in made.waiting_for if each.kind is ObstacleKind.STORE] == [
        f"store went back: version {version} does not follow {version + 1}, which was seen"
    ]
    assert world.state.ceiling == pct(5)


def test_a_runner_knows_the_decisions_that_it_has_seen_whatever_the_version(world: World) -> None:
    """Paused, and the pause is lost; others write until the version is beyond it: nothing goes up by that."""
    from rollout import state_text

    runner = at_the_edge(world)
    backup, entries = state_text.dumps(world.state), list(world.store._journals[FLAG])
    world.runner().obey(Pause(by=ANNA, reason="stop here"))
    runner.tick()
    seen = world.state.version
    world.store._states[FLAG], world.store._journals[FLAG] = backup, entries
    for _ in range(3):
        world.runner().obey(ClearTrip(by=ANNA, reason="whatever makes a version"))

    made = runner.tick()
    stood = world.state.ceiling
    world.runner().obey(AcceptStore(by=ANNA, reason="the pause was a test"))
    for _ in range(5):
        world.clock.advance(15.0)
        runner.tick()

    problem = f"store went back: version {seen + 2} does not follow {seen}, which was seen"
    assert made.outcome is Outcome.STORE_WENT_BACK
    assert [each.problem for each in world.facts if isinstance(each, SourceProblem)] == [problem]
    assert (stood, world.state.ceiling) == (pct(5), pct(25))


def test_decisions_of_others_are_no_store_that_went_back(world: World) -> None:
    """Written by another process on top of what this one saw: it goes on from there."""
    runner = at_the_edge(world)

    world.runner().obey(Pause(by=ANNA, reason="stop here"))
    world.runner().obey(Resume(by=ANNA, reason="go on"))
    made = runner.tick()

    assert made.situation is not None and made.situation.went_back(world.state) == ""


def test_a_rollback_ends_although_somebody_waits_who_had_seen_another_store(world: World) -> None:
    """Said once more under an epoch above all, then ROLLED_BACK; a start needs a person's acceptance."""
    runner = at_the_edge(world)
    world.store.beat("w1", {FLAG: 3}, lease_seconds=0.0, seen={FLAG: world.state.version + 7})
    world.clock.advance(1.0)

    runner.obey(RollBack(by=ANNA, reason="in doubt"))
    for _ in range(3):
        world.clock.advance(5.0)
        runner.tick()
    with pytest.raises(TransitionError, match="does not follow"):
        world.runner().obey(Start(by=ANNA))
    stood = world.state
    world.runner().obey(AcceptStore(by=ANNA, reason="looked at"))
    world.runner().obey(Start(by=ANNA))

    assert (stood.state, stood.epoch) == (State.ROLLED_BACK, 4)
    assert world.state.state is State.RUNNING


def test_what_the_minute_of_a_start_held_before_is_remembered_with_the_start(world: World) -> None:
    """Noted at the moment that the stage begins with, and at no other command."""
    runner = world.runner()
    runner.obey(Start(by=ANNA))
    started = world.state
    world.clock.advance(15.0)
    runner.obey(Advance(by=ANNA, force=True, reason="demo"))

    assert started.progress.evidence == f"begun at {started.stage_entered_at:.0f}"
    assert world.state.progress.evidence == started.progress.evidence
    assert world.state.stage_entered_at > started.stage_entered_at


def test_how_many_are_in_is_counted_for_the_next_stage(world: World) -> None:
    """Nobody is counted at 0 %; before the start it is the first stage that counts."""
    asked = []

    def count(percentage: object) -> int:
        asked.append(percentage)
        return 3

    runner = world.runner(cohort=count)
    _, before = runner.look()
    runner.obey(Start(by=ANNA))
    runner.look()
    world.plan = plan_of(0, 5)
    shadow = World(plan_of(0, 5))
    shadow.runner(cohort=count).look()

    assert before.next_cohort == 3
    assert asked == [pct(5), pct(5), pct(25)]


def test_without_a_plan_nothing_starts_and_looking_works(world: World) -> None:
    """The error says what is wrong with the plan; a roll-back needs none."""
    world.plan = None
    runner = world.runner()

    with pytest.raises(ConfigError, match=r"plan\.stages: must be a list"):
        runner.obey(Start(by=ANNA))
    runner.obey(RollBack(by=ANNA, reason="whatever is there"))
    world.clock.advance(1.0)
    made = runner.tick()

    assert world.state.state is State.ROLLED_BACK
    assert made.waiting_for == ()


@pytest.mark.parametrize("seconds", [0, -1.0, 600.1, float("nan")])
def test_a_lease_that_is_none_is_named_with_what_is_allowed(world: World, seconds: float) -> None:
    """Above 600 s nobody could tell it from one of before the store's clock went back."""
    with pytest.raises(ConfigError, match="lease_seconds: must be above 0 and at most 600 s, got "):
        world.runner(lease_seconds=seconds)


def test_by_default_nobody_is_killed_nobody_counts_and_nobody_listens(world: World) -> None:
    """A runner needs a store, a watch, a plan and a name."""
    runner = Runner(FLAG, world.store, world.eyes, plan=world.read_plan, owner="host/0")  # type: ignore[arg-type]
    runner.obey(Start(by=ANNA))

    made = runner.tick()

    assert made.outcome is Outcome.WRITTEN
    assert made.situation is not None
    assert made.situation.next_cohort is None


def test_a_rollback_in_flight_is_finished_by_whoever_comes_next(world: World) -> None:
    """The runner that began it is gone; another verifies it once the senders have stopped."""
    first, second = world.runner(), world.runner()
    first.obey(Start(by=ANNA))
    world.store.beat("a", {FLAG: 1}, lease_seconds=5.0)
    world.eyes.standing = BREACH
    world.clock.advance(1.0)
    first.tick()

    world.clock.advance(31.0)
    world.eyes.standing = PASS
    second.tick()

    assert world.state.state is State.ROLLED_BACK
    assert world.state.ceiling == NOBODY
    assert world.state.reason.startswith("1 of 1 stopped, 1 by a lease that ran out; ")
