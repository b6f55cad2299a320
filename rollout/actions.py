"""What follows from a step: small frozen values for whoever applies, tells or shows them.

The state is what is in force, and is written first; an action says what became of it. So losing one after a
crash loses a message, never a rollback. Explained in docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from rollout.percentage import Percentage

__all__ = ["Action", "AskHeld", "SetCeiling", "SetRate", "Tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCeiling:
    """Every sender must obey another ceiling from *epoch* on.

    Args:
        percentage: The ceiling; None: there is none.
        epoch: What senders acknowledge.
        shadow: Whether envelopes are built, checked and signed although nothing is sent.
    """

    percentage: Percentage | None
    epoch: int
    shadow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRate:
    """The fleet sends at most this many deliveries a second; None: no cap."""

    per_second: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Somebody should know: an e-mail, a chat message, a line on a page.

    Args:
        what: The state that was reached, `STORE_WENT_BACK` or `COHORT`.
        text: One sentence with the numbers.
    """

    what: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHeld:
    """Deliveries held since the rollback may be waiting: ask a person to release, keep or drop them."""


Action: TypeAlias = SetCeiling | SetRate | Tell | AskHeld
