"""What stands above every flag: the kill switch, the master switch and the ceilings. Nothing is read here.

The invariant: only what is certainly good lets a flag be on. An unknown master switch is off, a ceiling
that cannot be read is off, and a ceiling of 0 is nobody, forced-on units included. Explained in
docs/explanation/bucketing.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rollout.flags import FlagKey
from rollout.percentage import Percentage

__all__ = ["NOT_KILLED", "Controls", "KillState", "KillSwitch", "always_on", "no_ceilings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KillState:
    """Whether the kill switch is pulled, and how that is known.

    Args:
        killed: Anything but exactly False counts as pulled.
        why: What was seen, for the decision's detail; empty when it is not pulled.
    """

    killed: bool
    why: str = ""


#: The kill switch when nobody has pulled it.
NOT_KILLED = KillState(killed=False)


class KillSwitch(Protocol):
    """Whether everything is stopped."""

    def state(self) -> KillState:
        """Look now. One that raises counts as pulled."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The state of everything that can stop a flag from above.

    Args:
        kill: The kill switch.
        master: The master switch; None is an unknown word: off, with reason ERROR.
        ceilings: The highest percentage in force for a flag, whoever owns its percentage. A flag that is
            not in it has none; a value that is no `Percentage` closes its flag.
        problem: What kept the controls from being read; with any, every flag is off, with reason ERROR.
    """

    kill: KillState = NOT_KILLED
    master: bool | None = True
    ceilings: Mapping[FlagKey, Percentage] = field(default_factory=dict)
    problem: str | None = None


def always_on() -> bool:
    """Be the master switch of those who have none."""
    return True


def no_ceilings() -> Mapping[FlagKey, Percentage]:
    """Be the ceilings of those who have none."""
    return {}
