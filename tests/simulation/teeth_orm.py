"""Bugs in the outbox and the stores on a database, most of them in their SQL; see `teeth.py`.

Each is a patch of one statement or one function, and the simulation over the ORM must find it. What two
transactions at the same moment could do to each other is not among them: the scheduler has one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tests.simulation.teeth import BUGS, Bug, patched
from webhooks_core.django.outbox import claims, people, promotion, settles, store, stored
from webhooks_core.django.outbox.database import Database
from webhooks_core.django.stores.rates import DatabaseRateStore
from webhooks_core.django.stores.replay import DatabaseReplayStore

SHARED = (
    "retry at once",
    "hold forgotten",
    "settle before send",
    "two probes at a time",
)
ORM_BUGS: dict[str, Bug] = {name: BUGS[name] for name in SHARED}


def bug(name: str, owner: object, attribute: str) -> Callable[[Callable[[Any], object]], None]:
    """Register the wrong value of an attribute; the decorated function makes it from the right one."""

    def register(wrong: Callable[[Any], object]) -> None:
        ORM_BUGS[name] = lambda: patched(owner, attribute, wrong(vars(owner)[attribute]))

    return register


def said(text: str, before: str, after: str) -> str:
    """Return *text* with *before*, which must be in it, replaced."""
    assert before in text, before
    return text.replace(before, after)


# --- leases and tokens -------------------------------------------------------------------------------------


@bug("token not compared", settles, "settle")
def _(right: Any) -> object:
    """Whoever settles a claimed row is believed: each settlement is given the token that the row has."""

    def settle(database: Any, cursor: Any, settlements: Any, **named: Any) -> object:
        believed = []
        for settled in settlements:
            token = stored.Token.read(settled.claimed.token)
            cursor.execute("SELECT token FROM webhooks_delivery WHERE id = %s", [token.number])
            batch = cursor.fetchone()[0] or token.batch
            claimed = replace(settled.claimed, token=str(token._replace(batch=batch)))
            believed.append(replace(settled, claimed=claimed))
        return right(database, cursor, believed, **named)

    return settle


@bug("lease ignored", store.claims, "take")
def _(right: Any) -> object:
    """A claimed row is due again at once."""

    def take(*arguments: Any, lease: Any, **named: Any) -> object:
        return right(*arguments, lease=replace(lease, until=lease.begun), **named)

    return take


@bug("a lost lease is not seen", promotion, "_DUE")
def _(right: Any) -> object:
    """A row whose worker died is not given to anybody else."""
    return said(right, "due_at IS NOT NULL", "due_at IS NOT NULL AND state <> 'claimed'")


@bug("nobody knows that it was sent", promotion, "_PROMOTED")
def _(right: Any) -> object:
    """After a crash a receiver that knows the id is taken for one that rejects signatures."""
    return said(right, "THEN TRUE", "THEN NULL")


# --- order, fairness, due moments --------------------------------------------------------------------------


@bug("promotion forgotten", store, "promote")
def _(right: Any) -> object:
    """What is scheduled is never looked at."""
    return lambda *arguments, **named: None


@bug("sweep starves later rows", promotion, "_PARKED")
def _(right: Any) -> object:
    """A row that cannot go stays due, and stands in front again; one at a time is looked at."""
    return said(right, "SET due_at = NULL", "SET due_at = due_at")


@bug("parked row forgotten", settles, "wake")
def _(right: Any) -> object:
    """Nobody looks at the next row of a key when one has ended."""
    return lambda *arguments, **named: None


@bug("order not kept", promotion, "_first_of")
def _(right: Any) -> object:
    """An ordering key means nothing."""
    return lambda cursor, key, rows, **named: list(rows)


@bug("held does not block its key", promotion, "_FIRST")
def _(right: Any) -> object:
    """A later row goes while an earlier one is held."""
    return said(right, "'pending', 'claimed', 'held'", "'pending', 'claimed'")


@bug("attempt number not kept", settles, "_SETTLED")
def _(right: Any) -> object:
    """The row holds the number that it held before the attempt."""
    return said(right, " attempt = v.attempt,", "")


@bug("rows of another environment are sent", claims, "_READY")
def _(right: Any) -> object:
    """Nobody looks at the stamp."""
    return said(right, "environment = %s", "environment <> %s || '!'")


# --- people, connections -----------------------------------------------------------------------------------


@bug("resend with a new id", people, "_BEGINS_AGAIN")
def _(right: Any) -> object:
    """A person's resend is a new webhook to the receiver."""
    return right + " webhook_id = 'ffff' || substr(webhook_id, 5),"


@bug("a resend is as old as its event", people, "_MOVED")
def _(right: Any) -> object:
    """What a person sends again dies at once where its breaker is open and the event is old."""
    return said(right, "COALESCE(CAST(v.since AS double precision), waits_since)", "NULLIF(v.since, v.since)")


@bug("a broken connection is kept", Database, "let_go")
def _(right: Any) -> object:
    """After a failure the next call gets the same dead connection."""
    return lambda self: None


# --- rates, receivers --------- ----------------------------------------------------------------------------


@bug("rates by the worker's clock", DatabaseRateStore, "_change")
def _(right: Any) -> object:
    """Workers whose clocks differ fill the bucket at each turn."""
    turns = [0]

    def change(self: Any, endpoint_id: Any, after: Any) -> None:
        turns[0] += 1
        right(self, endpoint_id, lambda state, at: after(state, at + 12 * (turns[0] % 2)))

    return change


@bug("effect and done apart", DatabaseReplayStore, "handling")
def _(right: Any) -> object:
    """The handler's effect commits, and then the id is remembered, or not."""

    @contextmanager
    def handling(self: Any, claim: Any, *, clock: Any) -> Iterator[None]:
        yield
        self.done(claim, now=clock())

    return handling


@bug("receiver forgets what it has done", DatabaseReplayStore, "done")
def _(right: Any) -> object:
    """The claim is ended, and the id not remembered."""
    return lambda self, claim, *, now: self.give_back(claim, now=now)
