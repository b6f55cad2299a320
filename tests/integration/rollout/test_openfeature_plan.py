"""A plan over a flag that another OpenFeature provider owns, and which is on for everybody there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from openfeature import api
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from rollout.actor import MACHINE
from rollout.bucketing import position
from rollout.django import dispatch, driving, record_outcome
from rollout.django.store import DjangoRolloutStore
from rollout.percentage import NOBODY
from rollout.rollout_state import Cause, State
from tests.integration.django.project import FLAG
from tests.integration.openfeature.conftest import _no_openfeature_left_behind
from tests.integration.outbox.conftest import World
from tests.integration.rollout.commands import run, run_json
from tests.integration.rollout.conftest import settings_of
from tests.integration.rollout.staged import state
from webhooks_core.django import working
from webhooks_core.testing.captured import real_delivery

__all__ = ["_no_openfeature_left_behind"]
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.usefixtures("theirs")]
DOMAIN = "elsewhere"
UNITS = range(200)
BAKE_SECONDS = 30
PLAN = {
    "stages": [{"percentage": each, "bake": BAKE_SECONDS} for each in ("5", "25", "100")],
    "criteria": {"leave_out": ["latency", "dispatch_time", "retried", "client_errors", "server_errors"]},
}


def says(value: bool) -> None:
    """Have the other side say *value* to everybody."""
    answer = InMemoryFlag("on" if value else "off", {"on": True, "off": False})
    api.set_provider_and_wait(InMemoryProvider({"theirs": answer}), DOMAIN)


@pytest.fixture
def theirs(world: World, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A project whose flag the other side owns; deliveries leave for real."""
    values = settings_of(world, tmp_path / "kill")
    values["ROLLOUT"] |= {
        "SOURCE": "openfeature",
        "OPENFEATURE": {"DOMAIN": DOMAIN, "FLAGS": {FLAG: "theirs"}, "TIMEOUT": 5},
        "PLAN": PLAN,
        "REFRESH_SECONDS": 0,
    }
    del values["ROLLOUT"]["FLAGS"]
    says(True)
    with override_settings(**values), real_delivery():
        yield values


def below(percent: int) -> set[int]:
    """The units that a ceiling lets in, by the contract's own arithmetic (§2)."""
    return {unit for unit in UNITS if position(FLAG, str(unit)) < percent * 2**64 // 100}


def let_in(world: World) -> dict[int, str]:
    """Record an event of each unit; those that are on their way, with their ids."""
    sent = {
        unit: dispatch("payment_verified", {"tournament_id": unit}, tournament_id=unit, using=world.alias)
        for unit in UNITS
    }
    return {unit: answer.webhook_ids[0] for unit, answer in sent.items() if answer}


def work() -> None:
    """Send what is due."""
    working.shell().run(until_idle=True)


def test_nobody_is_in_before_the_start(world: World) -> None:
    """Although the other side says that everybody is."""
    assert let_in(world) == {}


def test_each_stage_lets_in_its_share_of_those_for_whom_the_flag_is_on(world: World) -> None:
    """5 % and then 25 %, and nobody who was in goes out; all that were let in arrive."""
    code, _ = run("start", "--reason", "go")
    first = let_in(world)
    work()
    advanced, _ = run("advance", "--force", "--reason", "it looks well")
    second = let_in(world)
    work()

    assert (code, advanced) == (0, 0)
    assert (set(first), set(second)) == (below(5), below(25))
    assert 0 < len(first) < len(second) < len(UNITS)
    assert set(world.receiver.effects) == {*first.values(), *second.values()}


def test_the_other_side_may_say_no_and_the_plan_cannot_say_yes_for_it(world: World) -> None:
    """Off wins: at 100 % of the plan nobody is in for whom the flag is off."""
    run("start", "--reason", "go")
    run("set", "100", "--yes", "--reason", "all of it")
    everybody = let_in(world)
    says(False)
    nobody = let_in(world)

    assert (set(everybody), nobody) == (set(UNITS), {})


def test_a_kill_lets_nobody_in_and_holds_what_is_queued(world: World) -> None:
    """The provider is not asked for that, and cannot undo it."""
    run("start", "--reason", "go")
    queued = let_in(world)
    code, said = run_json("kill", "--reason", "drill")
    after = let_in(world)
    work()

    assert (code, said["database"]) == (0, True)
    assert (after, world.states(), world.receiver.requests) == ({}, {"held"}, 0)
    assert len(queued) == len(below(5))
    assert (state().killed, state().ceiling) == (True, NOBODY)


def test_a_rollback_lets_nobody_in_until_a_new_start(world: World) -> None:
    """The flag is on for everybody over there all the while."""
    run("start", "--reason", "go")
    before = let_in(world)
    work()
    run("rollback", "--reason", "their numbers look odd")
    during = let_in(world)
    run("start", "--reason", "again")
    again = let_in(world)

    assert state().state is State.RUNNING
    assert (set(before), during, set(again)) == (below(5), {}, below(5))
    assert len(world.receiver.effects) == len(before)


def test_the_guard_goes_on_with_good_evidence_and_rolls_back_on_bad(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself: 5 %, 25 % after the bake time, and nobody, whatever the other side says."""
    run("start", "--reason", "go")
    runner, real, ahead = driving.runner(), DjangoRolloutStore.now, [0.0]
    monkeypatch.setattr(DjangoRolloutStore, "now", lambda store: real(store) + ahead[0])
    for _ in range(60):
        record_outcome("success", latency_seconds=0.1)
    runner.tick()
    ahead[0] = BAKE_SECONDS
    runner.tick()
    more = let_in(world)
    for _ in range(40):
        record_outcome("server_error", attempts=3)
    runner.tick()

    entries = driving.store().journal(driving.driving().flag)
    assert [each.cause for each in entries] == [Cause.START, Cause.PASSED, Cause.BREACHED]
    assert {each.actor for each in entries[1:]} == {MACHINE.name}
    assert (set(more), let_in(world)) == (below(25), {})
    assert (state().state, state().ceiling) == (State.ROLLING_BACK, NOBODY)


def test_who_would_be_in_is_counted_without_the_other_side(world: World, theirs: dict[str, Any]) -> None:
    """By the positions, before the stage begins; `status` and `explain` have nothing to complain of."""
    units = {**theirs["ROLLOUT"], "UNITS": f"{__name__}.units"}
    with override_settings(ROLLOUT=units):
        _, started = run_json("start", "--yes", "--reason", "go")
        _, status = run_json("status")
        _, told = run("explain", str(min(below(5))))
        _, refused = run("explain", str(min(set(UNITS) - below(5))))

    assert started["cohort"] == len(below(5))
    assert (status["state"], status["percentage"], status["bad_settings"]) == ("RUNNING", "5", [])
    assert status["next"]["cohort"] == len(below(25))
    assert "openfeature" in told
    assert "ceiling" in refused


def units() -> list[int]:
    """All units of the project, as a setting names them."""
    return list(UNITS)
