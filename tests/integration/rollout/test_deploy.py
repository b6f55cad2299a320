"""A deploy in the middle of a stage: new code, another plan, another percentage, one process after the other.

Real senders and a real runner on PostgreSQL. A version is what a process's installed package says of itself;
version B also has a plan that was edited and a percentage of 100 where A has 50. The rollout stands at 25 %.
"""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from rollout.actor import Actor
from rollout.bucketing import position
from rollout.commands import Advance, SetPercentage, Start
from rollout.django import driving, gate, record_outcome
from rollout.percentage import Percentage
from rollout.plan import Plan
from rollout.plan_text import parse_plan, plan_hash
from rollout.rollout_state import Cause, RolloutState, State
from rollout.situation import ObstacleKind, obstacles
from tests.integration.django.project import FLAG
from tests.integration.outbox.conftest import ON_POSTGRES, Process, World
from tests.integration.rollout.commands import run_json
from tests.integration.rollout.conftest import settings_of
from tests.integration.rollout.processes import SILENT, finish, start, until
from webhooks_core.django.outbox import Entry
from webhooks_core.envelope import seal
from webhooks_core.settlement import Delivery

ANNA = Actor(name="user:17", authenticated=True)
LEFT_OUT = ["latency", "dispatch_time", "breaker_openings", "retried", "client_errors", "server_errors"]
STAGE = Percentage.parse(25)
BAKE_SECONDS = 1
pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    ON_POSTGRES,
]


def between(low: int, high: int) -> list[int]:
    """Some units that come in above *low* percent and up to *high*."""
    found = [n for n in range(400) if low * 2**64 <= position(FLAG, str(n)) * 100 < high * 2**64]
    return found[:5]


IN, OUT = between(0, 25), between(25, 50)
"""Out are those whom the percentage of both versions would let in, and a later stage of either plan."""


@dataclass(frozen=True)
class Version:
    """A version of the project: its number, its plan, its percentage."""

    number: str
    stages: tuple[tuple[str, str], ...]
    percentage: int
    folder: Path

    @property
    def plan(self) -> dict[str, Any]:
        """Its plan, as its settings say it."""
        stages = [{"percentage": percentage, "bake": bake} for percentage, bake in self.stages]
        return {"stages": stages, "criteria": {"leave_out": LEFT_OUT}}

    @property
    def parsed(self) -> Plan:
        """The same, as the rollout pins it."""
        return parse_plan(driving.driving().flag, self.plan)

    def install(self) -> None:
        """Have processes that start in its folder find this version of the package installed."""
        about = self.folder / f"rollout_webhooks-{self.number}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: rollout-webhooks\nVersion: {self.number}\n"
        )


