"""A person's words: what is refused, and what it takes to be let through."""

from __future__ import annotations

import pytest

from rollout.actor import Actor
from rollout.commands import (
    AcceptStore,
    Advance,
    Approve,
    ChangeFlag,
    ClearTrip,
    Kill,
    Replan,
    Resume,
    RollBack,
    SetPercentage,
    Start,
    Unkill,
)
from rollout.errors import ConfigError, TransitionError
from rollout.freeze import FrozenDates
from rollout.percentage import NOBODY
from rollout.rollout_state import State
from rollout.situation import ObstacleKind, following_stage, obstacles
from tests.unit.rollout.rollout_world import ANNA, FLAG, HOLD, NOW, PASS, Driven, pct, plan_of

FROZEN = (FrozenDates(start=int(NOW), end=int(NOW) + 3_600),)


def to(value: int, **options: object) -> SetPercentage:
    """A word to set the percentage."""
    return SetPercentage(by=ANNA, percentage=pct(value), **options)  # type: ignore[arg-type]


def test_less_needs_nothing_and_is_instant() -> None:
    """No reason, no confirmation, in a freeze and with an edited plan."""
    driven = Driven().start()
    driven.plan = plan_of(1, 100, freezes=FROZEN)

    driven.do(to(2))

    assert (driven.state.state, driven.state.ceiling) == (State.PAUSED, pct(2))


def test_more_needs_a_reason_and_beyond_the_next_stage_a_confirmation() -> None:
    """Each refusal says what is missing; the plan's end is the end."""
    driven = Driven(plan=plan_of(5, 25, 50)).start()

    with pytest.raises(ConfigError, match="SetPercentage needs one"):
        driven.do(to(20))
    with pytest.raises(TransitionError, match="beyond the next stage, 25 %; confirm it"):
        driven.do(to(30, reason="demo"))
    with pytest.raises(TransitionError, match="the plan ends at 50 %; replan first"):
        driven.do(to(60, reason="demo", confirm=True))
    driven.do(to(20, reason="demo"))
    driven.do(to(50, reason="demo", confirm=True))

    assert (driven.state.state, driven.state.ceiling) == (State.PAUSED, pct(50))


def test_between_two_stages_the_nearer_one_is_next() -> None:
    """10 % lies in the stage of 25 %, which is where it goes on to, one stage at a time."""
    driven = Driven().start()
    driven.do(to(10, reason="a little more"))

    driven.do(Resume(by=ANNA))
    stage = driven.state.stage
    driven.bake()

    assert stage == 1
    assert driven.state.ceiling == pct(25)


def test_in_a_freeze_more_needs_a_confirmation() -> None:
    """To start, to set and to advance."""
    driven = Driven(plan=plan_of(5, 25, freezes=FROZEN))

    with pytest.raises(TransitionError, match=r"frozen until 2025-11-13 03:13 UTC; confirm"):
        driven.do(Start(by=ANNA))
    driven.do(Start(by=ANNA, confirm=True))
    with pytest.raises(TransitionError, match="confirm it"):
        driven.do(to(20, reason="demo"))
    with pytest.raises(TransitionError, match="force it, with a reason"):
        driven.do(Advance(by=ANNA))
    driven.do(to(20, reason="demo", confirm=True))
    driven.do(Advance(by=ANNA, force=True, reason="demo"))

    assert driven.state.ceiling == pct(25)


def test_advance_skips_the_bake_time_and_counts_as_approval() -> None:
    """With a verdict that passes it needs no reason; without one it needs force and a reason."""
    driven = Driven(plan=plan_of(5, 25, 50, bake=3_600, approval=(25,))).start()

    with pytest.raises(TransitionError, match=r"the guard does not pass .*success rate is hold"):
        driven.do(Advance(by=ANNA), HOLD)
    with pytest.raises(TransitionError, match="no fresh verdict on this stage"):
        driven.do(Advance(by=ANNA), None)
    driven.do(Advance(by=ANNA), PASS)
    with pytest.raises(ConfigError, match="Advance needs one"):
        driven.do(Advance(by=ANNA, force=True), HOLD)
    driven.do(Advance(by=ANNA, force=True, reason="known"), HOLD)

    assert driven.state.ceiling == pct(50)
    with pytest.raises(TransitionError, match="no further stage"):
        driven.do(Advance(by=ANNA))


