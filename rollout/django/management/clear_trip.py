"""`manage.py rollout clear-trip`: what tripped on personal data is mended, says another person.

Invariants: the name on a command line is not authenticated, and the journal says so; without `--actor` and
`--reason` nothing is cleared. Explained in docs/how-to/clear-a-trip.md.
"""

from __future__ import annotations

from typing import Any

from rollout.django import clearing
from rollout.django.management.words import actor, refusal
from rollout.errors import ConfigError, KillFileStuck, StoreConflict, TransitionError
from webhooks_core.django.answer import Answer, Exit

__all__ = ["add"]


def add(nouns: Any) -> None:
    """Add the command."""
    about = "personal data was found, and the call that sent it is corrected: let this host send again"
    parser = nouns.add_parser("clear-trip", help=about, description=about)
    about = "who you are, an id and no address; not who last let units in"
    parser.add_argument("--actor", required=True, help=about)
    parser.add_argument("--reason", required=True, help="what was mended, for the journal")
    parser.set_defaults(answer=clear_trip)


def clear_trip(options: dict[str, Any]) -> Answer:
    """Clear this host's trip."""
    by = actor(options)
    try:
        done = clearing.clear_trip(by=by, reason=options["reason"])
    except KillFileStuck as error:
        raise refusal(f"STILL STOPPED: {error}", code=Exit.FAILED) from error
    except (ConfigError, TransitionError, StoreConflict) as error:
        raise refusal(f"{error}; nothing was cleared") from error
    path = clearing.tripwire().path
    lines = [f"  {each}, found by {each.process}" for each in done.trips]
    first = f"The trip file {path!a} is {'removed' if done.was_there else 'not there'}."
    state = done.state
    if state is not None:
        lines.append(
            f"{state.flag} is {state.state}; `rollout start` begins again."
            " Other hosts have files of their own."
        )
    elif done.was_there:
        lines.append(
            "Without a plan there is no journal: the log has who, and why (`Rollout trip cleared: …`)."
        )
    data = {
        "path": path,
        "was_there": done.was_there,
        "trips": [each.as_dict() for each in done.trips],
        "actor": by.name,
        "authenticated": by.authenticated,
        "state": None if state is None else state.state.value,
    }
    return Answer(lines=[first, *lines], data=data)
