"""Who is in, and how far it goes: deterministic percentage flags and the gate in front of a dispatch.

The contents page: every public name, sorted, and the module it lives in; no logic. A name is loaded when it
is first used, so that `import rollout` costs next to nothing and loads nothing third-party.

    from rollout import FileSource, Gate, LiveFlags

    gate = Gate("tournament-webhooks", LiveFlags(FileSource("flags.json")))
    if gate(tournament_id):
        ...

The rings, from the inside: values (errors, percentage, flags, plan …), logic (bucketing, evaluator, guard,
controller …), services (live, gate, runner), adapters (sources, stores, observers, django). The map is
docs/explanation/architecture.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollout.context import EvaluationContext
    from rollout.controls import Controls, KillState
    from rollout.criteria import Criteria
    from rollout.decision import Decision, ErrorCode, Reason
    from rollout.errors import (
        ConfigError,
        FlagNotFound,
        InvalidContext,
        JournalBroken,
        RolloutError,
        StoreConflict,
        TargetingKeyMissing,
        TransitionError,
        TypeMismatch,
    )
    from rollout.evaluator import evaluate, evaluate_strict
    from rollout.events import Evaluated, Fact, Observer, RolloutChanged, SnapshotLoaded, SourceProblem
    from rollout.evidence import Evidence
    from rollout.flags import Condition, Flag, FlagKey, Operator, Rule, Variants
    from rollout.gate import Gate
    from rollout.guard import judge
    from rollout.live import LiveFlags
    from rollout.observers.log import LogObserver
    from rollout.percentage import Percentage
    from rollout.plan import Plan, Stage
    from rollout.rollout_state import RolloutState
    from rollout.runner import Runner
    from rollout.snapshot import Snapshot, SourceStatus
    from rollout.sources.base import FlagSource
    from rollout.sources.env import EnvironmentSource
    from rollout.sources.file import FileSource
    from rollout.sources.kill import KillFile
    from rollout.sources.memory import MappingSource
    from rollout.stores.base import RolloutStore
    from rollout.stores.memory import MemoryRolloutStore
    from rollout.verdict import Verdict

_NAMES = {
    "context": ("EvaluationContext",),
    "controls": ("Controls", "KillState"),
    "criteria": ("Criteria",),
    "decision": ("Decision", "ErrorCode", "Reason"),
    "errors": (
        *("ConfigError", "FlagNotFound", "InvalidContext", "JournalBroken", "RolloutError"),
        *("StoreConflict", "TargetingKeyMissing", "TransitionError", "TypeMismatch"),
    ),
    "evaluator": ("evaluate", "evaluate_strict"),
    "events": ("Evaluated", "Fact", "Observer", "RolloutChanged", "SnapshotLoaded", "SourceProblem"),
    "evidence": ("Evidence",),
    "flags": ("Condition", "Flag", "FlagKey", "Operator", "Rule", "Variants"),
    "gate": ("Gate",),
    "guard": ("judge",),
    "live": ("LiveFlags",),
    "observers.log": ("LogObserver",),
    "percentage": ("Percentage",),
    "plan": ("Plan", "Stage"),
    "rollout_state": ("RolloutState",),
    "runner": ("Runner",),
    "snapshot": ("Snapshot", "SourceStatus"),
    "sources.base": ("FlagSource",),
    "sources.env": ("EnvironmentSource",),
    "sources.file": ("FileSource",),
    "sources.kill": ("KillFile",),
    "sources.memory": ("MappingSource",),
    "verdict": ("Verdict",),
    "stores.base": ("RolloutStore",),
    "stores.memory": ("MemoryRolloutStore",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "Condition",
    "ConfigError",
    "Controls",
    "Criteria",
    "Decision",
    "EnvironmentSource",
    "ErrorCode",
    "Evaluated",
    "EvaluationContext",
    "Evidence",
    "Fact",
    "FileSource",
    "Flag",
    "FlagKey",
    "FlagNotFound",
    "FlagSource",
    "Gate",
    "InvalidContext",
    "JournalBroken",
    "KillFile",
    "KillState",
    "LiveFlags",
    "LogObserver",
    "MappingSource",
    "MemoryRolloutStore",
    "Observer",
    "Operator",
    "Percentage",
    "Plan",
    "Reason",
    "RolloutChanged",
    "RolloutError",
    "RolloutState",
    "RolloutStore",
    "Rule",
    "Runner",
    "Snapshot",
    "SnapshotLoaded",
    "SourceProblem",
    "SourceStatus",
    "Stage",
    "StoreConflict",
    "TargetingKeyMissing",
    "TransitionError",
    "TypeMismatch",
    "Variants",
    "Verdict",
    "evaluate",
    "evaluate_strict",
    "judge",
]


def __getattr__(name: str) -> object:
    """Load the module that holds *name* and return it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return list(__all__)
