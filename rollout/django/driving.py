"""Where a rollout is driven from: its store, its evidence, its runner, put together from the settings.

The composition beside `wiring.py`'s of a gate. Built when first asked for, once per process, and again after
a fork or when a setting changes under a test. Invariant: without a plan or a database in the settings there
is nothing here, and nothing is read or written. Explained in docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, replace

from django.core.signals import setting_changed

from rollout.controls import KillState
from rollout.django import conf, wiring
from rollout.django.evidence import EvidenceTable
from rollout.django.fleet_evidence import FleetEvidence
from rollout.django.stage_rate import tighten
from rollout.django.store import TABLE, DjangoRolloutStore
from rollout.django.units import Cohort
from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.observers.log import LogObserver
from rollout.plan import Plan
from rollout.runner import Runner
from rollout.sources.kill import host_name
from rollout.watch import Watch
from webhooks_core.django import conf as webhooks_conf
from webhooks_core.django import wiring as webhooks
from webhooks_core.django.outbox.database import Database
from webhooks_core.per_process import PerProcess

__all__ = ["Driving", "driving", "evidence", "owner", "runner", "store", "store_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Driving:
    """What one process drives rollouts with; neither of the two where no setting asks for a database."""

    flag: FlagKey
    store: DjangoRolloutStore | None = None
    evidence: EvidenceTable | None = None


def _build() -> Driving:
    found = conf.current()
    alias = found.state_database
    if alias is None or wiring.problems():
        return Driving(flag=FlagKey(found.flag))
    flag, kept = FlagKey(found.flag), store_of(alias, environment=webhooks_conf.current().environment)
    table = EvidenceTable(kept.database, environment=kept.environment, flag=flag)
    return Driving(flag=flag, store=kept, evidence=table)


def store_of(alias: str, *, environment: str) -> DjangoRolloutStore:
    """Return where the rollouts of *environment* are kept in the database *alias*."""
    database = Database(alias, clock=None, machine_clock=time.time, monotonic=time.monotonic, table=TABLE)
    return DjangoRolloutStore(database, environment=environment)


driving = PerProcess(_build)


def _forget(**_signal: object) -> None:
    driving.forget()


setting_changed.connect(_forget, dispatch_uid="rollout.django.driving")


def store() -> DjangoRolloutStore:
    """Return the store of the settings in force.

    Raises:
        ConfigError: No setting asks for one, or a setting is bad.
    """
    found = driving().store
    if found is None:
        bad = wiring.problems()
        if bad:
            raise ConfigError(bad[0].setting, bad[0].allowed)
        raise ConfigError('ROLLOUT["PLAN"]', "is not set: there is nothing to roll out by")
    return found


def evidence() -> EvidenceTable | None:
    """Return where evidence is counted; None where nobody asks for any."""
    return driving().evidence


def runner(*, lease_seconds: float = 30.0, name: str | None = None) -> Runner:
    """Return a runner of the settings' flag; it ticks, and follows people's commands.

    Args:
        lease_seconds: How long the fence holds without a tick.
        name: By which it holds the fence; one of `owner`'s, made for it when left out.

    Raises:
        ConfigError: As `store`.
    """
    kept, found = store(), conf.current()
    table = driving().evidence
    assert table is not None  # there is one wherever there is a store
    sending = webhooks.sending()
    source = FleetEvidence(
        table,
        breakers=sending.breakers if sending.endpoints else None,
        endpoints=tuple(sending.endpoints),
    )
    return Runner(
        FlagKey(found.flag),
        kept,
        Watch(source),
        plan=_plan,
        owner=owner() if name is None else name,
        lease_seconds=lease_seconds,
        kill=_kill,
        cohort=Cohort(found.units, FlagKey(found.flag)),
        prepare=tighten,
        observer=LogObserver(),
    )


def owner() -> str:
    """Return a name for this process that is never used again: host, process number and a random part."""
    return f"{host_name()}/{os.getpid()}/{secrets.token_hex(4)}"


def _plan() -> Plan:
    plan = conf.current().plan
    if plan is None:
        raise ConfigError('ROLLOUT["PLAN"]', "is not set")
    return plan


def _kill() -> KillState:
    state = wiring.built().switches.kill.state()  # a trip is reported by `tripping`, with what was found
    # Nobody else sees this host's file: whoever reads the journal must know where to look.
    return replace(state, why=f"{state.why} on {host_name()}") if state.killed is not False else state
