"""Interleaved rounds: every case once, then every case again: a machine whose speed drifts treats all alike.

Each round gives one figure a case; the table shows the median, the spread (first to third quartile) and the
median of the per-round ratios to the baseline. Nothing here knows what is measured.
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A bound on `ratio of case to peer`, from the project's figures. `most` or `least`, never both."""

    case: str
    peer: str
    most: float | None = None
    least: float | None = None

    def __str__(self) -> str:
        bound = f"<= {self.most}" if self.most is not None else f">= {self.least}"
        return f"{self.case} / {self.peer} {bound}"

    def holds(self, ratio: float) -> bool:
        return ratio <= self.most if self.most is not None else ratio >= (self.least or 0.0)


def per_call(function: Callable[[], object], *, calls: int) -> float:
    """Return the nanoseconds one call of *function* takes, over *calls* calls in one go."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        begun = time.perf_counter()
        for _ in range(calls):
            function()
        return (time.perf_counter() - begun) / calls * 1e9
    finally:
        if enabled:
            gc.enable()


def interleave(cases: dict[str, Callable[[], float]], *, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Run each case once to warm up, then *rounds* times in turn, every other round backwards."""
    for run in cases.values():
        run()
    figures: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds):
        names = list(cases) if turn % 2 == 0 else list(reversed(cases))
        for name in names:
            figures[name].append(cases[name]())
    return figures


def ratio(figures: dict[str, list[float]], case: str, peer: str) -> float:
    """Return the median of the per-round ratios case / peer."""
    return statistics.median(a / b for a, b in zip(figures[case], figures[peer], strict=True))


def report(
    title: str, figures: dict[str, list[float]], *, unit: str, baseline: str, targets: tuple[Target, ...] = ()
) -> bool:
    """Print the table and every target with its ratio; return whether all targets hold."""
    rounds = len(next(iter(figures.values())))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"\n{title}\n{python}, {rounds} interleaved rounds")
    width = max(len(name) for name in figures)
    print(f"{'case':<{width}}  {'median ' + unit:>14}  {'q1 – q3':>21}  {'× ' + baseline:>12}")
    for name, values in figures.items():
        q1, middle, q3 = statistics.quantiles(values, n=4)
        spread, share = f"{q1:,.1f} – {q3:,.1f}", ratio(figures, name, baseline)
        print(f"{name:<{width}}  {middle:>14,.1f}  {spread:>21}  {share:>12.2f}")
    every = True
    for target in targets:
        measured = ratio(figures, target.case, target.peer)
        every = every and target.holds(measured)
        print(f"{'ok  ' if target.holds(measured) else 'MISS'} {target}: {measured:.2f}")
    if "--json" in sys.argv:
        print(json.dumps({"title": title, "unit": unit, "figures": figures}))
    return every
