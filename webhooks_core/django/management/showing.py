"""`manage.py webhooks list` and `show`: what is in the outbox, and every attempt of one delivery.

Reading only. Invariant: no body, no URL and no secret is ever printed. Explained in
docs/reference/commands.md.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Count

from webhooks_core.django.answer import Answer, Exit, table
from webhooks_core.django.management import breakers
from webhooks_core.django.management.breakers import SeenBreaker
from webhooks_core.django.management.picking import (
    Pick,
    Refused,
    add_filters,
    endpoint_of,
    moment,
    outbox,
    refused,
    shown,
    shown_at,
)
from webhooks_core.django.models import Attempt, Delivery, WorkerBeat
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.outbox.states import State

ALIVE_SECONDS = 30.0  # six heartbeats; a worker that was not seen for so long is gone, or stuck


def add(verbs: Any) -> None:
    """Add both commands."""
    about = "deliveries of the outbox, newest last, and who is working"
    listing = verbs.add_parser("list", help=about, description=about)
    listing.add_argument("--state", action="append", choices=[state.value for state in State], default=[])
    add_filters(listing)
    listing.add_argument("--since", help="only what has changed since: 2h, 7d, 2026-01-31T12:00")
    listing.add_argument("--limit", type=int, default=50, help="at most so many (default: %(default)s)")
    listing.set_defaults(answer=list_deliveries)
    about = "one delivery with every attempt: when, outcome, status, latency, next retry"
    show = verbs.add_parser("show", help=about, description=about)
    show.add_argument("webhook_id", metavar="ID")
    show.set_defaults(answer=show_delivery)


def list_deliveries(options: dict[str, Any]) -> Answer:
    """List rows, the counts of all states, and the workers."""
    kept = outbox()
    now = kept.now()
    since = None if options["since"] is None else moment(options["since"], now=now)
    if options["limit"] < 0:
        raise refused("--limit must be 0 or more")
    endpoint = endpoint_of(options, kept)
    pick = Pick(states=options["state"], endpoint=endpoint, event=options["event"], since=since)
    rows = list(pick.rows(kept).reverse()[: options["limit"]])[::-1]
    everything = Pick().rows(kept).order_by().values_list("state").annotate(count=Count("id"))
    counts = dict(everything)
    workers = WorkerBeat.objects.using(kept.database.alias).filter(environment=kept.environment)
    alive = [worker for worker in workers.order_by("name") if now - worker.seen_at <= ALIVE_SECONDS]
    foreign = dict(kept.foreign())
    head = ("webhook_id", "event", "endpoint", "state", "attempt", "changed", "due", "reason")
    cells = [
        (
            row.webhook_id, row.event, row.endpoint_id, row.state, row.attempt, shown_at(row.changed_at),
            shown_at(row.due_at), row.reason,
        )
        for row in rows
    ]  # fmt: skip
    lines = [
        *(table(head, cells) if cells else ["No such delivery."]),
        "In all: " + (", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "nothing"),
        f"Workers: {', '.join(_seen(worker, now) for worker in alive) or 'none was seen in the last 30 s'}",
        *[f"Left alone: {count} of environment {name}" for name, count in sorted(foreign.items())],
    ]
    data = {
        "deliveries": [shown(row) for row in rows],
        "counts": counts,
        "workers": [
            {"name": worker.name, "version": worker.version, "seen_at": shown_at(worker.seen_at)}
            for worker in alive
        ],
        "foreign": foreign,
    }
    return Answer(lines=lines, data=data)


def _seen(worker: WorkerBeat, now: float) -> str:
    """Name *worker*, and say how long ago it was seen: one that has just ended is listed for a while."""
    return f"{worker.name} ({max(0, round(now - worker.seen_at))} s ago)"


def show_delivery(options: dict[str, Any]) -> Answer:
    """Show one row."""
    kept = outbox()
    row = Pick(ids=[options["webhook_id"]]).rows(kept).first()
    if row is None:
        raise _not_found(kept, options["webhook_id"])
    attempts = list(Attempt.objects.using(kept.database.alias).filter(delivery_id=row.pk).order_by("id"))
    breaker = breakers.seen(kept, row.endpoint_id)
    facts = shown(row)
    lines = [f"{name}: {value}" for name, value in facts.items() if value not in (None, "")]
    lines.append(f"breaker: {breaker.text}")
    cells = [
        (
            each.number, shown_at(each.started_at), each.outcome, each.status or "",
            f"{each.elapsed_seconds * 1000:.0f} ms", each.error,
        )
        for each in attempts
    ]  # fmt: skip
    lines += table(("attempt", "started", "outcome", "status", "latency", "error"), cells) if cells else []
    following = _next(row, breaker)
    lines.append(following)
    tried = [_attempt(each) for each in attempts]
    data = {**facts, "breaker": breaker.data, "attempts": tried, "next": following}
    return Answer(lines=lines, data=data)


def _not_found(kept: DjangoOutbox, webhook_id: str) -> Refused:
    found = Delivery.objects.using(kept.database.alias).filter(webhook_id=webhook_id)
    elsewhere = found.values_list("environment", flat=True).first()
    where = "" if elsewhere is None else f" here: it is of environment {elsewhere}"
    return refused(f"there is no delivery {webhook_id}{where}", code=Exit.NOT_FOUND)


def _attempt(attempt: Attempt) -> dict[str, object]:
    return {
        "attempt": attempt.number,
        "started_at": shown_at(attempt.started_at),
        "outcome": attempt.outcome,
        "status": attempt.status,
        "latency_ms": round(attempt.elapsed_seconds * 1000),
        "error": attempt.error or None,
        "is_probe": attempt.is_probe,
    }


def _next(row: Delivery, breaker: SeenBreaker) -> str:
    """Say what will happen to *row* next."""
    if row.state == State.PENDING and row.turn is not None and breaker.refuses_until is not None:
        return f"next: waits for the breaker of {row.endpoint_id}, until {shown_at(breaker.refuses_until)}"
    if row.state == State.PENDING and row.turn is not None:
        return "next: attempted as soon as a worker takes it"
    if row.state == State.PENDING and row.due_at is not None:
        return f"next: attempt {row.attempt} at {shown_at(row.due_at)}" if row.due_at else "next: looked at"
    if row.state == State.PENDING:
        return f"next: waits for an earlier delivery of {row.ordering_key}"
    if row.state == State.CLAIMED:
        return f"next: with {row.worker} until {shown_at(row.due_at)}"
    following = {
        State.HELD.value: "a person releases or drops it",
        State.DEAD.value: "a person sends it again",
        State.DELIVERED.value: "nothing",
        State.DROPPED.value: "nothing",
    }
    return f"next: {following.get(row.state, 'nothing: its state is not a known one')}"
