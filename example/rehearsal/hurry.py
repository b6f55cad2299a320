"""A guard's minute as a second: the evidence of the demo's plan goes by a clock that runs faster.

The guard's rules count minutes ("in each of 5 consecutive minutes"), and a demo has none to spare. So, while
`DEMO_PLAN_SINCE` is set, in the demo and in its worker alike, the clock of the evidence goes 60 times as fast
from that moment on. Nothing else does: leases, heartbeats, bake times and deliveries are in real seconds, and
every rule is the product's own. Never in production, where a minute is a minute.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace

from rollout.django import driving
from rollout.django.evidence import EvidenceTable
from rollout.django.fleet_evidence import FleetEvidence
from rollout.django.sink import settle_sink as real_sink
from rollout.django.store import TABLE
from rollout.flags import FlagKey
from rollout.rollout_state import RolloutState
from rollout.watch import EvidenceSource, Looked, Watch
from webhooks_core.breaker_state import BreakerState
from webhooks_core.django import conf as webhooks_conf
from webhooks_core.django.outbox.database import Database
from webhooks_core.outbox.base import Settled
from webhooks_core.per_process import PerProcess
from webhooks_core.stores.breakers import BreakerStore, RemoteBreakers

VARIABLE = "DEMO_PLAN_SINCE"
TIMES = 60


def hurried(moment: float) -> float:
    """Return what the evidence's clock shows at *moment*, epoch seconds."""
    since = float(os.environ[VARIABLE])
    return since + (moment - since) * TIMES


def _now() -> float:
    return hurried(time.time())


class HurriedWatch(Watch):
    """The runner's own watch, its moments told by the evidence's clock."""

    __slots__ = ()

    def begin(self, flag: FlagKey, *, now: float) -> str:
        """Begin as ever, by the evidence's clock."""
        return super().begin(flag, now=hurried(now))

    def look(self, state: RolloutState, *, now: float) -> Looked:
        """Judge as ever; the verdict bears the runner's moment."""
        by_evidence = replace(state, stage_entered_at=hurried(state.stage_entered_at))
        looked = super().look(by_evidence, now=hurried(now))
        if looked.verdict is None:
            return looked
        return replace(looked, verdict=replace(looked.verdict, at=now))


class _Breakers:
    """The fleet's breakers, their openings told by the evidence's clock."""

    def __init__(self, breakers: RemoteBreakers) -> None:
        self._breakers = breakers

    def seen(self, endpoint_ids: Sequence[str], *, now: float) -> dict[str, BreakerState]:  # noqa: ARG002 - the real moment counts
        found = self._breakers.seen(endpoint_ids, now=time.time())
        return {
            name: replace(each, openings=tuple(hurried(opened_at) for opened_at in each.openings))
            for name, each in found.items()
        }


def _fleet(
    table: EvidenceTable, *, breakers: BreakerStore | None, endpoints: Sequence[str]
) -> EvidenceSource:
    told = _Breakers(breakers) if isinstance(breakers, RemoteBreakers) else breakers
    return FleetEvidence(table, breakers=told, endpoints=endpoints)  # type: ignore[arg-type]  # asked for `seen` only


def begin() -> None:
    """Let the evidence of this process go by the faster clock, from the next look on."""
    ordinary = driving._build  # the composition itself, all but one clock

    def build() -> driving.Driving:
        made = ordinary()
        if made.store is None:
            return made
        alias = made.store.database.alias
        database = Database(alias, clock=_now, machine_clock=time.time, monotonic=time.monotonic, table=TABLE)
        environment = webhooks_conf.current().environment
        return replace(made, evidence=EvidenceTable(database, environment=environment, flag=made.flag))

    driving.driving = PerProcess(build)
    driving.Watch = HurriedWatch  # type: ignore[misc]
    driving.FleetEvidence = _fleet  # type: ignore[assignment,misc]


_has_begun = False


def settle_sink(settled: Sequence[Settled]) -> None:
    """Be the product's own sink, in the worker of this chapter: `WEBHOOKS["SETTLE_SINK"]` names it."""
    global _has_begun  # noqa: PLW0603 - once in a process
    if not _has_begun:
        begin()
        _has_begun = True
    real_sink(settled)
