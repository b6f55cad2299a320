"""Every combination of kill, master switch, ceiling and database, at the two doors that really decide.

`dispatch` records or does not; `send_permit` sends, holds or waits. What must be so is worked out a second
time here, by the words of the contract (§3, §10). Recording may go by what was known; sending may not.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import Kill, RollBack, Start
from rollout.decision import Reason
from rollout.django import dispatch, driving, wiring
from rollout.django.own_connection import OwnConnection, Unreadable
from rollout.django.permit import send_permit
from rollout.django.polling import STALENESS_SECONDS
from tests.integration.django.project import project
from tests.integration.rollout.staged import ONCE
from webhooks_core.delivery import Delivery, PermitVerdict
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.envelope import seal
from webhooks_core.testing.captured import real_delivery

ANNA = Actor(name="user:17", authenticated=True)
#: Known positions under the flag's own salt: the first is in at 50 %, the second is not.
EARLY, LATE = "11", "7"
KILLS = ("no kill", "kill file", "trip file", "killed in the database")
CEILINGS = ("none", "0", "50", "100")
POLLS = ("confirmed", "stale", "went back", "never read")
pytestmark = pytest.mark.network


@dataclass(frozen=True)
class Cell:
    """One combination."""

    kill: str
    master: bool
    ceiling: str
    poll: str

    def __str__(self) -> str:
        return f"{self.kill}, master {'on' if self.master else 'off'}, ceiling {self.ceiling}, {self.poll}"

    def records(self, unit: str) -> bool:
        """Whether `dispatch` may put an event of *unit* into the outbox."""
        if self.kill != "no kill" or not self.master or self.poll == "never read":
            return False
        return self.ceiling == "100" or (self.ceiling == "50" and unit == EARLY)

    def permits(self, unit: str) -> PermitVerdict:
        """What is done with a delivery of *unit* that was recorded earlier."""
        if self.records(unit):
            return PermitVerdict.SEND if self.poll == "confirmed" else PermitVerdict.WAIT
        is_clear = self.kill in ("kill file", "trip file") or not self.master
        return PermitVerdict.HOLD if is_clear or self.poll != "never read" else PermitVerdict.WAIT


CELLS = [
    Cell(kill, master, ceiling, poll)
    for kill, master, ceiling, poll in itertools.product(KILLS, (True, False), CEILINGS, POLLS)
]


@contextmanager
def standing(cell: Cell, *, alias: str, kill_file: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """The world of *cell*, made by the commands that make it, up to the moment at which somebody asks."""
    first = cell.ceiling if cell.ceiling in ("50", "100") else "100"
    values: dict[str, Any] = project(
        NOTIFICATIONS_WEBHOOK_ENABLED=cell.master,
        WEBHOOKS={"ENGINE": "worker", "DATABASE": alias},
        ROLLOUT={
            "PLAN": {"stages": [{"percentage": first, "bake": "1h"}]},
            "DATABASE": alias,
            "KILL_FILE": str(kill_file),
        },
    )
    with override_settings(**values), real_delivery():
        runner = driving.runner()
        if cell.ceiling != "none":
            runner.obey(Start(by=ANNA, reason="go"))
        if cell.ceiling == "0":
            runner.obey(RollBack(by=ANNA, reason="no"))
        if cell.kill == "killed in the database":
            runner.obey(Kill(by=ANNA, reason="drill"))
        if cell.kill in ("kill file", "trip file"):
            kill_file.with_name("kill" if cell.kill == "kill file" else "kill.trip").touch()
        in_doubt(cell, alias=alias, patch=patch)
        yield


def in_doubt(cell: Cell, *, alias: str, patch: pytest.MonkeyPatch) -> None:
    """Let the database be as *cell* has it, for the process that asks from now on."""
    poll = wiring.built().poll
    assert poll is not None
    if cell.poll in ("stale", "went back"):
        assert poll.is_confirmed()
    if cell.poll == "stale":
        patch.setattr(poll, "_monotonic", lambda: time.monotonic() + STALENESS_SECONDS + 0.1)
    if cell.poll in ("stale", "never read"):
        patch.setattr(OwnConnection, "read", away)
    elif cell.poll == "went back":
        go_back(alias)


def away(*_arguments: object, **_more: object) -> object:
    """A database that does not answer."""
    raise Unreadable("TimeoutError")


def go_back(alias: str) -> None:
    """A backup comes back in which everybody was in."""
    with connections[alias].cursor() as cursor:
        cursor.execute("UPDATE rollout_rollout SET version = version - 1, epoch = 0, ceiling = '100'")


@ONCE
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_in_doubt_the_old_path_at_both_doors(
    alias: str, cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent unless every part says yes now; a clear no holds, what is not known waits."""
    recorded, permitted = {}, {}
    with standing(cell, alias=alias, kill_file=tmp_path / "kill", patch=monkeypatch):
        for unit in (EARLY, LATE):
            permitted[unit] = send_permit(queued(unit)).verdict
            sent = dispatch("payment_verified", {"tournament_id": 1}, tournament_id=unit, using=alias)
            recorded[unit] = [DjangoOutbox(environment="test", using=alias).find(i) for i in sent.webhook_ids]

    assert permitted == {unit: cell.permits(unit) for unit in (EARLY, LATE)}
    assert {unit: len(rows) for unit, rows in recorded.items()} == {
        unit: int(cell.records(unit)) for unit in (EARLY, LATE)
    }


def queued(unit: str) -> Delivery:
    """A delivery of *unit* that was recorded while it was in."""
    envelope = seal("payment_verified", {"tournament_id": 1}, webhook_id=str(uuid.uuid4()))
    return Delivery(
        webhook_id=envelope.webhook_id,
        event=envelope.event,
        body=envelope.body,
        created_at=time.time(),
        unit=unit,
        admitted_by=Reason.SPLIT.value,
    )
