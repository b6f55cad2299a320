"""`RecordingObserver`: a list of the facts that were told.

For tests. Invariant: the order is that of telling, from all threads. Explained in
docs/how-to/test-code-that-sends-webhooks.md.
"""

from __future__ import annotations

from typing import TypeVar

from webhooks_core.events import Fact

F = TypeVar("F")


class RecordingObserver:
    """Remember every fact.

    Example: `Sender(…, observer=(seen := RecordingObserver()))`, then `seen.of(GivenUp)`.
    """

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def __call__(self, fact: Fact) -> None:
        """Remember *fact*."""
        self.facts.append(fact)

    def of(self, kind: type[F]) -> list[F]:
        """Return the facts of one kind, in order."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def kinds(self) -> list[str]:
        """Return the names of all facts' kinds, in order."""
        return [type(fact).__name__ for fact in self.facts]

    def clear(self) -> None:
        """Forget everything."""
        self.facts.clear()
