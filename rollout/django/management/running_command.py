"""`manage.py rollout run`: drives the rollout until it is told to stop; others stand by.

Explained in docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from typing import Any

from rollout.django import driving, running
from rollout.django.management.words import refusal
from rollout.errors import ConfigError
from rollout.runner import Outcome, Pass
from webhooks_core.django.answer import Answer, Exit

__all__ = ["add"]

# Of one pass: what a timer's log must show.
_UNDONE = {Outcome.STORE_WENT_BACK: Exit.HOLD, Outcome.CONFLICT: Exit.FAILED}


def add(nouns: Any) -> None:
    """Add the command."""
    about = "drive the rollout by its plan until SIGTERM; several runners: one works, the others stand by"
    run = nouns.add_parser("run", help=about, description=about)
    run.add_argument("--once", action="store_true", help="one pass, then end")
    about = "seconds between passes (default: %(default)s)"
    run.add_argument(
        "--interval", type=float, default=running.INTERVAL_SECONDS, metavar="SECONDS", help=about
    )
    about = "seconds without a pass after which another runner takes over (default: %(default)s)"
    run.add_argument("--lease", type=float, default=running.LEASE_SECONDS, metavar="SECONDS", help=about)
    run.set_defaults(answer=run_rollout)


def run_rollout(options: dict[str, Any]) -> Answer:
    """Make one pass, or passes until somebody asks to stop."""
    try:
        driving.store()
        if options["once"]:
            return _told(running.once(lease_seconds=options["lease"]))
        shell = running.RunnerShell(
            name=driving.owner(), interval_seconds=options["interval"], lease_seconds=options["lease"]
        )
    except ConfigError as error:
        code = Exit.REFUSED if error.path in ("interval", "lease_seconds") else Exit.UNREADABLE
        raise refusal(str(error), code=code) from error
    with shell.handling_signals():
        shell.run()
    return Answer(lines=[f"Runner {shell.name} ended."], data={"runner": shell.name})


def _told(made: Pass) -> Answer:
    data: dict[str, object] = {"outcome": made.outcome.value, "state": None, "waiting_for": []}
    if made.outcome is Outcome.STANDBY or made.state is None:
        return Answer(lines=["Another runner is at work."], data=data)
    data["state"] = made.state.state.value
    data["waiting_for"] = [{"kind": each.kind.value, "text": each.text} for each in made.waiting_for]
    code = _UNDONE.get(made.outcome, Exit.DONE)
    lines = [f"{made.state.flag} is {made.state.state}: {made.outcome.value.lower().replace('_', ' ')}."]
    lines += [f"  waits: {each.text}" for each in made.waiting_for]
    return Answer(code=code, lines=lines, data=data, is_report=True)
