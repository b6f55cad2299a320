"""What follows when personal data is found in an event: this host stops at once, the rollout a moment later.

The process latches and writes the host's trip file while the caller's transaction is still open; ceiling and
journal follow once it has ended, by whoever sees the file first: this process after its commit, its request
or at its next event, a worker at its next beat, the runner at its next tick. Invariants: nothing is written
inside the caller's transaction; nothing here raises; the value that was found is in nothing that is written.
Explained in docs/how-to/clear-a-trip.md.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress

from django.core.signals import request_finished
from django.db import connections, transaction

from rollout.actor import Actor
from rollout.commands import RollBack
from rollout.django import conf, driving, wiring
from rollout.django.tally import tally
from rollout.increments import of_pii
from rollout.rollout_state import LATCHED
from rollout.sources.trip import Trip
from webhooks_core.django import wiring as webhooks
from webhooks_core.observers.safe import safe
from webhooks_core.pii import Finding

__all__ = ["TRIPWIRE", "found", "report"]

TRIPWIRE = Actor(name="tripwire", authenticated=False)


def found(event: str, finding: Finding) -> None:
    """Act on *finding*: count it, and where it trips, stop this host and have the rollout rolled back."""
    tally().count(of_pii(free_text=not finding.trips_rollout))
    if not finding.trips_rollout:
        tally().flush_soon(at_once=True)
        return
    switches = wiring.built().switches
    trip = Trip(
        at=webhooks.clock(),
        flag=conf.current().flag,
        event=safe(event),
        kind=finding.kind.value,
        place=finding.path,
        process=f"{platform.node() or 'host'}:{os.getpid()}",
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
        connection = connections[alias]
        if connection.in_atomic_block:
            transaction.on_commit(report, using=alias, robust=True)
        else:
            report()


def report(**_signal: object) -> None:
    """Write what the trip file says into ceiling, journal and evidence, where nobody has. Never raises.

    Called where no transaction of a caller's is open; inside one it does nothing, and another call follows.
    """
    alias = conf.current().state_database
    if alias is None:
        return
    tripwire = wiring.built().switches.tripwire
    if not tripwire.state().killed:
        return
    try:
        if connections[alias].in_atomic_block:
            return
        trips = tripwire.trips()
        store = driving.store()
        state = store.load(driving.driving().flag)
        if state.state in LATCHED or state.ceiling is None:
            return
        first = trips[0] if trips else None
        what = (
            "a trip file that says nothing"
            if first is None
            else f"{first.kind} at {first.place} in {first.event}"
        )
        driving.runner().obey(RollBack(by=TRIPWIRE, reason=f"personal data found: {what}"))
        tally().flush_soon(at_once=True)
    except Exception as error:  # noqa: BLE001 - the host has stopped; whoever sees the file next tries again
        wiring.log_failure(f"Rollout tripped, and could not be rolled back yet: error={type(error).__name__}")


# A transaction that is rolled back runs no hook: a request's end is the next moment without one.
request_finished.connect(report, dispatch_uid="rollout.django.tripping")
