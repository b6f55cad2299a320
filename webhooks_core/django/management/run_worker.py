"""`manage.py webhooks worker`: claims deliveries and sends them, until it is told to stop.

The first SIGTERM (or Ctrl-C) drains: what is under way is finished, the rest given back. The second one stops
at once; what was in hand is left to its leases. Explained in docs/how-to/run-the-worker.md.
"""

from __future__ import annotations

import sys
from typing import Any

from django.db import Error as DatabaseError
from django.db.models import Q

from webhooks_core.django import schema, working
from webhooks_core.django.answer import Answer, Exit
from webhooks_core.django.management.picking import Pick, outbox, refused
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.errors import ConfigError
from webhooks_core.outbox.lease import LEASE_SECONDS, LeasePolicy
from webhooks_core.outbox.states import State
from webhooks_core.worker import WorkerPolicy

WAY = (State.PENDING.value, State.CLAIMED.value)


def add(verbs: Any) -> None:
    """Add the command."""
    about = "send what the outbox holds, until SIGTERM"
    worker = verbs.add_parser("worker", help=about, description=about)
    ends = worker.add_mutually_exclusive_group()
    ends.add_argument("--once", action="store_true", help="end when nothing is due")
    ends.add_argument("--drain", action="store_true", help="end when nothing is on its way, retries included")
    policy = WorkerPolicy()
    for name, kind, default, about in (
        ("--threads", int, policy.threads, "attempts at a time"),
        ("--batch", int, policy.batch, "rows of one claim or settle"),
        ("--lease", float, LEASE_SECONDS, "seconds a row is this worker's; it is renewed"),
        ("--poll", float, policy.poll_seconds, "seconds between looks for new rows"),
    ):
        worker.add_argument(name, type=kind, default=default, help=f"{about} (default: %(default)s)")
    worker.add_argument("--name", help="for people to read (default: host:process)")
    worker.set_defaults(answer=run_worker)


def run_worker(options: dict[str, Any]) -> Answer:
    """Work."""
    try:
        policy = WorkerPolicy(
            threads=options["threads"],
            batch=options["batch"],
            lease=LeasePolicy(seconds=options["lease"]),
            poll_seconds=options["poll"],
        )
    except ConfigError as error:
        raise refused(str(error)) from error
    kept = outbox()
    try:
        shell = working.shell(policy, name=options["name"])
    except ConfigError as error:
        raise refused(str(error)) from error
    schema.look(kept.database.alias)  # after the shell, which says how long a connection may take
    way = _Way(kept) if options["drain"] else None
    with shell.handling_signals():
        left = shell.run(until_idle=options["once"] or way is not None, is_done=way)
    data: dict[str, object] = {"left": left}
    lines = [f"Worker ended, {left} deliveries left in hand."]
    if way is not None and way.behind_held:
        data["behind_held"] = way.behind_held
        lines.append(f"{way.behind_held} wait behind held ones of their ordering key: release or drop those.")
    return Answer(code=Exit.FAILED if left else Exit.DONE, lines=lines, data=data)


class _Way:
    """Whether nothing is on its way any more; how much is left is shown where a person is looking."""

    def __init__(self, kept: DjangoOutbox) -> None:
        self._kept = kept
        self.behind_held = 0

    def __call__(self) -> bool:
        rows = Pick(states=WAY).rows(self._kept).order_by()
        moves = Q(turn__isnull=False) | Q(due_at__isnull=False)  # else parked, behind another of its key
        try:
            left = rows.filter(moves).count()
            self.behind_held = 0 if left else rows.count()
        except DatabaseError:  # the worker meets it, too, and waits until it is there again
            self._kept.database.let_go()
            return False
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{left} on their way   " + ("\n" if not left else ""))
        return not left
