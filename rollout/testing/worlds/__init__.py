"""Simulated worlds: what thresholds do to a rollout, before it is yours.

`simulate(World(...), seed)` runs the guard over one world; `CATALOGUE` has the worlds that the defaults are
measured in, `spread` deals a number of runs over them, `table` prints what came of it. Nothing in `rollout`
imports this package. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from rollout.testing.worlds.catalogue import CATALOGUE, Kind, Promise
from rollout.testing.worlds.receiver import Health
from rollout.testing.worlds.report import Task, broken, short_run, spread, table
from rollout.testing.worlds.traffic import Fault, Texture, World
from rollout.testing.worlds.world import Outcome, simulate

__all__ = [
    "CATALOGUE",
    "Fault",
    "Health",
    "Kind",
    "Outcome",
    "Promise",
    "Task",
    "Texture",
    "World",
    "broken",
    "short_run",
    "simulate",
    "spread",
    "table",
]
