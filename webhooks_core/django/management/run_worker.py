"""`manage.py webhooks worker`: claims deliveries and sends them, until it is told to stop.

The first SIGTERM (or Ctrl-C) drains: what is under way is finished, the rest given back. The second one stops
at once; what was in hand is left to its leases. Explained in docs/how-to/run-the-worker.md.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from webhooks_core.django import schema, working
from webhooks_core.django.answer import Answer, Exit
from webhooks_core.django.management.picking import Pick, outbox, refused
from webhooks_core.engines.worker import WorkerShell
from webhooks_core.errors import ConfigError
from webhooks_core.outbox.lease import LEASE_SECONDS, LeasePolicy
from webhooks_core.outbox.states import State
from webhooks_core.worker import WorkerPolicy

WAY = (State.PENDING.value, State.CLAIMED.value)
_LONGEST_WAIT = 1.0


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
    if options["drain"]:
        left = _drain(shell, policy, options)
    else:
        with shell.handling_signals():
            left = shell.run(until_idle=options["once"])
    code = Exit.FAILED if left else Exit.DONE
    return Answer(code=code, lines=[f"Worker ended, {left} deliveries left in hand."], data={"left": left})


def _drain(shell: WorkerShell, policy: WorkerPolicy, options: dict[str, Any]) -> int:
    """Work until nothing is on its way, and show how much is left where a person is looking."""
    kept = outbox()
    while True:
        with shell.handling_signals():
            left = shell.run(until_idle=True)
        waiting = Pick(states=WAY).rows(kept).count()
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{waiting} on their way   " + ("\n" if not waiting else ""))
        if not waiting or left or shell.was_stopped:
            return left
        due = kept.next_due()
        wait = _LONGEST_WAIT if due is None else due - kept.now()
        time.sleep(min(_LONGEST_WAIT, max(0.05, wait)))  # noqa: TID251 - the shell of a process
        shell = working.shell(policy, name=options["name"])
