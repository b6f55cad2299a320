"""A kill stops every rollout that an environment keeps in its database: two services, or a renamed flag."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import Start
from rollout.django import driving, wiring
from rollout.django.admin_acts import Form, act
from rollout.django.models import Rollout
from rollout.errors import StoreConflict
from rollout.flags import FlagKey
from rollout.percentage import NOBODY
from rollout.rollout_state import RolloutState, State
from rollout.runner import Runner
from tests.integration.rollout.commands import Person, run, run_json

pytestmark = pytest.mark.network
ANNA = Actor(name="user:17", authenticated=True)
OWN, OTHER = FlagKey("tournament-webhooks"), FlagKey("match-webhooks")


@contextmanager
def other_service(values: dict[str, Any], tmp_path: Path) -> Iterator[None]:
    """The settings of a second service: its own flag and host, the same database and environment."""
    own = {"FLAG": OTHER, "FLAGS": {OTHER: {"percentage": 100}}, "KILL_FILE": str(tmp_path / "other-kill")}
    with override_settings(ROLLOUT={**values["ROLLOUT"], **own}):
        yield


@pytest.fixture
def two(under_way: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Two rollouts under way, and a sender of each service."""
    with other_service(under_way, tmp_path):
        driving.runner().obey(Start(by=ANNA))
    for name in ("web-0", "other-0"):
        driving.store().beat(name, {OWN: 1, OTHER: 1}, lease_seconds=3.0)
    return under_way


def state(flag: FlagKey) -> RolloutState:
    """Where a rollout stands."""
    return driving.store().load(flag)


def test_a_kill_stops_the_other_services_rollout_too_and_names_each(
    two: dict[str, Any], tmp_path: Path
) -> None:
    """Stopping everything is said once; `unkill` is said with the settings of each."""
    code, text = run("kill", "--reason", "garbage", "--no-wait")
    again = run_json("kill", "--reason", "garbage", "--no-wait")
    with other_service(two, tmp_path):
        ceilings = wiring.built().poll.ceilings() if wiring.built().poll else {}

    assert (code, again[0]) == (0, 0)
    assert "tournament-webhooks is ROLLING_BACK: 0 of 2 stopped" in text
    assert "Also told: match-webhooks is ROLLING_BACK: 0 of 2 stopped" in text
    assert "say it with the settings of each service" in text
    assert [(each["flag"], each["epoch"]) for each in again[1]["others"]] == [(OTHER, 2)]
    assert ceilings == {OWN: NOBODY, OTHER: NOBODY}
    assert state(OWN).killed and state(OTHER).killed


def test_a_sender_that_has_not_heard_of_the_other_rollouts_end_was_not_stopped(two: dict[str, Any]) -> None:
    """Before, it was counted by the flag of the command alone, and went on by its own."""
    run("kill", "--reason", "garbage", "--no-wait")
    for name in ("web-0", "other-0"):
        driving.store().beat(name, {OWN: 2}, lease_seconds=3.0)

    code, said = run_json("kill", "--reason", "garbage", "--timeout", "0.1")

    assert (code, said["stopped"], said["others"][0]["stopped"]) == (1, False, False)


def test_unkill_puts_back_the_settings_own_rollout_alone(two: dict[str, Any], tmp_path: Path) -> None:
    """Each service decides when it goes on."""
    run("kill", "--reason", "garbage", "--no-wait")

    code, _ = run("unkill", "--reason", "over")

    assert (code, state(OWN).killed, state(OTHER).killed) == (0, False, True)


def test_a_rollback_is_of_the_settings_own_rollout_alone(two: dict[str, Any]) -> None:
    """It names no switch of the environment."""
    run("rollback", "--reason", "garbage", "--no-wait")

    assert (state(OWN).state, state(OTHER).state) == (State.ROLLING_BACK, State.RUNNING)


@pytest.mark.parametrize("listed", [True, False], ids=["one-fails", "none-is-listed"])
def test_a_rollout_that_could_not_be_stopped_is_a_failure_and_named(
    two: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *, listed: bool
) -> None:
    """1, also without waiting; the one that could be stopped is."""

    def away(*_arguments: object) -> Any:
        raise OperationalError("away")

    if listed:
        real = Runner.obey
        first = [True]

        def obey(self: Runner, command: Any) -> Any:
            return real(self, command) if first and first.pop() else away()

        monkeypatch.setattr(Runner, "obey", obey)
    else:
        monkeypatch.setattr("rollout.django.management.killing.others", away)

    code, text = run("kill", "--reason", "garbage", "--no-wait")

    assert code == 1
    what = "match-webhooks" if listed else "the other rollouts of this environment"
    assert f"NOT STOPPED: {what} (OperationalError)." in text
    assert state(OWN).killed


def test_top_level_stopped_is_of_the_whole_fleet(
    two: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that reads nothing else must not take a failure for done."""

    def away(*_arguments: object) -> Any:
        raise OperationalError("away")

    with monkeypatch.context() as patched:
        patched.setattr("rollout.django.management.killing.others", away)
        run("kill", "--reason", "garbage", "--no-wait")
        for name in ("web-0", "other-0"):
            driving.store().beat(name, {OWN: 2, OTHER: 1}, lease_seconds=3.0)
        failed = run_json("kill", "--reason", "garbage", "--no-wait")
    run("kill", "--reason", "garbage", "--no-wait")
    for name in ("web-0", "other-0"):
        driving.store().beat(name, {OWN: 2, OTHER: 2}, lease_seconds=3.0)
    code, text = run("kill", "--reason", "garbage", "--no-wait")

    assert (failed[0], failed[1]["stopped"], failed[1]["not_reached"]) == (1, False, [])
    assert code == 0
    assert "Also stopped: match-webhooks is ROLLING_BACK: 2 of 2 stopped" in text


def test_the_others_are_stopped_although_the_own_one_cannot_be_told(
    two: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else writes its row again and again; the failure is told as before, and who was stopped."""
    real, own = Runner.obey, [True]

    def obey(self: Runner, command: Any) -> Any:
        if own and own.pop():
            raise StoreConflict("version 1", "version 2")
        return real(self, command)

    monkeypatch.setattr(Runner, "obey", obey)

    code, text = run("kill", "--reason", "garbage", "--no-wait")

    assert code == 4
    assert "THE ROLLOUT IN THE DATABASE WAS NOT STOPPED: StoreConflict" in text
    assert "Also told: match-webhooks is ROLLING_BACK" in text
    assert (state(OWN).killed, state(OTHER).killed) == (False, True)


@pytest.mark.parametrize("fails", [False, True], ids=["all", "own-fails"])
def test_the_admins_kill_stops_the_others_too(
    two: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """Whichever person of the project reaches for it, by whichever door."""
    real, own = Runner.obey, [fails]

    def obey(self: Runner, command: Any) -> Any:
        if own and own.pop():
            raise StoreConflict("version 1", "version 2")
        return real(self, command)

    monkeypatch.setattr(Runner, "obey", obey)
    alias = driving.store().database.alias
    picked = list(Rollout.objects.using(alias).filter(flag=OWN))

    said = act("kill", Person(), form=Form(reason="garbage"), picked=picked)

    assert said.done is not fails
    assert "Also told: match-webhooks is ROLLING_BACK: 0 of 2 stopped" in said.text
    assert ("THE ROLLOUT WAS NOT TOLD: StoreConflict" in said.text) is fails
    assert (state(OWN).killed, state(OTHER).killed) == (not fails, True)