def test_advance_goes_where_the_person_thought_it_would() -> None:
    """A command that is given twice does not go two stages."""
    driven = Driven().start()
    word = Advance(by=ANNA, to=pct(25))

    driven.do(word)
    with pytest.raises(TransitionError, match="the next stage is 50 %, not 25 %"):
        driven.do(word)

    assert driven.state.ceiling == pct(25)


def test_approval_is_for_the_next_stage_of_the_pinned_plan() -> None:
    """Not twice, not where none is needed, not for a plan that was edited; a replan forgets it."""
    driven = Driven(plan=plan_of(5, 25, 50, approval=(25,))).start()
    pinned = driven.plan

    driven.plan = plan_of(5, 30, approval=(30,))
    with pytest.raises(TransitionError, match="the plan was edited"):
        driven.do(Approve(by=ANNA))
    driven.plan = pinned
    driven.do(Approve(by=ANNA))
    with pytest.raises(TransitionError, match="25 % needs no approval, or has it already"):
        driven.do(Approve(by=ANNA))
    driven.plan = plan_of(5, 25, 60, approval=(25,))
    driven.do(Replan(by=ANNA))

    assert driven.state.approvals == ()


def test_a_replan_keeps_the_stage_and_never_raises() -> None:
    """The same percentage goes on baking; a plan that ends lower comes down at once."""
    driven = Driven(plan=plan_of(5, 50)).start()
    driven.tick()
    driven.tick(after=30.0)
    driven.plan = plan_of(5, 25)

    driven.do(Replan(by=ANNA))
    kept = driven.state.progress.baked_seconds
    with pytest.raises(TransitionError, match="pinned already"):
        driven.do(Replan(by=ANNA))
    driven.plan = plan_of(2)
    driven.do(Replan(by=ANNA))

    assert kept == 30.0
    assert driven.state.ceiling == pct(2)


def test_a_completed_rollout_goes_on_with_a_longer_plan() -> None:
    """Replan: RUNNING at its stage; the next one begins when the guard passes."""
    driven = Driven().at(State.COMPLETED)
    driven.plan = plan_of(5, 25)

    driven.do(Replan(by=ANNA))
    driven.bake()

    assert driven.state.ceiling == pct(25)


@pytest.mark.parametrize("seen", [99, 0], ids=["seen-to-go-back", "nobody-has-told"])
def test_a_store_is_accepted_with_a_reason_beyond_all_that_was_seen(seen: int) -> None:
    """It is no way around the latch; who waits for a version that nobody told of goes on, too."""
    driven = Driven().at(State.ROLLED_BACK)
    driven.seen_version = seen

    with pytest.raises(ConfigError, match="AcceptStore needs one"):
        driven.do(AcceptStore(by=ANNA))
    driven.do(AcceptStore(by=ANNA, reason="restored"))

    assert (driven.state.state, driven.state.ceiling) == (State.ROLLED_BACK, NOBODY)
    assert driven.state.version > 1_000_000


def test_clearing_a_trip_needs_a_reason_and_lets_nothing_through() -> None:
    """It is a row in the journal; the latch stays until a start."""
    driven = Driven().at(State.ROLLED_BACK)
    epoch = driven.state.epoch

    with pytest.raises(ConfigError, match="ClearTrip needs one"):
        driven.do(ClearTrip(by=ANNA))
    driven.do(ClearTrip(by=ANNA, reason="the call is corrected"))

    assert (driven.state.state, driven.state.ceiling, driven.state.epoch) == (
        State.ROLLED_BACK,
        NOBODY,
        epoch,
    )
    assert driven.entries[-1].reason == "the call is corrected"