@dataclass
class Site:
    """The database with its receiver, the two versions, and who runs."""

    world: World
    kill_file: Path
    a: Version
    b: Version
    running: dict[str, Process] = field(default_factory=dict)
    let_out: set[str] = field(default_factory=set)

    def settings(self, version: Version, alias: str) -> dict[str, Any]:
        """`ROLLOUT` of a version."""
        return {
            "FLAGS": {FLAG: {"percentage": version.percentage}},
            "PLAN": version.plan,
            "DATABASE": alias,
            "KILL_FILE": str(self.kill_file),
            "REFRESH_SECONDS": 0.1,
        }

    def as_version(self, version: Version) -> AbstractContextManager[Any]:
        """Its settings, in this process."""
        values = settings_of(self.world, self.kill_file)
        return override_settings(**{**values, "ROLLOUT": self.settings(version, self.world.alias)})

    def command(self, version: Version, *arguments: str) -> Process:
        """`manage.py …` of a version, in a process of its own."""
        changes = {"ROLLOUT": self.settings(version, "default"), "LOGGING": SILENT}
        return start(self.world, self.kill_file, *arguments, folder=version.folder, **changes)

    def sender(self, version: Version, name: str) -> None:
        """Start a sender, and wait until it has told that it obeys."""
        self.running[name] = self.command(version, "webhooks", "worker", "--name", name)
        until(lambda: f"{name}/{version.number}" in self.senders())

    def runner(self, version: Version, name: str) -> None:
        """Start a runner."""
        self.running[name] = self.command(version, "rollout", "run", "--interval", "0.2", "--lease", "2")

    def end(self, name: str) -> None:
        """Stop one as a deploy does."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        assert finish(process)[0] == 0

    def state(self) -> RolloutState:
        """Where the rollout stands."""
        return driving.store().load(driving.driving().flag)

    def senders(self) -> set[str]:
        """Who is alive and obeys, with version."""
        store, epoch = driving.store(), self.state().epoch
        found = store.senders(driving.driving().flag)
        alive = (each for each in found if each.epoch >= epoch and each.is_alive(now=store.now()))
        return {known(each.name) for each in alive}

    def send(self) -> None:
        """Record an event of each unit past the gate, and wait until the senders have dealt with all."""
        ids = {unit: str(uuid.uuid4()) for unit in (*IN, *OUT)}
        entries = [Entry(delivery=_delivery(unit, webhook_id)) for unit, webhook_id in ids.items()]
        self.world.outbox.add_many(entries)
        until(lambda: all(self._is_dealt_with(each) for each in ids.values()))
        self.let_out |= {ids[unit] for unit in OUT} & set(self.world.receiver.effects)
        assert {ids[unit] for unit in IN} <= set(self.world.receiver.effects)

    def _is_dealt_with(self, webhook_id: str) -> bool:
        row = self.world.outbox.find(webhook_id)
        return row is not None and row.state.value in ("delivered", "held")


def _delivery(unit: int, webhook_id: str) -> Delivery:
    envelope = seal("payment_verified", {"tournament_id": unit}, webhook_id=webhook_id)
    return Delivery(
        webhook_id=webhook_id,
        event=envelope.event,
        body=envelope.body,
        created_at=time.time(),
        unit=str(unit),
    )


def known(name: str) -> str:
    """A sender's name and version, without the random part of its process."""
    worker, _random, version = name.split("/")
    return f"{worker}/{version}"


@pytest.fixture
def site(world: World, tmp_path: Path) -> Iterator[Site]:
    """Version A under way at 25 %, with two senders and a runner."""
    first = Version("1.0.0", (("5", "1h"), ("25", f"{BAKE_SECONDS}s"), ("100", "1h")), 50, tmp_path / "a")
    second = Version("2.0.0", (("5", "1h"), ("30", "1h"), ("60", "1h"), ("100", "1h")), 100, tmp_path / "b")
    for version in (first, second):
        version.install()
    site = Site(world, tmp_path / "kill", first, second)
    with site.as_version(first):
        driving.runner().obey(Start(by=ANNA, reason="go", confirm=True))
        driving.runner().obey(Advance(by=ANNA, reason="it looks well", force=True))
        site.runner(first, "runner a")
        for name in ("a-1", "a-2"):
            site.sender(first, name)
        until(lambda: site.state().state is State.HOLD)  # too little evidence yet
        yield site


