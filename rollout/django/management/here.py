"""What a start asks of the host it is given on: a file that stops it, a switch that is off.

Reading only. Invariant: a rollout is not started where the next pass of a runner on this host would roll it
back at once. Explained in docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from rollout.django.management.standing import this_host
from rollout.django.management.words import refusal
from webhooks_core.django.answer import Exit

__all__ = ["before_a_start"]


def before_a_start() -> str:
    """Return what a person should know of this host before a start; empty where nothing.

    Raises:
        Refused: The kill file or the trip file of this host is there; nothing was changed.
    """
    host = this_host()
    if stopped := host.stopped():
        raise refusal(f"{stopped}; nothing was changed", code=Exit.KILLED)
    off = host.switched_off()
    return f"{off}: nothing is sent from here until it is on." if off else ""
