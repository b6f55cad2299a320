"""A rollout in one process: events, a worker, evidence, the runner; on each database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rollout.actor import Actor
from rollout.commands import Kill, Start
from rollout.counters import Counts
from rollout.django import dispatch, driving
from rollout.percentage import NOBODY, Percentage
from rollout.rollout_state import State
from rollout.sources.kill import KillFile
from rollout.sources.trip import Trip, Tripwire
from tests.integration.outbox.conftest import World
from webhooks_core.django import working

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("rollout_project")]
ANNA = Actor(name="user:17", authenticated=True)


def send(world: World, *, unit: int = 1) -> Any:
    """Record one event."""
    return dispatch("payment_verified", {"tournament_id": unit}, tournament_id=unit, using=world.alias)


def work() -> None:
    """Send what is due."""
    working.shell().run(until_idle=True)


def evidence() -> Counts:
    """Everything that was counted."""
    table = driving.evidence()
    assert table is not None
    return Counts.sum(row.counts for row in table.read(since_minute=0, until_minute=2**40))


def test_nobody_is_let_in_before_the_plan_is_started(world: World) -> None:
    """The percentage in the settings says 100; the plan has not begun."""
    answer = send(world)

    assert not answer
    assert answer.decision.detail.startswith("ceiling")


def test_a_started_plan_lets_units_in_and_settles_become_evidence(world: World) -> None:
    """One transaction: delivered, and counted as delivered; the sender has told the epoch."""
    driving.runner().obey(Start(by=ANNA, reason="go"))

    sent = [send(world, unit=unit) for unit in range(5)]
    work()

    assert all(sent)
    assert sum(world.receiver.effects.values()) == 5
    counts = evidence()
    assert (counts.get("ok"), counts.ended, counts.get("attempts")) == (5, 5, 5)
    state = driving.store().load(driving.driving().flag)
    (sender,) = driving.store().senders(state.flag)
    assert (state.state, state.ceiling) == (State.RUNNING, Percentage.parse(100))
    assert sender.epoch == state.epoch


def test_a_kill_holds_what_is_queued_and_is_acknowledged(world: World) -> None:
    """Ceiling 0 for the queued one, nobody new, and ROLLED_BACK once the worker has said so."""
    runner = driving.runner()
    runner.obey(Start(by=ANNA, reason="go"))
    queued = send(world)
    runner.obey(Kill(by=ANNA, reason="drill"))

    late = send(world)
    work()
    runner.tick()

    row = world.outbox.find(queued.webhook_ids[0])
    assert row is not None
    assert (row.state.value, not late, world.receiver.requests) == ("held", True, 0)
    state = driving.store().load(driving.driving().flag)
    assert (state.state, state.ceiling, state.killed) == (State.ROLLED_BACK, NOBODY, True)
    assert "1 of 1 stopped" in state.reason


def test_a_worker_tells_at_once_that_a_file_stops_its_host_and_that_it_is_gone(
    world: World, tmp_path: Path
) -> None:
    """Kill or trip, by their paths: `status` on another host shows it."""
    driving.runner().obey(Start(by=ANNA, reason="go"))
    kill, said = KillFile(str(tmp_path / "kill")), []
    found = Trip(at=0.0, flag="f", event="e", kind="address", place="data.note", process="web:1")

    for change in (kill.pull, kill.release, lambda: Tripwire(kill).trip(found)):
        change()
        work()
        (sender,) = driving.store().senders(driving.driving().flag)
        said.append(sender.stopped_by)

    assert said[0].endswith("kill' is there") and said[1] == ""
    assert said[2].startswith("personal data was found: ") and said[2].endswith("kill.trip' is there")


def test_a_state_that_cannot_be_read_makes_a_sender_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, nothing is held: it goes on by itself once the state is read again."""
    runner = driving.runner()
    runner.obey(Start(by=ANNA, reason="go"))
    queued = send(world)
    from rollout.django.polling import DatabasePoll

    monkeypatch.setattr(DatabasePoll, "is_confirmed", lambda _self: False)
    work()
    waiting = world.outbox.find(queued.webhook_ids[0])

    assert waiting is not None
    assert (waiting.state.value, waiting.reason) == ("pending", "flag state not confirmed")
    assert world.receiver.requests == 0