def test_a_deploy_moves_nothing_and_the_new_plan_waits_for_a_person(site: Site) -> None:
    """Both versions go by the pinned plan; drift is shown, holds, and ends with `replan`."""
    before, entries = site.state(), _journal()
    site.send()

    site.end("a-1")
    site.sender(site.b, "b-1")
    site.send()
    status = json.loads(finish(site.command(site.b, "rollout", "status", "--json"))[1])
    mixed = site.state()

    names = {known(each["name"]) for each in status["senders"] if each["alive"] and each["obeys"]}
    assert {"a-2/1.0.0", "b-1/2.0.0"} <= names
    assert "edited after it was pinned" in status["plan"]["drift"]
    assert (status["plan"]["pinned"], status["plan"]["written"]) == (
        plan_hash(site.a.parsed),
        plan_hash(site.b.parsed),
    )
    assert (mixed.state, mixed.ceiling, mixed.epoch) == (State.HOLD, STAGE, before.epoch)
    assert (status["percentage"], _journal()) == ("25", entries)

    for name in ("a-2", "runner a"):
        site.end(name)
    site.sender(site.b, "b-2")
    site.runner(site.b, "runner b")
    with site.as_version(site.b):
        for _ in range(60):
            record_outcome("success", latency_seconds=0.1)
        until(lambda: site.state().state is State.RUNNING)
        cleared = _journal()[-1].at
        until(lambda: driving.store().now() - cleared > 3 * BAKE_SECONDS)
        waits_for = _waits_for()
        let_in = [unit for unit in (*IN, *OUT) if gate(unit)]
    site.send()
    drifted = site.state()

    # How long it has held is written now and then; it is longer than the stage asks for.
    assert (let_in, waits_for - {ObstacleKind.BAKE}) == (IN, {ObstacleKind.DRIFT})
    assert (drifted.ceiling, drifted.epoch, drifted.plan) == (STAGE, before.epoch, site.a.parsed)
    assert {each.cause for each in _journal()[len(entries) :]} == {Cause.CLEARED}

    words = ("replan", "--actor", "user:17", "--reason", "smaller steps")
    code, _, err = finish(site.command(site.b, "rollout", *words))
    site.send()
    after, last = site.state(), _journal()[-1]

    assert (code, after.plan) == (0, site.b.parsed), err
    assert (last.cause, last.actor, last.reason) == (Cause.REPLANNED, "user:17", "smaller steps")
    assert (after.ceiling, site.let_out) == (STAGE, set())
    with site.as_version(site.b):
        assert ObstacleKind.DRIFT not in _waits_for()


def test_a_rollback_in_the_middle_of_a_deploy_waits_for_senders_of_both_versions(site: Site) -> None:
    """One of A that hangs is named and waited for; ROLLED_BACK is said once it has stopped, too."""
    site.end("a-1")
    site.sender(site.b, "b-1")
    hanging = site.running["a-2"]
    hanging.send_signal(signal.SIGSTOP)
    with site.as_version(site.b):
        code, said = run_json("rollback", "--reason", "not in a deploy", "--timeout", "1")
    during = site.state().state
    hanging.send_signal(signal.SIGCONT)
    until(lambda: site.state().state is State.ROLLED_BACK)
    rolled_back = site.state()
    until(lambda: site.senders() == {"a-2/1.0.0", "b-1/2.0.0"})

    assert code == 1
    assert "a-2/1.0.0" in map(known, said["not_reached"])
    assert during is State.ROLLING_BACK
    assert rolled_back.ceiling == Percentage.parse(0)
    assert rolled_back.reason.startswith(f"{said['total']} of {said['total']} stopped")
    assert "not in a deploy" in rolled_back.reason
    assert rolled_back.plan == site.a.parsed


def test_a_deploy_that_loses_the_plan_opens_nothing_while_the_database_is_named(
    world: World, tmp_path: Path
) -> None:
    """The row's ceiling is in force, and the percentage of 100 is not, until `DATABASE` is gone, too."""
    values = settings_of(world, tmp_path / "kill")
    with override_settings(**values):
        driving.runner().obey(Start(by=ANNA, reason="go", confirm=True))
        driving.runner().obey(SetPercentage(by=ANNA, reason="slower", percentage=STAGE))
    without_plan = {key: each for key, each in values["ROLLOUT"].items() if key != "PLAN"}
    without_both = {key: each for key, each in without_plan.items() if key != "DATABASE"}

    let_in = []
    for rollout in (values["ROLLOUT"], without_plan, without_both):
        with override_settings(**{**values, "ROLLOUT": rollout}):
            let_in.append([unit for unit in (*IN, *OUT) if gate(unit)])

    assert let_in == [IN, IN, [*IN, *OUT]]


def _journal() -> list[Any]:
    return list(driving.store().journal(driving.driving().flag))


def _waits_for() -> set[ObstacleKind]:
    state, situation = driving.runner().look()
    return {each.kind for each in obstacles(state, situation)} if state.state is State.RUNNING else set()
