"""A shadow stage: what would be sent is built, checked and signed; nothing is stored, and nothing leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import RollBack, SetPercentage, Start
from rollout.counters import Counts
from rollout.django import dispatch, dispatcher, driving, wiring
from rollout.django.store import DjangoRolloutStore
from rollout.django.tally import tally
from rollout.percentage import NOBODY, Percentage
from rollout.rollout_state import Cause, State
from tests.integration.outbox.conftest import World
from tests.integration.rollout.conftest import settings_of
from tests.integration.rollout.staged import state
from webhooks_core.django import wiring as webhooks
from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign
from webhooks_core.testing.captured import real_delivery

ANNA = Actor(name="user:17", authenticated=True)
BAKE_SECONDS = 30
NEEDED = 20  # envelopes; docs/reference/guard.md
PLAN = {
    "stages": [
        {"percentage": "0", "shadow": True, "bake": f"{BAKE_SECONDS}s"},
        {"percentage": "5", "bake": "1h"},
    ],
    "criteria": {"leave_out": ["dispatch_time"]},  # a machine that runs other tests meanwhile proves nothing
}
STANDARD = {"SCHEME": "standard"}
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # gitleaks:allow
ADDRESS = "anna@example.com"
pytestmark = [
    pytest.mark.network,
    pytest.mark.usefixtures("shadowed"),
    pytest.mark.parametrize("world", ["sqlite"], indirect=True),
]


@pytest.fixture
def shadowed(world: World, tmp_path: Path) -> Iterator[None]:
    """A rollout in its shadow stage, over a scheme that is not the default."""
    values = settings_of(world, tmp_path / "kill")
    values["ROLLOUT"] = {**values["ROLLOUT"], "PLAN": PLAN}
    values["WEBHOOKS"] = {**values["WEBHOOKS"], **STANDARD}
    with override_settings(**{**values, "WEBHOOK_SECRET": KEY}), real_delivery():
        driving.runner().obey(Start(by=ANNA, reason="look first"))
        yield


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, dict[str, Any], dict[str, str]]]:
    """Every signature that `dispatch` made by itself: the bytes, what it signed by, and the headers."""
    made: list[tuple[bytes, dict[str, Any], dict[str, str]]] = []

    def seen(body: bytes, **by: Any) -> dict[str, str]:
        made.append((body, by, sign(body, **by)))
        return made[-1][2]

    monkeypatch.setattr(dispatcher, "sign", seen)
    return made


def send(world: World, *, times: int = 1, **data: object) -> list[dispatcher.Dispatched]:
    """Let the event happen."""
    return [
        dispatch("payment_verified", {"tournament_id": unit, **data}, tournament_id=unit, using=world.alias)
        for unit in range(times)
    ]


def counted() -> Counts:
    """Everything that was counted, what is still in memory included."""
    tally().flush_soon(at_once=True)
    table = driving.evidence()
    assert table is not None
    return Counts.sum(row.counts for row in table.read(since_minute=0, until_minute=2**40))


def test_each_event_is_built_signed_and_counted_and_nothing_is_stored_or_sent(
    world: World, signed: list[tuple[bytes, dict[str, Any], dict[str, str]]]
) -> None:
    """By the endpoint's scheme and keys; to the caller the gate is closed."""
    answers = send(world, times=3)

    endpoint = webhooks.sending().endpoints["default"]
    assert [json.loads(body)["data"] for body, _, _ in signed] == [{"tournament_id": n} for n in range(3)]
    assert {by["scheme"] for _, by, _ in signed} == {endpoint.scheme} == {Scheme.STANDARD}
    assert all(by["keys"] is endpoint.keys and "webhook-signature" in made for _, by, made in signed)
    assert [(bool(each), each.webhook_ids) for each in answers] == [(False, ())] * 3
    assert (counted().get("envelopes"), counted().get("attempts")) == (3, 0)
    assert (world.states(), world.receiver.requests) == (set(), 0)


def test_personal_data_in_the_shadow_stage_stops_the_host_and_rolls_back(
    world: World, signed: list[object]
) -> None:
    """Found before anything was ever sent: that is what the stage is for."""
    send(world, recipient_count=ADDRESS)

    entry = driving.store().journal(state().flag)[-1]
    assert (state().state, entry.actor) == (State.ROLLING_BACK, "tripwire")
    assert entry.reason.endswith("address at data.recipient_count in payment_verified")
    assert wiring.built().switches.state().killed
    assert (signed, counted().get("envelopes"), counted().get("pii")) == ([], 0, 1)
    assert (world.states(), world.receiver.requests) == (set(), 0)


@pytest.mark.parametrize(
    "command",
    [
        RollBack(by=ANNA, reason="5xx"),
        SetPercentage(by=ANNA, percentage=Percentage.parse("0.0001"), reason="one in a million"),
    ],
    ids=["rolled back", "by hand"],
)
def test_outside_the_shadow_stage_a_closed_gate_builds_nothing(
    world: World, signed: list[object], command: RollBack | SetPercentage
) -> None:
    """After a rollback each event would cost its caller an envelope, and an address would trip the host."""
    driving.runner().obey(command)

    send(world, times=3, recipient_count=ADDRESS)

    assert signed == []
    assert counted() == Counts()
    assert not wiring.built().switches.state().killed


@pytest.mark.slow
def test_enough_envelopes_let_the_first_stage_begin(
    world: World, monkeypatch: pytest.MonkeyPatch, signed: list[object]
) -> None:
    """One fewer holds, however long; the twentieth passes, and the first units are let in."""
    runner, real, ahead = driving.runner(), DjangoRolloutStore.now, [0.0]
    monkeypatch.setattr(DjangoRolloutStore, "now", lambda store: real(store) + ahead[0])
    send(world, times=NEEDED - 1)
    counted()
    runner.tick()
    ahead[0] = BAKE_SECONDS + 1
    runner.tick()
    waiting = (state().state, state().ceiling, state().reason)
    send(world)
    counted()
    for _ in range(2):
        ahead[0] += BAKE_SECONDS
        runner.tick()
    built = len(signed)

    sent = send(world, times=200)

    assert waiting[:2] == (State.HOLD, NOBODY)
    assert f"{NEEDED - 1} envelopes were built and checked; {NEEDED} are needed" in waiting[2]
    assert (state().state, state().ceiling) == (State.RUNNING, Percentage.parse(5))
    causes = [each.cause for each in driving.store().journal(state().flag)]
    assert causes == [Cause.START, Cause.HELD, Cause.CLEARED, Cause.PASSED]
    assert 0 < sum(map(bool, sent)) < 30
    assert built == NEEDED == len(signed)
