"""`manage.py webhooks sweep` and `prune`: finding what a lost hint left behind, and removing old rows.

Invariants: only rows that have ended well, or that a person has given up, are removed, in portions of one
short transaction each; a sweep sends nothing (the engine `celery` is told to) and changes no row's due moment
but that of one that nobody would wake. Explained in docs/how-to/run-the-worker.md.
"""

from __future__ import annotations

from typing import Any

from webhooks_core.django import hinting
from webhooks_core.django.answer import Answer, Exit
from webhooks_core.django.management.picking import Pick, moment, outbox, refused
from webhooks_core.django.models import Attempt, Delivery, WorkerBeat
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.django.outbox.entry import LOOK_NOW
from webhooks_core.django.stores.replay import DatabaseReplayStore
from webhooks_core.outbox.states import State

PRUNED = (State.DELIVERED.value, State.DROPPED.value)
DEAD_WORKER_SECONDS = 86_400.0
_MOST_IDS = 500  # of one statement


def add(verbs: Any) -> None:
    """Add both commands."""
    about = "look at everything that is due, wake what is parked for nothing, and say what is waiting"
    sweep = verbs.add_parser("sweep", help=about, description=about)
    sweep.set_defaults(answer=sweep_outbox)
    about = "remove deliveries that arrived or were dropped long ago, and ids that receivers have forgotten"
    prune = verbs.add_parser("prune", help=about, description=about)
    prune.add_argument("--older-than", default="30d", help="30d, 12h (default: %(default)s)")
    prune.add_argument("--dead", action="store_true", help="dead deliveries as well")
    about = "rows of one transaction (default: %(default)s)"
    prune.add_argument("--batch", type=int, default=1_000, help=about)
    prune.add_argument("--dry-run", action="store_true", help="count only")
    prune.add_argument("--yes", action="store_true", help="needed to remove anything")
    prune.set_defaults(answer=prune_outbox)


def sweep_outbox(_options: dict[str, Any]) -> Answer:
    """Look at what is due."""
    kept = outbox()
    parked = (
        Pick(states=[State.PENDING.value])
        .rows(kept)
        .filter(ordering_key__isnull=False, turn__isnull=True, due_at__isnull=True)
    )
    woken = parked.order_by().update(due_at=LOOK_NOW)
    endpoints = sorted(kept.ready_endpoints())
    foreign = dict(kept.foreign())
    hint = hinting.wanted()
    if endpoints and hint is not None:
        hint(())
    lines = [
        f"Ready: {', '.join(endpoints) or 'nothing'}; {woken} parked rows were looked at.",
        *["Celery's workers were told." for _ in endpoints[:1] if hint is not None],
        *[f"Left alone: {count} of environment {name}" for name, count in sorted(foreign.items())],
    ]
    return Answer(lines=lines, data={"ready": endpoints, "woken": woken, "foreign": foreign})


def prune_outbox(options: dict[str, Any]) -> Answer:
    """Remove old rows."""
    kept = outbox()
    if options["batch"] < 1:
        raise refused("--batch must be 1 or more")
    now = kept.now()
    before = moment(options["older_than"], now=now)
    states = [*PRUNED, State.DEAD.value] if options["dead"] else list(PRUNED)
    pick = Pick(states=states, before=before)
    if options["dry_run"] or not options["yes"]:
        count = pick.rows(kept).count()
        data: dict[str, object] = {"found": count, "removed": 0, "dry_run": options["dry_run"]}
        lines = [f"{count} deliveries would be removed."]
        if options["dry_run"] or not count:
            return Answer(lines=lines, data=data)
        problem = f"{count} deliveries would be removed: say --yes"
        return Answer(code=Exit.REFUSED, lines=[problem], data={**data, "error": problem})
    removed, alias = 0, kept.database.alias
    while count := _removed(kept, pick, most=options["batch"]):
        removed += count
    seen = 0
    while forgotten := DatabaseReplayStore(using=alias).forget(now=now, most=options["batch"]):
        seen += forgotten
    WorkerBeat.objects.using(alias).filter(
        environment=kept.environment, seen_at__lt=now - DEAD_WORKER_SECONDS
    ).delete()
    lines = [f"{removed} deliveries and {seen} ids of receivers removed."]
    return Answer(lines=lines, data={"removed": removed, "forgotten": seen, "dry_run": False})


def _removed(kept: DjangoOutbox, pick: Pick, *, most: int) -> int:
    """Remove one portion with its attempts, in one transaction, and return how many those were.

    What somebody else has under way is passed by: a dead row that is being sent again is none to be removed.
    """
    with kept.database.transaction():
        rows = pick.rows(kept)
        if kept.database.is_postgres:
            rows = rows.select_for_update(skip_locked=True)
        ids = list(rows.values_list("id", flat=True)[:most])
        for begin in range(0, len(ids), _MOST_IDS):
            portion = ids[begin : begin + _MOST_IDS]
            Attempt.objects.using(kept.database.alias).filter(delivery_id__in=portion).delete()
            gone = Delivery.objects.using(kept.database.alias).filter(id__in=portion)
            gone._raw_delete(kept.database.alias)
    return len(ids)
