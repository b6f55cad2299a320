"""What follows from a step: small frozen values for whoever tells or shows them.

The state is what is in force, ceiling and rate with it, and is written first; an action says what became of
it. So losing one after a crash loses a message, never a rollback. Explained in
docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Action", "AskHeld", "Tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Somebody should know: an e-mail, a chat message, a line on a page.

    Args:
        what: The state that was reached, or `COHORT`.
        text: One sentence with the numbers.
    """

    what: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHeld:
    """Deliveries held since the rollback may be waiting: ask a person to release, keep or drop them."""


Action: TypeAlias = Tell | AskHeld
