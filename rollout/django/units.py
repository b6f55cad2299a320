"""The units of the project, as `ROLLOUT["UNITS"]` names what returns them: how many there are, and are in.

The callable is the project's own code and reads a table of any size. Invariants: whatever it raises ends
here; nothing depends on it but what people are told. Explained in docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from django.utils.module_loading import import_string

from rollout.controls import Controls
from rollout.django import wiring
from rollout.evaluator import compile_flag
from rollout.flags import FlagKey
from rollout.percentage import Percentage

__all__ = ["Cohort", "over_units"]

T = TypeVar("T")


def over_units(path: str | None, ask: Callable[[Iterable[object]], T]) -> tuple[T | None, str]:
    """Return what *ask* makes of all units; where that fails, None and the error's type. Never raises.

    Args:
        path: The dotted path of what returns all units' ids; None: nobody can tell, which is no failure.
        ask: Given the units as they come, to be passed through once.
    """
    if path is None:
        return None, ""
    try:
        return ask(import_string(path)()), ""
    except Exception as error:  # noqa: BLE001 - the project's own callable; that nobody could count is said
        return None, type(error).__name__


class Cohort:
    """Count the units that would be in at a percentage: at most once in ten minutes for each percentage.

    Args:
        units: The dotted path of what returns all units' ids; None: nobody can tell.
        flag: The flag's key.
        monotonic: Seconds for measuring.
    """

    REST_SECONDS = 600.0  # the callable reads a table of any size, and the runner ticks every few seconds

    def __init__(
        self,
        units: str | None,
        flag: FlagKey,
        *,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - the edge: a default clock
    ) -> None:
        self._units = units
        self._flag = flag
        self._monotonic = monotonic
        self._counted: dict[Percentage, tuple[float, int | None]] = {}

    def __call__(self, percentage: Percentage) -> int | None:
        """Return how many; None where nobody can tell. Never raises."""
        if self._units is None:
            return None
        now = self._monotonic()
        at, count = self._counted.get(percentage, (float("-inf"), None))
        if now - at >= self.REST_SECONDS:
            count = self._count(percentage)
            self._counted[percentage] = (now, count)
        return count

    def _count(self, percentage: Percentage) -> int | None:
        def inside(units: Iterable[object]) -> int:
            controls = Controls(ceilings={self._flag: percentage})
            compiled = compile_flag(wiring.built().flags.snapshot(), self._flag, controls)
            return sum(compiled.is_on(unit) for unit in units)

        return over_units(self._units, inside)[0]
