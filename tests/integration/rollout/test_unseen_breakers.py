"""Breakers that the runner cannot see: what they would tell is undecided, and the rest is judged."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import Start
from rollout.counters import Counts
from rollout.django import driving, record_outcome
from rollout.django.evidence import EvidenceTable
from rollout.django.fleet_evidence import MAX_SILENT_SECONDS, FleetEvidence
from rollout.flags import FlagKey
from rollout.rollout_state import State
from rollout.verdict import Call, Verdict
from rollout.watch import PartlyUnreadable
from tests.integration.django.project import project
from tests.integration.rollout.staged import ONCE, state
from webhooks_core.breaker import BreakerPolicy, BreakerState, Command, Step
from webhooks_core.django.outbox.database import Database

pytestmark = [pytest.mark.network, ONCE]
ANNA = Actor(name="user:17", authenticated=True)
GONE = "redis://127.0.0.1:1/0"  # nobody listens there
LEFT_OUT = ["latency", "dispatch_time", "retried", "client_errors", "server_errors"]
OF_BREAKERS = ["breaker_openings", "receiver_unreachable"]


@pytest.fixture(params=["redis", "memory"])
def unseen(request: pytest.FixtureRequest, alias: str, tmp_path: Path) -> Iterator[None]:
    """A rollout under way whose breakers are in a Redis that is away, or in each sender's memory."""
    stages = [{"percentage": each, "bake": "1h"} for each in ("5", "100")]
    values: dict[str, Any] = project(
        WEBHOOKS={"ENGINE": "worker", "DATABASE": alias, "REDIS": GONE, "BREAKER_STORE": request.param},
        ROLLOUT={
            "PLAN": {"stages": stages, "criteria": {"leave_out": LEFT_OUT}},
            "DATABASE": alias,
            "KILL_FILE": str(tmp_path / "kill"),
        },
    )
    with override_settings(**values):
        driving.runner().obey(Start(by=ANNA, reason="go"))
        yield


def judged() -> Verdict:
    """What the guard says now."""
    _, situation = driving.runner().look()
    assert situation.verdict is not None
    return situation.verdict


@pytest.mark.usefixtures("unseen")
def test_breakers_that_cannot_be_seen_hold_although_every_delivery_arrives() -> None:
    """A metric that cannot be read never passes (contract §10), and says so."""
    for _ in range(60):
        record_outcome("success")

    verdict = judged()

    undecided = [each for each in verdict.readings if each.standing.value == "undecided"]
    assert (verdict.call, [each.measure for each in undecided]) == (Call.HOLD, OF_BREAKERS)
    assert all(each.why.startswith("cannot be read: ") for each in undecided)


@pytest.mark.usefixtures("unseen")
def test_breakers_that_cannot_be_seen_keep_no_rollback_from_being_made() -> None:
    """What is known to be bad stands over what is not known."""
    for _ in range(40):
        record_outcome("server_error", attempts=3)

    driving.runner().tick()

    assert state().state is State.ROLLING_BACK
    assert "sequential test" in state().reason


class Away:
    """A shared store that has not answered for so long, and tells what it knew."""

    policy = BreakerPolicy()

    def __init__(self, silent_seconds: float) -> None:
        self._silent_seconds = silent_seconds

    def apply(self, endpoint_id: str, command: Command, *, now: float, jitter_value: float = 0.0) -> Step:
        """Nobody sends here."""
        raise NotImplementedError

    def state(self, endpoint_id: str, *, now: float) -> BreakerState:
        """It had opened a minute ago."""
        return BreakerState(openings=(now - 60,))

    def silent_seconds(self, endpoint_id: str) -> float:
        """So long."""
        return self._silent_seconds


@pytest.mark.parametrize("seconds", [0.0, MAX_SILENT_SECONDS])
def test_what_a_store_knew_is_believed_for_as_long_as_a_snapshot(database: Database, seconds: float) -> None:
    """One answer that is late is no reason to hold a rollout."""
    table = EvidenceTable(database, environment="test", flag=FlagKey("f"))

    rows = FleetEvidence(table, breakers=Away(seconds), endpoints=["a"]).rows(FlagKey("f"), from_minute=0)

    assert sum(row.counts.get("openings") for row in rows) == 1


@pytest.mark.parametrize("seconds", [MAX_SILENT_SECONDS + 0.1, inf], ids=["too-long", "ever"])
def test_a_store_that_was_silent_for_longer_leaves_the_counts(database: Database, seconds: float) -> None:
    """They come with the error, which says what is missing."""
    table = EvidenceTable(database, environment="test", flag=FlagKey("f"))
    table.add({"a": Counts({"ok": 3})})

    with pytest.raises(PartlyUnreadable) as caught:
        FleetEvidence(table, breakers=Away(seconds), endpoints=["a"]).rows(FlagKey("f"), from_minute=0)

    assert sum(row.counts.get("ok") for row in caught.value.rows) == 3
    assert caught.value.unreadable == {"breakers": "their store does not answer"}
