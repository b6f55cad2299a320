"""A plan over an application that sends by itself: what it asks and tells, and what nobody sees of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from rollout.actor import MACHINE
from rollout.bucketing import position
from rollout.decision import Reason
from rollout.django import driving, gate, record_outcome, wiring
from rollout.django.own_connection import OwnConnection, Unreadable
from rollout.django.store import DjangoRolloutStore
from rollout.percentage import NOBODY
from rollout.rollout_state import Cause, State
from rollout.verdict import VerdictKind
from tests.integration.django.project import FLAG, project
from tests.integration.rollout.commands import run
from tests.integration.rollout.staged import ONCE, state

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.usefixtures("own_sender")]
BAKE_SECONDS = 30
UNITS = range(400)


@pytest.fixture
def own_sender(alias: str, tmp_path: Path) -> Iterator[None]:
    """No endpoint and no secret of ours, a plan, and no measure that such an application cannot give."""
    stages = [{"percentage": each, "bake": BAKE_SECONDS} for each in ("5", "25", "100")]
    values: dict[str, Any] = project(
        WEBHOOK_ENDPOINT=None,
        WEBHOOK_SECRET=None,
        WEBHOOKS={"DATABASE": alias},
        ROLLOUT={
            "PLAN": {"stages": stages, "criteria": {"leave_out": ["dispatch_time"]}},
            "DATABASE": alias,
            "KILL_FILE": str(tmp_path / "kill"),
        },
    )
    with override_settings(**values):
        yield


def below(percent: int) -> set[int]:
    """The units that a ceiling lets in, by the contract's own arithmetic (§2)."""
    return {unit for unit in UNITS if position(FLAG, str(unit)) < percent * 2**64 // 100}


def send(outcome: str = "success", **told: Any) -> set[int]:
    """Send to every unit as docs/how-to/feed-the-guard-from-your-own-sender.md has it; who was sent to."""
    sent = set()
    for unit in UNITS:
        decision = gate(unit)
        if decision and gate.recheck(unit, admitted_by=decision.reason):
            sent.add(unit)
            assert record_outcome(outcome, **told)
    return sent


def heard(unit: int) -> tuple[bool, Reason]:
    """What the sender hears before an attempt at *unit*."""
    decision = gate.recheck(unit, admitted_by=Reason.SPLIT)
    return decision.value, decision.reason


def test_a_plan_goes_up_by_what_the_application_tells_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 %, then 25 % by itself, and nobody once it tells of failures; no worker, no endpoint of ours."""
    before = send()
    run("start", "--reason", "go")
    runner, real, ahead = driving.runner(), DjangoRolloutStore.now, [0.0]
    monkeypatch.setattr(DjangoRolloutStore, "now", lambda store: real(store) + ahead[0])
    small = [send(latency_seconds=0.1) for _ in range(5)]
    runner.tick()
    ahead[0] = BAKE_SECONDS
    runner.tick()
    larger = send(latency_seconds=0.1)
    send("server_error", attempts=3)
    runner.tick()

    entries = driving.store().journal(driving.driving().flag)
    assert [each.cause for each in entries] == [Cause.START, Cause.PASSED, Cause.BREACHED]
    assert {each.actor for each in entries[1:]} == {MACHINE.name}
    assert (before, small, larger, send()) == (set(), [below(5)] * 5, below(25), set())
    assert (state().state, state().ceiling) == (State.ROLLING_BACK, NOBODY)


@ONCE
def test_what_it_cannot_give_holds_unless_it_is_left_out(settings: Any) -> None:
    """Nobody calls `dispatch`: its time stays undecided, and that alone keeps the next stage away."""
    del settings.ROLLOUT["PLAN"]["criteria"]
    settings.ROLLOUT = {**settings.ROLLOUT}  # tells everybody that it has changed
    run("start", "--reason", "go")
    for _ in range(5):
        send(latency_seconds=0.1)

    _, situation = driving.runner().look()

    assert situation.verdict is not None
    assert {each.measure for each in situation.verdict.reasons} == {"dispatch_time_p95"}
    assert situation.verdict.kind is VerdictKind.UNDECIDED


@pytest.mark.parametrize("verb", ["kill", "rollback"])
def test_a_stop_reaches_it_by_the_gate_and_is_not_said_to_have_stopped_it(verb: str) -> None:
    """It tells no heartbeat: nobody can be named, and the command does not claim that there is nobody."""
    run("start", "--reason", "go")
    first = min(below(5))
    going = heard(first)

    _, said = run(verb, "--reason", "drill")

    assert (going, heard(first)) == ((True, Reason.SPLIT), (False, Reason.DISABLED))
    assert "No sender that tells its heartbeat was alive" in said
    assert "Whatever sends by itself (`record_outcome`) is not seen here" in said


def test_where_the_state_cannot_be_read_it_is_told_to_wait(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds after the last answer it waits; the first thing that it hears then is what holds now."""
    settings.ROLLOUT = {**settings.ROLLOUT, "REFRESH_SECONDS": 0.25}
    run("start", "--reason", "go")
    first, poll = min(below(5)), wiring.built().poll
    assert poll is not None
    now, real, is_away = [0.0], OwnConnection.read, [False]
    monkeypatch.setattr(poll, "_monotonic", lambda: 1e6 + now[0])

    def read(connection: OwnConnection, *arguments: Any, **more: Any) -> Any:
        if is_away[0]:
            raise Unreadable("away")
        return real(connection, *arguments, **more)

    monkeypatch.setattr(OwnConnection, "read", read)
    at_hand = heard(first)
    is_away[0], told = True, []
    for now[0] in (1.0, 2.5, 10.0, 20.0):
        told.append(heard(first))
    run("rollback", "--no-wait", "--reason", "meanwhile")
    is_away[0], now[0] = False, 20.5
    back = heard(first)

    assert at_hand == (True, Reason.SPLIT)
    assert told == [(True, Reason.SPLIT), *[(False, Reason.STALE)] * 3]
    assert back == (False, Reason.DISABLED)
