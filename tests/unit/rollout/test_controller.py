"""The controller: every arrow of its table, and what a tick makes of a verdict."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from rollout.actions import AskHeld, Tell
from rollout.actor import MACHINE
from rollout.commands import (
    AcceptStore,
    Advance,
    Approve,
    Kill,
    Pause,
    Replan,
    Resume,
    RollBack,
    Start,
    Tick,
    Unkill,
)
from rollout.controller import MAX_TICK_SECONDS, TRANSITIONS, WRITE_SECONDS, step
from rollout.errors import RolloutError, TransitionError
from rollout.freeze import FrozenDates
from rollout.percentage import NOBODY
from rollout.plan import Plan, Stage
from rollout.rollout_state import GUARDED, LATCHED, Cause, State
from rollout.verdict import Call, Standing, Verdict, VerdictKind
from tests.unit.rollout.rollout_world import (
    ANNA,
    BREACH,
    FLAG,
    HOLD,
    NOW,
    PASS,
    PLAN,
    SPOKEN,
    UNDECIDED,
    Driven,
    pct,
    plan_of,
    sender,
    verdict,
)

STATES = tuple(State)


def bring_about(driven: Driven, before: State, cause: Cause) -> None:
    """Make the world in which *cause* comes about, and let it."""
    if cause is Cause.STORE_ACCEPTED:
        driven.seen_version = driven.state.version + 3
    if cause is Cause.REPLANNED:
        driven.plan = plan_of(5, 30, 60, 100)
    if cause is Cause.UNKILLED:
        driven.do(Kill(by=ANNA, reason="now"))
        if before is State.ROLLED_BACK:
            driven.tick()
    if cause is Cause.APPROVED and driven.state.state is not State.AWAITING_APPROVAL:
        driven.plan = plan_of(5, 25, approval=(25,))
        driven.do(Replan(by=ANNA))
    if cause in SPOKEN:
        driven.do(SPOKEN[cause])
    elif cause in (Cause.PASSED, Cause.DONE, Cause.NEEDS_APPROVAL):
        driven.bake()
    elif cause is Cause.HELD:
        driven.tick(HOLD)
    elif cause is Cause.BREACHED:
        driven.tick(BREACH)
    elif cause is Cause.ISSUED_AGAIN:
        driven.senders = (sender(epoch=driven.state.epoch + 4, seen_at=driven.now),)
        driven.tick(PASS)
    else:
        driven.tick(PASS)


@pytest.mark.parametrize(("before", "cause"), list(TRANSITIONS), ids=lambda each: each.name)
def test_every_arrow_can_be_gone_along(before: State, cause: Cause) -> None:
    """The table is no wish list: each row is reached from outside, writes one entry, and ends as it says."""
    driven = Driven()
    if cause is Cause.DONE:
        driven.plan = plan_of(5)
    if cause is Cause.NEEDS_APPROVAL:
        driven.plan = plan_of(5, 25, approval=(25,))
    if before is State.COMPLETED and cause is Cause.REPLANNED:
        driven.plan = plan_of(5)
    driven.at(before)

    bring_about(driven, before, cause)

    entry = driven.entries[-1]
    assert entry.cause == cause.value
    assert entry.before["state"] == before.value
    assert entry.after["state"] == TRANSITIONS[before, cause].value == driven.state.state.value
    assert entry.version == driven.state.version


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("cause", list(SPOKEN), ids=lambda each: each.name)
def test_what_is_not_in_the_table_is_refused_and_changes_nothing(state: State, cause: Cause) -> None:
    """A command without an arrow raises, names state and command, and says what would help."""
    if (state, cause) in TRANSITIONS:
        return
    driven = Driven().at(state)
    before = driven.state
    if cause is Cause.REPLANNED:
        driven.plan = plan_of(5, 30)

    if cause is Cause.ROLL_BACK:
        assert driven.do(SPOKEN[cause]).state is before
        return
    with pytest.raises(TransitionError) as caught:
        driven.do(SPOKEN[cause])

    assert caught.value.state == state.value
    assert str(caught.value).startswith(f"{type(SPOKEN[cause]).__name__} while {state}: ")
    assert driven.state is before


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("standing", [None, PASS, HOLD, BREACH, UNDECIDED], ids=str)
def test_a_tick_never_raises(state: State, standing: object) -> None:
    """Whatever the evidence says, in whatever state: a tick has an answer."""
    driven = Driven().at(state)

    driven.tick(standing)  # type: ignore[arg-type]

    assert driven.state.version >= 0


@pytest.mark.parametrize("state", sorted(GUARDED))
def test_a_breach_rolls_back_from_wherever_something_goes_through(state: State) -> None:
    """Also while paused, held, awaiting approval or completed: the guard stays on."""
    driven = Driven().at(state)
    before = driven.state.epoch

    driven.tick(BREACH)

    assert driven.state.state is State.ROLLING_BACK
    assert driven.state.ceiling == NOBODY
    assert (driven.state.epoch, driven.state.is_shadow) == (before + 1, False)
    assert driven.entries[-1].actor == MACHINE.name
    assert driven.entries[-1].evidence is not None
    assert "success rate" in driven.entries[-1].reason


def test_a_whole_plan_runs_by_itself() -> None:
    """5, 25, 50, 100, then COMPLETED: one stage at a time, each after its bake time and a pass."""
    driven = Driven().start()
    seen = [str(driven.state.ceiling)]

    while driven.state.state is not State.COMPLETED:
        driven.tick(PASS)
        if str(driven.state.ceiling) != seen[-1]:
            seen.append(str(driven.state.ceiling))

    assert seen == ["5", "25", "50", "100"]
    # A new stage's clock begins with the first tick in it, so each takes one tick more than its minute.
    assert driven.now == NOW + 4 * (60 + 15)


@pytest.mark.parametrize("standing", [None, HOLD, UNDECIDED], ids=str)
def test_no_pass_no_advance(standing: object) -> None:
    """However long it lasts: a hold, too few samples or no evidence at all never let a stage begin."""
    driven = Driven().start()

    for _ in range(100):
        driven.tick(standing)  # type: ignore[arg-type]

    assert (driven.state.state, driven.state.ceiling) == (State.HOLD, pct(5))
    assert len(driven.entries) == 2


def test_a_hold_clears_by_itself_and_goes_on_with_the_next_tick() -> None:
    """Nobody has to resume what the guard held; the pass that clears it does not yet raise anything."""
    driven = Driven().start()
    for _ in range(6):
        driven.tick(HOLD)

    driven.tick(PASS)
    cleared = (driven.state.state, driven.state.ceiling)
    driven.tick(PASS)

    assert cleared == (State.RUNNING, pct(5))
    assert driven.state.ceiling == pct(25)


@pytest.mark.parametrize(
    ("standing", "counts"), [(PASS, True), (HOLD, True), (UNDECIDED, False), (None, False)], ids=str
)
def test_bake_time_counts_only_with_evidence(standing: object, counts: bool) -> None:
    """A held stage has evidence, so its time counts; without enough of it none does."""
    driven = Driven().start()
    driven.tick(standing, after=0.0)  # type: ignore[arg-type]

    driven.tick(standing, after=30.0)  # type: ignore[arg-type]

    assert driven.state.progress.baked_seconds == (30.0 if counts else 0.0)


@pytest.mark.parametrize(
    ("standing", "state"), [(PASS, State.HOLD), (HOLD, State.HOLD), (BREACH, State.ROLLING_BACK)], ids=str
)
def test_a_clock_before_the_beginning_of_the_stage_lets_nothing_but_a_rollback_through(
    standing: Standing, state: State
) -> None:
    """It went back: no verdict is of this stage then, and a breach is one all the same."""
    driven = Driven().start()

    driven.tick(standing, after=-1_800.0)

    assert driven.state.state is state
    assert driven.state.progress.baked_seconds == 0.0


def test_a_hold_in_which_something_is_undecided_does_not_bake() -> None:
    """A success rate of 94 % stays known all night; that nothing is delivered in it is no evidence."""
    driven = Driven().start()
    for _ in range(3):
        at = driven.now + 30.0
        silent = Verdict.of(verdict(HOLD, at=at).readings, at=at, rule_version=1, missing=["no delivery"])
        driven.tick(HOLD, after=30.0, verdict=silent)

    assert silent.call is Call.HOLD
    assert silent.kind is VerdictKind.BREACH
    assert driven.state.progress.baked_seconds == 0.0


@pytest.mark.parametrize("standing", [PASS, HOLD], ids=str)
def test_a_quiet_tick_is_not_written_and_no_time_is_lost(standing: Standing) -> None:
    """Bake time alone is written each half-minute, what the guard remembers when it is new."""
    driven = Driven(plan=plan_of(5, 25, bake=3600)).start()
    driven.tick(standing, evidence="a")
    first = driven.state

    quiet = [driven.tick(standing, evidence="a", after=5.0).state for _ in range(5)]
    half = driven.tick(standing, evidence="a", after=5.0).state
    new = driven.tick(standing, evidence="b", after=1.0).state

    assert all(each is first for each in quiet)
    assert (half.version, half.progress.baked_seconds) == (first.version + 1, WRITE_SECONDS)
    assert (new.version, new.progress.baked_seconds) == (first.version + 2, WRITE_SECONDS + 1.0)
    assert new.progress.evidence == "b"


def test_time_that_was_not_written_counts_for_going_on() -> None:
    """The stage ends with the tick at which it has held, whatever was written last."""
    driven = Driven(plan=plan_of(5, 25, bake=20)).start()
    driven.tick()

    ceilings = [driven.tick(after=5.0).state.ceiling for _ in range(4)]

    assert ceilings == [pct(5), pct(5), pct(5), pct(25)]


@pytest.mark.parametrize("standing", [UNDECIDED, None], ids=str)
def test_a_tick_without_evidence_stops_the_clock_until_there_is_some(standing: Standing | None) -> None:
    """Not all ticks are written, so a later one must not count what this one did not see."""
    driven = Driven(plan=plan_of(5, 25, bake=3600)).start()
    driven.tick(HOLD, after=0.0)
    driven.tick(HOLD, after=10.0)

    driven.tick(standing, after=10.0)
    stopped = driven.state
    driven.tick(standing, after=10.0)
    still = driven.state
    driven.tick(HOLD, after=10.0)
    begun = driven.state.progress.baked_seconds
    driven.tick(HOLD, after=30.0)

    assert stopped.progress.ticked_at is None
    assert still is stopped
    assert (begun, driven.state.progress.baked_seconds) == (0.0, 30.0)


def test_time_without_a_runner_does_not_bake() -> None:
    """A runner that was away for a day counts one minute; a clock that was set back counts on from there."""
    driven = Driven(plan=plan_of(5, 25, bake=3600)).start()
    driven.tick(PASS, after=0.0)

    driven.tick(PASS, after=86_400.0)
    away = driven.state.progress.baked_seconds
    driven.tick(PASS, after=-3_600.0)
    set_back = driven.state.progress.baked_seconds
    driven.tick(PASS, after=30.0)

    assert (away, set_back) == (MAX_TICK_SECONDS, MAX_TICK_SECONDS)
    assert driven.state.progress.baked_seconds == MAX_TICK_SECONDS + 30.0


def test_paused_time_does_not_bake() -> None:
    """The clock stops with the pause and begins again with the first tick after it."""
    driven = Driven(plan=plan_of(5, 25, bake=3600)).start()
    driven.tick(PASS)
    driven.tick(PASS, after=30.0)
    driven.do(Pause(by=ANNA))

    driven.tick(PASS, after=600.0)
    driven.do(Resume(by=ANNA))
    driven.tick(PASS, after=30.0)

    assert driven.state.progress.baked_seconds == 30.0


@pytest.mark.parametrize(
    ("judged", "offered", "counts"),
    [
        pytest.param(-5.0, 5.0, False, id="stage-before"),
        pytest.param(1.0, 61.5, False, id="older-than-a-minute"),
        pytest.param(6.0, 5.0, False, id="from-the-future"),
        pytest.param(0.0, 60.0, True, id="of-this-stage"),
    ],
)
def test_a_pass_counts_only_if_it_is_fresh_and_of_this_stage(
    judged: float, offered: float, counts: bool
) -> None:
    """In seconds since the stage began: what was judged before it, a minute ago or later than now holds."""
    driven = Driven().start().bake()
    began = driven.state.stage_entered_at
    assert (driven.state.ceiling, began) == (pct(25), driven.now)
    driven.now = began + offered
    asked = driven.situation(None, verdict=verdict(PASS, at=began + judged))

    ticked = step(driven.state, Tick(), asked).state
    refused = (
        nullcontext() if counts else pytest.raises(TransitionError, match="no fresh verdict on this stage")
    )
    with refused:
        step(driven.state, Advance(by=ANNA, to=pct(50)), asked)

    assert ticked.state is (State.RUNNING if counts else State.HOLD)


def test_approval_is_waited_for_and_raises_nothing_by_itself() -> None:
    """Baked and passing: AWAITING_APPROVAL; approved: the next tick that passes begins the stage."""
    driven = Driven().at(State.AWAITING_APPROVAL)
    waiting = driven.state.ceiling

    driven.tick(PASS)
    driven.do(Approve(by=ANNA))
    approved = driven.state.ceiling
    driven.tick(PASS)

    assert (waiting, approved, driven.state.ceiling) == (pct(5), pct(5), pct(25))
    assert driven.state.approvals[0].by == ANNA.name


def test_approval_given_early_is_not_asked_for_again() -> None:
    """A person may approve the next stage while it bakes."""
    driven = Driven(plan=plan_of(5, 25, approval=(25,))).start()

    driven.do(Approve(by=ANNA))
    driven.bake()

    assert driven.state.ceiling == pct(25)


def test_a_frozen_hour_stops_only_the_way_up() -> None:
    """While frozen it stays at its stage, and rolls back as ever."""
    frozen = plan_of(5, 25, freezes=(FrozenDates(start=int(NOW), end=int(NOW) + 3600),))
    driven = Driven(plan=frozen)
    driven.do(Start(by=ANNA, confirm=True))

    driven.bake(ticks=20)
    held = (driven.state.state, driven.state.ceiling)
    driven.now = NOW + 3600.0
    driven.tick(PASS)
    thawed = driven.state.ceiling
    driven.now = NOW + 10.0
    stopped = step(driven.state, RollBack(by=ANNA), driven.situation())

    assert held == (State.RUNNING, pct(5))
    assert thawed == pct(25)
    assert stopped.state.state is State.ROLLING_BACK


def test_an_edited_plan_goes_no_further_and_is_still_guarded_by_the_pinned_one() -> None:
    """Drift: shown, no increase until replan; a plan that cannot be read is the same."""
    driven = Driven().start()
    driven.plan = plan_of(5, 50, 100)

    driven.bake(ticks=10)
    drifted = driven.state.ceiling
    driven.tick(PASS, plan=None, plan_problem="stages: missing")
    unreadable = driven.state.ceiling
    driven.do(Replan(by=ANNA))
    driven.tick(PASS)

    assert (drifted, unreadable, driven.state.ceiling) == (pct(5), pct(5), pct(50))
    assert driven.tick(BREACH).state.state is State.ROLLING_BACK


def test_rolled_back_is_said_only_when_every_live_sender_has_stopped() -> None:
    """Two of three acknowledge, the third lets its lease run out: only then, and with the numbers."""
    driven = Driven(senders=(sender("a"), sender("b"), sender("c"))).start()
    driven.tick(BREACH)
    epoch, began = driven.state.epoch, driven.now

    driven.now += 0.4
    driven.senders = (
        sender("a", epoch=epoch, seen_at=began + 0.1),
        sender("b", epoch=epoch, seen_at=began + 0.4),
        sender("c", seen_at=began - 2.0),
    )
    driven.tick(after=0.0)
    waiting = driven.state.state
    driven.tick(after=10.0)

    assert waiting is State.ROLLING_BACK
    assert driven.state.state is State.ROLLED_BACK
    assert driven.state.reason.startswith("3 of 3 stopped, slowest 0.4 s, 1 by a lease that ran out; ")
    assert "success rate" in driven.state.reason


@pytest.mark.parametrize("state", sorted(LATCHED))
def test_a_rollback_is_latched(state: State) -> None:
    """No tick, however good the evidence, starts again; a person does."""
    driven = Driven().at(state)

    for _ in range(50):
        driven.tick(PASS)
    latched = (driven.state.state, driven.state.ceiling)
    made = driven.do(Start(by=ANNA))

    assert latched == (State.ROLLED_BACK, NOBODY)
    assert driven.state.ceiling == pct(5)
    assert AskHeld() in made.actions


def test_roll_back_is_idempotent_while_it_runs_and_verifies_anew_afterwards() -> None:
    """A second word while rolling back changes nothing; after ROLLED_BACK every sender is asked again."""
    driven = Driven().at(State.ROLLING_BACK)
    rolling, epoch = driven.state, driven.state.epoch

    again = driven.do(RollBack(by=MACHINE, reason="tripwire"))
    driven.tick()
    driven.do(RollBack(by=ANNA, reason="to be sure"))

    assert again.state is rolling
    assert driven.state.state is State.ROLLING_BACK
    assert driven.state.epoch == epoch + 1


def test_kill_forbids_a_start_until_unkill() -> None:
    """Killed: nothing starts, whoever asks; a second kill changes nothing; unkill asks about what is held."""
    driven = Driven().start()
    driven.do(Kill(by=MACHINE, reason="kill file"))
    killed = driven.state

    assert driven.do(Kill(by=ANNA)).state is killed
    driven.tick()
    with pytest.raises(TransitionError, match="unkill first"):
        driven.do(Start(by=ANNA))
    made = driven.do(Unkill(by=ANNA, reason="fixed"))
    driven.do(Start(by=ANNA))

    assert AskHeld() in made.actions
    assert (driven.state.state, driven.state.killed) == (State.RUNNING, False)


def test_a_store_that_went_back_lets_nothing_go_up_until_a_person_says_so() -> None:
    """Senders know a higher epoch: no increase and no command but rolling back or accepting the store."""
    driven = Driven().start()
    driven.senders = (sender(epoch=9, seen_at=driven.now),)
    before = driven.state

    made = driven.bake(ticks=10).tick(PASS)
    with pytest.raises(TransitionError, match="senders have seen 9"):
        driven.do(Pause(by=ANNA))
    stood = driven.state
    driven.do(AcceptStore(by=ANNA, reason="restored on purpose"))

    assert stood is before
    assert made.actions == ()  # the runner says it, once
    assert driven.state.epoch == 10
    assert driven.state.version > driven.now * 1000
    assert driven.bake().state.ceiling == pct(25)


def test_a_store_that_went_back_still_rolls_back() -> None:
    """By the guard, by a person, and when it went back in the middle of one: under an epoch all will obey."""
    by_guard, by_person, in_flight = Driven().start(), Driven().start(), Driven().at(State.ROLLING_BACK)
    for driven in (by_guard, by_person, in_flight):
        driven.senders = (sender(epoch=9, seen_at=driven.now + 15.0),)

    by_guard.tick(BREACH)
    by_person.do(RollBack(by=ANNA, reason="stop"))
    in_flight.tick(PASS)

    for driven in (by_guard, by_person, in_flight):
        assert (driven.state.state, driven.state.epoch) == (State.ROLLING_BACK, 10)


def test_senders_answer_anew_only_where_they_must_obey_something_new() -> None:
    """A hold, a pause or an approval has no new epoch; a stage, a rate or a shadow has."""
    driven = Driven().start()
    epochs = [driven.state.epoch]

    for command in (Pause(by=ANNA), Resume(by=ANNA)):
        driven.do(command)
        epochs.append(driven.state.epoch)
    driven.tick(HOLD)
    epochs.append(driven.state.epoch)
    driven.tick(PASS)
    driven.bake()
    epochs.append(driven.state.epoch)

    assert epochs == [1, 1, 1, 1, 2]


def test_a_stages_rate_and_shadow_are_in_the_state() -> None:
    """A shadow stage is at 0 % and said to be one; a stage with a cap has it, and its end lifts it."""
    shadow = Stage(percentage=NOBODY, bake_seconds=60, shadow=True)
    capped = Stage(percentage=pct(5), bake_seconds=60, rate_per_second=pct("0.5").value)
    whole = Stage(percentage=pct(100), bake_seconds=0)
    driven = Driven(plan=Plan(flag=FLAG, stages=(shadow, capped, whole)))

    states = [driven.do(Start(by=ANNA)).state]
    while driven.state.ceiling != pct(100):
        states.append(driven.tick(PASS).state)

    obeyed = [(each.epoch, each.ceiling, each.is_shadow, each.rate_per_second) for each in states]
    assert list(dict.fromkeys(obeyed)) == [
        (1, NOBODY, True, None),
        (2, pct(5), False, pct("0.5").value),
        (3, pct(100), False, None),
    ]


def test_an_empty_or_tiny_cohort_is_said_when_its_stage_begins() -> None:
    """5 % of 12 tournaments may be nobody."""
    driven = Driven()

    nobody = driven.do(Start(by=ANNA), next_cohort=0)
    while driven.state.ceiling == pct(5):
        few = driven.tick(PASS, next_cohort=3)
    while driven.state.ceiling == pct(25):
        many = driven.tick(PASS, next_cohort=10)

    assert [each.text for each in nobody.actions if isinstance(each, Tell)][-1].endswith("cohort is empty")
    assert [each.text for each in few.actions if isinstance(each, Tell)][-1].endswith(
        "only 3 in: the cohort is tiny"
    )
    assert [each.what for each in many.actions if isinstance(each, Tell)] == ["RUNNING"]


def test_what_the_guard_remembers_is_kept_and_forgotten_at_a_start() -> None:
    """From tick to tick and stage to stage, also while paused; a new start begins with nothing."""
    driven = Driven().start()
    driven.tick(PASS, evidence="one")
    kept = [driven.state.progress.evidence]
    driven.bake()
    kept.append(driven.state.progress.evidence)
    driven.do(Pause(by=ANNA))
    driven.tick(PASS, evidence="two")
    kept.append(driven.state.progress.evidence)
    version = driven.state.version
    driven.tick(PASS, evidence="two")

    assert kept == ["one", "one", "two"]
    assert driven.state.version == version
    driven.do(RollBack(by=ANNA))
    driven.tick()
    driven.do(Start(by=ANNA))
    assert driven.state.progress.evidence == ""


def test_the_errors_of_commands_are_ours() -> None:
    """Nothing but our own errors comes out of a command that cannot be followed."""
    for state in STATES:
        for command in SPOKEN.values():
            driven = Driven().at(state)
            try:
                driven.do(command, plan=None)
            except RolloutError as error:
                assert str(error)


def test_the_default_plan_is_the_contracts() -> None:
    """5 % 24 h, 25 % 48 h, 50 % 48 h, 100 %."""
    told = [(str(stage.percentage), stage.bake_seconds) for stage in Plan(flag=FLAG).stages]

    assert told == [("5", 86_400), ("25", 172_800), ("50", 172_800), ("100", 0)]
    assert PLAN.highest == pct(100)
