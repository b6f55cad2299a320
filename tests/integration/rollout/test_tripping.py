"""Personal data in an event: the host stops at once, the rollout once the transaction has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.signals import request_finished
from django.db import OperationalError, transaction

from rollout.actor import Actor
from rollout.commands import RollBack, Start
from rollout.counters import Counts
from rollout.django import dispatch, driving, tripping, wiring
from rollout.django.evidence import EvidenceTable
from rollout.django.tally import tally
from rollout.percentage import NOBODY
from rollout.rollout_state import RolloutState, State
from tests.integration.outbox.conftest import World
from webhooks_core.django import working

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("rollout_project")]
ANNA = Actor(name="user:17", authenticated=True)
ADDRESS = "anna@example.com"


@pytest.fixture(autouse=True)
def _started(rollout_project: None) -> None:
    driving.runner().obey(Start(by=ANNA, reason="go"))


def send(world: World, *, note: object = None, **more: object) -> Any:
    """Record one event; with *note* in the field that is declared free text."""
    data = {"tournament_id": 1, **({} if note is None else {"note": note}), **more}
    return dispatch("payment_verified", data, tournament_id=1, using=world.alias)


def state() -> RolloutState:
    """Where the rollout stands."""
    return driving.store().load(driving.driving().flag)


def evidence() -> Counts:
    """Everything that was counted, what is still in memory included."""
    tally().flush_soon(at_once=True)
    table = driving.evidence()
    assert table is not None
    return Counts.sum(row.counts for row in table.read(since_minute=0, until_minute=2**40))


def test_a_hit_blocks_the_delivery_and_rolls_back_at_once(world: World, tmp_path: Path) -> None:
    """Outside a transaction: host, ceiling, journal and evidence, with the place and never the value."""
    sent = send(world, recipient_count=ADDRESS)

    assert not sent
    assert wiring.built().switches.state().killed
    assert (state().state, state().ceiling) == (State.ROLLING_BACK, NOBODY)
    entry = driving.store().journal(driving.driving().flag)[-1]
    assert (entry.actor, entry.reason) == (
        "tripwire",
        "personal data found: address at data.recipient_count in payment_verified",
    )
    assert evidence().get("pii") == 1
    written = (tmp_path / "kill.trip").read_text() + entry.dumps()
    assert "anna" not in written and "example.com" not in written


def test_inside_a_transaction_the_host_stops_at_once_and_the_rollout_after_the_commit(world: World) -> None:
    """Nothing of ours is written inside: the journal row is there after the commit."""
    with transaction.atomic(using=world.alias):
        send(world, recipient_count=ADDRESS)
        inside = (wiring.built().switches.state().killed, state().state)

    assert inside == (True, State.RUNNING)
    assert state().state is State.ROLLING_BACK


def test_a_transaction_that_is_rolled_back_takes_nothing_of_it_along(world: World) -> None:
    """The file stays; ceiling and journal follow when the request ends."""
    with pytest.raises(RuntimeError, match="caller"), transaction.atomic(using=world.alias):
        send(world, recipient_count=ADDRESS)
        raise RuntimeError("caller")
    before = state().state

    request_finished.send(sender=None)

    assert (before, state().state) == (State.RUNNING, State.ROLLING_BACK)


def test_a_transaction_committed_by_hand_is_left_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller's rollback would take ceiling and journal along, and the row would be locked until then."""
    transaction.set_autocommit(False, using=world.alias)
    caplog.clear()
    try:
        send(world, recipient_count=ADDRESS)
        inside = (wiring.built().switches.state().killed, state().state, "Rollout journal" in caplog.text)
        transaction.rollback(using=world.alias)
    finally:
        transaction.set_autocommit(True, using=world.alias)
    after = state().state

    request_finished.send(sender=None)

    assert inside == (True, State.RUNNING, False)
    assert (after, state().state) == (State.RUNNING, State.ROLLING_BACK)


def test_what_cannot_be_built_breaks_no_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken OpenFeature SDK, say: the end of a request is no place for its traceback."""

    def broken() -> None:
        raise ModuleNotFoundError("openfeature.api")

    with monkeypatch.context() as patched:
        patched.setattr(wiring, "built", broken)
        told = request_finished.send(sender=None)

    assert tripping.report in [receiver for receiver, _ in told]


def test_a_worker_of_the_host_reports_what_another_process_found(world: World) -> None:
    """Whoever sees the file first: a process that died in between has left it."""
    queued = send(world)
    with pytest.raises(RuntimeError, match="died"), transaction.atomic(using=world.alias):
        send(world, recipient_count=ADDRESS)
        raise RuntimeError("died")

    working.shell().run(until_idle=True)

    row = world.outbox.find(queued.webhook_ids[0])
    assert row is not None
    assert (row.state.value, world.receiver.requests) == ("held", 0)
    assert state().state in (State.ROLLING_BACK, State.ROLLED_BACK)


def test_a_hit_in_declared_free_text_blocks_and_holds_only(world: World, tmp_path: Path) -> None:
    """Which users can write: nobody outside may hold a rollback button."""
    blocked = send(world, note=f"write to {ADDRESS}")
    unknown = send(world, colour="red")
    sent = send(world)

    assert (bool(blocked), bool(unknown), bool(sent)) == (False, False, True)
    assert not (tmp_path / "kill.trip").exists()
    assert state().state is State.RUNNING
    assert (evidence().get("pii"), evidence().get("pii_free_text")) == (0, 2)


def test_two_hits_are_one_rollback(world: World) -> None:
    """And a rollout that is latched already gets no second entry."""
    send(world, recipient_count=ADDRESS)
    send(world, recipient_count=ADDRESS)
    request_finished.send(sender=None)

    causes = [entry.cause for entry in driving.store().journal(driving.driving().flag)]
    assert len(causes) == 2


def test_a_find_that_was_cleared_does_not_roll_back_what_is_started_after_it(world: World) -> None:
    """Another process of the host has told of it first, and this one writes its counts only later."""
    runner, tripwire = driving.runner(), wiring.built().switches.tripwire
    with pytest.raises(RuntimeError, match="caller"), transaction.atomic(using=world.alias):
        send(world, recipient_count=ADDRESS)
        raise RuntimeError("caller")
    runner.obey(RollBack(by=tripping.TRIPWIRE, reason="personal data found: told by a worker"))
    request_finished.send(sender=None)
    runner.tick()
    tripwire.clear()

    runner.obey(Start(by=ANNA, reason="the call sends an id now"))
    late = evidence()
    runner.tick()

    assert late.get("pii") == 0
    assert state().state in (State.RUNNING, State.HOLD)


def test_a_find_that_cannot_be_counted_is_rolled_back_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The count is a trace of the rollback; the log says that it is missing, and of the rollback no lie."""

    def gone(*_arguments: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(EvidenceTable, "add", gone)

    send(world, recipient_count=ADDRESS)

    assert state().state is State.ROLLING_BACK
    assert "the find is not counted: error=OperationalError" in caplog.text
    assert "could not be rolled back" not in caplog.text


def test_without_a_place_for_the_file_the_process_stops_all_the_same(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that cannot be written to: latched, rolled back, and said."""
    (tmp_path / "kill.trip").symlink_to(tmp_path / "no" / "folder")

    send(world, recipient_count=ADDRESS)
    later = send(world)

    assert not later
    assert state().state is State.ROLLING_BACK
    assert "the trip file cannot be written" in caplog.text
