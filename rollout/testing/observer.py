"""An observer that remembers what it was told, for tests."""

from __future__ import annotations

from typing import TypeVar

from rollout.events import Fact

__all__ = ["RecordingObserver"]

F = TypeVar("F")


class RecordingObserver:
    """Remember every fact, in order, in `facts`."""

    __slots__ = ("facts",)

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def __call__(self, fact: Fact) -> None:
        """Remember *fact*."""
        self.facts.append(fact)

    def of(self, kind: type[F]) -> list[F]:
        """Return the facts of one kind, in order."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def clear(self) -> None:
        """Forget everything."""
        self.facts.clear()
