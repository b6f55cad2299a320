"""What follows when personal data is found in an event: this host stops at once, the rollout a moment later.

The process latches and writes the host's trip file while the caller's transaction is still open; ceiling and
journal follow once it has ended, by whoever sees the file first: this process after its commit, its request
or at its next event, a worker at its next beat, the runner at its next tick. Invariants: nothing is written
inside the caller's transaction; nothing here raises; the value that was found is in nothing that is written.
Explained in docs/how-to/clear-a-trip.md.
"""

from __future__ import annotations

import os
from contextlib import suppress

from django.core.signals import request_finished
from django.db import connections, transaction

from rollout.actor import Actor
from rollout.commands import RollBack
from rollout.django import conf, driving, unreadable, wiring
from rollout.django.store import DjangoRolloutStore
from rollout.django.tally import tally
from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.increments import of_pii
from rollout.rollout_state import LATCHED
from rollout.sources.kill import host_name
from rollout.sources.trip import Trip
from webhooks_core.django import wiring as webhooks
from webhooks_core.observers.safe import safe
from webhooks_core.pii import Finding

__all__ = ["TRIPWIRE", "found", "is_free", "report"]

TRIPWIRE = Actor(name="tripwire", authenticated=False)


def found(event: str, finding: Finding) -> None:
    """Act on *finding*: stop this host and have the rollout rolled back, or where it only holds, count it."""
    if not finding.trips_rollout:
        tally().count(of_pii(free_text=True))
        tally().flush_soon(at_once=True)
        return
    switches = wiring.built().switches
    trip = Trip(
        at=webhooks.clock(),
        flag=conf.current().flag,
        event=safe(event),
        kind=finding.kind.value,
        place=finding.path,
        process=f"{host_name()}:{os.getpid()}",
    )
    if not switches.tripwire.trip(trip):
        wiring.log_failure(
            f"Rollout tripped: kind={finding.kind.value}, error=the trip file cannot be written and only this"
            f" process has stopped, path={safe(switches.tripwire.path)}"
        )
    _after_the_transaction()


def _after_the_transaction() -> None:
    alias = conf.current().state_database
    if alias is None:
        return
    with suppress(Exception):
        if connections[alias].in_atomic_block:
            transaction.on_commit(report, using=alias, robust=True)
        else:
            report()


def report(**_signal: object) -> None:
    """Write what the trip file says into ceiling, journal and evidence, where nobody has. Never raises.

    Called where no transaction of a caller's is open; inside one, one committed by hand as well, it does
    nothing, and another call follows.
    """
    try:
        alias = conf.current().state_database
        if alias is None:
            return
        tripwire = wiring.built().switches.tripwire
        if not tripwire.state().killed or not is_free(alias):
            return
        trips = tripwire.trips()
        store, flag = driving.store(), driving.driving().flag
        if _is_over(store, flag):
            return
        what = trips[0] if trips else "a trip file that says nothing"
        command = RollBack(by=TRIPWIRE, reason=f"personal data found: {what}")
        unreadable.obeyed(command, store=store, flag=flag, runner=driving.runner())
        _count()
    except Exception as error:  # noqa: BLE001 - the host has stopped; whoever sees the file next tries again
        wiring.log_failure(f"Rollout tripped, and could not be rolled back yet: error={type(error).__name__}")


def _count() -> None:
    """Put the find into the evidence, together with its rollback and never later than that.

    A count that waited in some process's memory would roll back what a person has started since.
    """
    try:
        if (table := driving.evidence()) is not None:
            table.add({"": of_pii(free_text=False)})
    except Exception as error:  # noqa: BLE001 - the rollback is done and says why; nothing waits for the count
        wiring.log_failure(
            f"Rollout tripped and rolled back, and the find is not counted: error={type(error).__name__}"
        )


def is_free(alias: str) -> bool:
    """Whether what is written is committed, and seen, at once: no transaction of a caller's is open."""
    connection = connections[alias]
    return not connection.in_atomic_block and connection.get_autocommit()


def _is_over(store: DjangoRolloutStore, flag: FlagKey) -> bool:
    """Whether it was rolled back already, or lets nobody in anyway; of an unreadable row by its columns."""
    try:
        state = store.load(flag)
    except ConfigError:
        return unreadable.is_over(store, flag)
    return state.state in LATCHED or state.ceiling is None


# A transaction that is rolled back runs no hook: a request's end is the next moment without one.
request_finished.connect(report, dispatch_uid="rollout.django.tripping")
