"""What a person, a tripwire or the runner asks of a rollout. Values only; the controller decides.

The invariant: every command but `Tick` names who gives it, and a reason, which is kept in the journal.
Explained in docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from rollout.actor import MACHINE, Actor, clean_reason
from rollout.errors import ConfigError
from rollout.percentage import Percentage

__all__ = [
    "AcceptStore",
    "Advance",
    "Approve",
    "ChangeFlag",
    "ClearTrip",
    "Command",
    "Kill",
    "Pause",
    "Replan",
    "Resume",
    "RollBack",
    "SetPercentage",
    "Spoken",
    "Start",
    "Tick",
    "Unkill",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Look at the evidence and go on, hold or roll back. The runner's command, and nobody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """What every command of a person or a tripwire has.

    Args:
        by: Who gives it.
        reason: Why, for the journal; cut to 500 printable characters.
    """

    by: Actor
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", clean_reason(self.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class _PersonsWord(_Word):
    """One that the machine itself never gives."""

    def __post_init__(self) -> None:
        # No zero-argument super(): a slotted dataclass is made twice, and the cell holds the first one.
        _Word.__post_init__(self)
        if self.by.name == MACHINE.name:
            raise ConfigError("actor", f"{MACHINE.name!r} is the machine's own name; say who you are")


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack(_Word):
    """Let nothing through from now on. Always possible; the one command that a tripwire gives too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill(_Word):
    """The kill switch was pulled: as `RollBack`, and no start until `Unkill`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unkill(_PersonsWord):
    """The kill switch may be forgotten. What was rolled back stays so until a start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(_PersonsWord):
    """Pin the plan and begin its first stage.

    Args:
        confirm: Begin although a freeze is on.
    """

    confirm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(_PersonsWord):
    """Stay at this percentage until `Resume`. The guard stays on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(_PersonsWord):
    """Go on after `Pause` or `SetPercentage`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve(_PersonsWord):
    """Let the next stage begin once the guard passes; it raises nothing by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance(_PersonsWord):
    """Begin the next stage now, whatever its bake time.

    Args:
        force: Although the guard does not pass, or a freeze is on. Needs a reason.
        to: The percentage that the person saw as the next one; another one is refused, so that a command
            that is given twice does not go two stages. None: whichever is next.
    """

    force: bool = False
    to: Percentage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPercentage(_PersonsWord):
    """Set the ceiling by hand, and pause there.

    Args:
        percentage: Never above the plan. More than now needs a reason.
        confirm: More than the next stage, or more than now while a freeze is on.
    """

    percentage: Percentage
    confirm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replan(_PersonsWord):
    """Pin the plan as it is written now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptStore(_PersonsWord):
    """The store is right as it stands, though it may have gone back: go on from there. Needs a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearTrip(_PersonsWord):
    """What tripped is mended: the journal's row of it. Needs a reason, and lets nothing through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFlag(_PersonsWord):
    """The flag itself says something else, where the database owns it: the journal's row of it.

    The ceiling stays what it is. Needs a reason, that begins with what was changed.
    """


#: What a person or a tripwire says; each has `by` and `reason`.
Spoken: TypeAlias = (
    RollBack
    | Kill
    | Unkill
    | Start
    | Pause
    | Resume
    | Approve
    | Advance
    | SetPercentage
    | Replan
    | AcceptStore
    | ClearTrip
    | ChangeFlag
)
Command: TypeAlias = Tick | Spoken
