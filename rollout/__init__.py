"""Who is in, and how far it goes: deterministic percentage flags and the gate in front of a dispatch.

The contents page: every public name, sorted, and the module it lives in; no logic. A name is loaded when it is first
used, so that `import rollout` costs next to nothing and loads nothing third-party.

    from rollout import FileSource, Gate, LiveFlags

    gate = Gate("tournament-webhooks", LiveFlags(FileSource("flags.json")))
    if gate(tournament_id):
        ...

The rings, from the inside: values (errors, percentage, context, flags, decision, controls, events), logic (bucketing,
rules, evaluator), services (live, gate), adapters (sources, observers, django). The map is
docs/explanation/architecture.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollout.context import EvaluationContext
    from rollout.controls import Controls, KillState
    from rollout.decision import Decision, ErrorCode, Reason
    from rollout.errors import (
        ConfigError,
        FlagNotFound,
        InvalidContext,
        RolloutError,
        TargetingKeyMissing,
        TypeMismatch,
    )
    from rollout.evaluator import evaluate, evaluate_strict
    from rollout.events import Evaluated, Fact, Observer, RolloutChanged, SnapshotLoaded, SourceProblem
    from rollout.flags import Condition, Flag, FlagKey, Operator, Rule, Variants
    from rollout.gate import Gate
    from rollout.live import LiveFlags
    from rollout.observers.log import LogObserver
    from rollout.percentage import Percentage
    from rollout.sources.base import FlagSource, Snapshot, SourceStatus
    from rollout.sources.env import EnvironmentSource
    from rollout.sources.file import FileSource
    from rollout.sources.kill import KillFile
    from rollout.sources.memory import MappingSource

_HOMES = {
    "Condition": "flags",
    "ConfigError": "errors",
    "Controls": "controls",
    "Decision": "decision",
    "EnvironmentSource": "sources.env",
    "ErrorCode": "decision",
    "Evaluated": "events",
    "EvaluationContext": "context",
    "Fact": "events",
    "FileSource": "sources.file",
    "Flag": "flags",
    "FlagKey": "flags",
    "FlagNotFound": "errors",
    "FlagSource": "sources.base",
    "Gate": "gate",
    "InvalidContext": "errors",
    "KillFile": "sources.kill",
    "KillState": "controls",
    "LiveFlags": "live",
    "LogObserver": "observers.log",
    "MappingSource": "sources.memory",
    "Observer": "events",
    "Operator": "flags",
    "Percentage": "percentage",
    "Reason": "decision",
    "RolloutChanged": "events",
    "RolloutError": "errors",
    "Rule": "flags",
    "Snapshot": "sources.base",
    "SnapshotLoaded": "events",
    "SourceProblem": "events",
    "SourceStatus": "sources.base",
    "TargetingKeyMissing": "errors",
    "TypeMismatch": "errors",
    "Variants": "flags",
    "evaluate": "evaluator",
    "evaluate_strict": "evaluator",
}

__all__ = [  # noqa: RUF022 (sorted as the table above is: capitals first)
    "Condition",
    "ConfigError",
    "Controls",
    "Decision",
    "EnvironmentSource",
    "ErrorCode",
    "Evaluated",
    "EvaluationContext",
    "Fact",
    "FileSource",
    "Flag",
    "FlagKey",
    "FlagNotFound",
    "FlagSource",
    "Gate",
    "InvalidContext",
    "KillFile",
    "KillState",
    "LiveFlags",
    "LogObserver",
    "MappingSource",
    "Observer",
    "Operator",
    "Percentage",
    "Reason",
    "RolloutChanged",
    "RolloutError",
    "Rule",
    "Snapshot",
    "SnapshotLoaded",
    "SourceProblem",
    "SourceStatus",
    "TargetingKeyMissing",
    "TypeMismatch",
    "Variants",
    "evaluate",
    "evaluate_strict",
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
