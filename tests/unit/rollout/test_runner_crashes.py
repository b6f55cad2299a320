"""A crash of the runner: at every arrow of the controller's table, and along whole rollouts."""

from __future__ import annotations

import pytest

from rollout.commands import Advance, Approve, Command, Pause, Resume, RollBack, Start
from rollout.controller import TRANSITIONS
from rollout.errors import TransitionError
from rollout.journal import replay, verify
from rollout.runner import Runner
from rollout.verdict import Standing
from tests.unit.rollout.rollout_world import ANNA, BREACH, FLAG, HOLD, PASS, pct, plan_of
from tests.unit.rollout.runner_arrows import ARROWS, Arrow, Play, check_deaths
from tests.unit.rollout.runner_world import Crash, DyingStore, World

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("arrow", ARROWS, ids=str)
def test_a_crash_on_any_arrow_ends_where_the_arrow_leads(arrow: Arrow) -> None:
    """By tick, by a person's word and by the kill file: before and after each call that the runner makes."""
    deaths = check_deaths(arrow)

    assert deaths >= 2 * len(("load", "now", "senders", "swap", "hear", "hear"))


def test_no_arrow_of_the_table_is_left_out() -> None:
    """By what the journal says was gone along, not by what a test meant to."""
    gone = {played for arrow in ARROWS for played in Play(arrow).run().gone}

    assert gone == {(before.value, cause.value) for before, cause in TRANSITIONS}


# The ways that lead along the rows of the controller's table, as (standing, seconds, command) triples.
SCRIPTS: dict[str, list[tuple[Standing | None, float, Command | None]]] = {
    "to the end": [(PASS, 15.0, None)] * 10,
    "hold and clear": [(HOLD, 15.0, None), (None, 15.0, None), (PASS, 15.0, None), (PASS, 15.0, None)],
    "rolled back by the guard": [(PASS, 15.0, None), (BREACH, 15.0, None), *[(PASS, 15.0, None)] * 2],
    "rolled back by hand and begun again": [
        (PASS, 15.0, RollBack(by=ANNA, reason="5xx")),
        (PASS, 15.0, None),
        (PASS, 15.0, Start(by=ANNA)),
        (PASS, 15.0, None),
    ],
    "approved": [*[(PASS, 15.0, None)] * 3, (PASS, 0.0, Approve(by=ANNA)), (PASS, 15.0, None)],
    "paused, resumed, forced": [
        (PASS, 15.0, Pause(by=ANNA)),
        (PASS, 15.0, Resume(by=ANNA)),
        (PASS, 15.0, Advance(by=ANNA, force=True, reason="demo", to=pct(25))),
        (PASS, 15.0, None),
    ],
}


def played(name: str, *, dies_at: int = -1, after: bool = False) -> tuple[World, int]:
    """Play a script; the process that makes the *dies_at*-th call of the store dies, and another goes on."""
    world = World(plan_of(5, 25, 100, bake=20, approval=(25,) if name == "approved" else ()))
    store = DyingStore(world.store)
    store.dies_at, store.after = dies_at, after
    runner = world.runner(store)
    runner = surviving(world, store, runner, Start(by=ANNA))
    for standing, seconds, command in SCRIPTS[name]:
        world.eyes.standing = standing
        world.clock.advance(seconds)
        if command is not None:
            runner = surviving(world, store, runner, command)
        runner = surviving(world, store, runner, None)
    return world, store.calls


def surviving(world: World, store: DyingStore, runner: Runner, command: Command | None) -> Runner:
    """One command or tick; where the process dies, its lease runs out and the next does the same."""
    try:
        act(runner, command)
    except Crash:
        runner = world.runner(store)
        expire(world)
        try:
            act(runner, command)
        except TransitionError:
            assert command is not None, "it had been written before the crash"
    return runner


def act(runner: Runner, command: Command | None) -> None:
    """Tick, or give a command."""
    if command is None:
        runner.tick()
    else:
        runner.obey(command)  # type: ignore[arg-type]


def expire(world: World) -> None:
    """Let the dead runner's lease be over without letting time pass, so that runs can be compared."""
    world.store._fences.clear()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_crash_at_any_call_ends_where_the_undisturbed_run_ends(name: str) -> None:
    """Before and after each call of the store: the next process goes on, with a whole journal."""
    whole, calls = played(name)

    for dies_at in range(1, calls + 1):
        for after in (False, True):
            world, _ = played(name, dies_at=dies_at, after=after)
            entries = world.store.journal(FLAG)

            assert (world.state.state, world.state.ceiling) == (whole.state.state, whole.state.ceiling)
            assert verify(entries, head=world.state.head) == world.state.head
            assert replay(FLAG, entries).without_progress() == world.state.without_progress()
    assert calls > 20
