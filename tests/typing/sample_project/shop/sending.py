"""Dispatching, and the gate in front of what the shop sends itself."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_type
from uuid import UUID

from rollout import Decision, FileSource, Gate, LiveFlags, MappingSource, Reason
from rollout.django import (
    Dispatched,
    Event,
    adispatch,
    adispatch_many,
    dispatch,
    dispatch_many,
    record_outcome,
)
from rollout.django import gate as project_gate

local = Gate("tournament-webhooks", LiveFlags(MappingSource({"tournament-webhooks": {"percentage": "12.5"}})))
by_file = Gate("tournament-webhooks", LiveFlags(FileSource("/srv/shop/flags.json")))


def ask(unit: int | str | UUID) -> str:
    """Every question a gate has an answer to."""
    decision = assert_type(local(unit, attributes={"region": "eu"}), Decision)
    assert_type(by_file.is_open(unit), bool)
    assert_type(project_gate.recheck(unit, admitted_by=decision.reason), Decision)
    assert_type(decision.value, bool)
    assert_type(decision.reason, Reason)
    assert_type(decision.position, int | None)
    assert_type(decision.turns_on_at, Decimal | None)
    with local.entered(unit) as entered:
        assert_type(entered, Decision)
    return assert_type(decision.explain(), str)


@project_gate.guards(unit="tournament_id")
def send(event: str, tournament_id: int) -> int:
    """Closed: None."""
    return len(event)


def the_unit(event: str, tournament_id: int) -> int:
    """Find the unit among a call's arguments."""
    return tournament_id


@local.guards(unit=the_unit, otherwise="closed")
async def send_later(event: str, tournament_id: int) -> int:
    """Closed: what `otherwise` says."""
    return len(event)


def verify_payment(tournament_id: int) -> bool:
    """Tell the receivers."""
    assert_type(send("payment_verified", tournament_id=tournament_id), int | None)
    sent = assert_type(
        dispatch("payment_verified", {"tournament_id": tournament_id}, tournament_id=tournament_id),
        Dispatched,
    )
    assert_type(sent.decision, Decision)
    assert_type(sent.webhook_ids, tuple[str, ...])
    event = Event(event="match_started", data={"tournament_id": 1}, context={"tournament_id": 1})
    assert_type(dispatch_many([event]), list[Dispatched])
    assert_type(record_outcome("success", latency_seconds=0.2), bool)
    return bool(sent)


async def verify_payment_later(tournament_id: int) -> None:
    """The same, inside an event loop."""
    assert_type(await send_later("payment_verified", tournament_id=tournament_id), int | str)
    assert_type(await adispatch("payment_verified", {"tournament_id": 1}, tournament_id=1), Dispatched)
    assert_type(await adispatch_many([]), list[Dispatched])