def test_a_change_of_the_flag_is_a_row_and_raises_no_ceiling() -> None:
    """Whatever the state, and with the word of what was changed."""
    driven = Driven().at(State.RUNNING)
    before = driven.state

    with pytest.raises(ConfigError, match="ChangeFlag needs one"):
        driven.do(ChangeFlag(by=ANNA))
    driven.do(ChangeFlag(by=ANNA, reason="the flag's own percentage, 5 % -> 100 %"))

    assert (driven.state.state, driven.state.ceiling, driven.state.epoch) == (
        State.RUNNING,
        before.ceiling,
        before.epoch,
    )
    assert driven.entries[-1].reason == "the flag's own percentage, 5 % -> 100 %"


@pytest.mark.parametrize("remark", [ClearTrip, ChangeFlag])
def test_a_remark_leaves_why_the_rollout_stands_where_it_stands(remark: type[ClearTrip | ChangeFlag]) -> None:
    """The journal has the remark; the state, and what ROLLED_BACK will say, the reason of the rollback."""
    ben, driven = Actor(name="user:18", authenticated=True), Driven().at(State.RUNNING)
    driven.do(RollBack(by=ANNA, reason="5xx everywhere"))

    made = driven.do(remark(by=ben, reason="something else"))
    driven.tick()

    assert (driven.entries[-2].actor, driven.entries[-2].reason) == (ben.name, "something else")
    assert any("by user:18: something else" in str(action) for action in made.actions)
    assert driven.state.state is State.ROLLED_BACK
    assert driven.state.reason.endswith("5xx everywhere")


def test_unkill_needs_something_to_put_back_and_a_reason() -> None:
    """After a plain rollback there is nothing to unkill."""
    driven = Driven().at(State.ROLLED_BACK)

    with pytest.raises(TransitionError, match="the kill switch is not pulled"):
        driven.do(Unkill(by=ANNA, reason="x"))
    driven.do(Kill(by=ANNA))
    with pytest.raises(ConfigError, match="Unkill needs one"):
        driven.do(Unkill(by=ANNA))

    assert driven.state.killed


def test_without_a_plan_the_error_says_so() -> None:
    """There is none for the flag."""
    with pytest.raises(ConfigError, match=f"plan: there is none for {FLAG}"):
        Driven().do(Start(by=ANNA), plan=None)


def test_every_obstacle_is_named_at_once() -> None:
    """Bake time, verdict, store, drift, freeze and approval: nobody has to guess."""
    driven = Driven(plan=plan_of(5, 25, approval=(25,))).start()
    driven.plan = plan_of(5, 30, freezes=FROZEN)
    driven.seen_version = 9

    found = obstacles(driven.state, driven.situation(HOLD))

    assert [each.kind for each in found] == list(ObstacleKind)
    assert [each.text for each in found] == [
        "held 0 s of 1 min 0 s",
        "hold: success rate: success rate is hold",
        "store went back: version 1, seen 9",
        "the plan was edited after it was pinned: replan, or undo the edit",
        "frozen until 2025-11-13 03:13 UTC",
        "25 % waits for a person's approval",
    ]


def test_where_nothing_is_under_way_there_is_no_next_stage() -> None:
    """Not before the start, not after a rollback."""
    driven = Driven()

    assert following_stage(driven.state) is None
    assert obstacles(driven.state, driven.situation())[0].text == "no stage is under way"


def test_a_verdict_that_is_missing_says_why() -> None:
    """What kept the evidence from being read, or that there is none."""
    driven = Driven(plan=plan_of(5)).start()

    told = obstacles(driven.state, driven.situation(None, evidence_problem="the database is away"))
    silent = obstacles(driven.state, driven.situation(None))
    unread = driven.situation(None, plan=None).drift(driven.state)

    assert told[1].text == "the database is away"
    assert silent[1].text == "no fresh verdict on this stage"
    assert unread == "the plan cannot be read: there is none"
