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
    from rollout.context import EvaluationContext as EvaluationContext
    from rollout.controls import Controls as Controls
    from rollout.controls import KillState as KillState
    from rollout.criteria import Criteria as Criteria
    from rollout.decision import Decision as Decision
    from rollout.decision import ErrorCode as ErrorCode
    from rollout.decision import Reason as Reason
    from rollout.errors import ConfigError as ConfigError
    from rollout.errors import FlagNotFound as FlagNotFound
    from rollout.errors import InvalidContext as InvalidContext
    from rollout.errors import JournalBroken as JournalBroken
    from rollout.errors import RolloutError as RolloutError
    from rollout.errors import StoreConflict as StoreConflict
    from rollout.errors import TargetingKeyMissing as TargetingKeyMissing
    from rollout.errors import TransitionError as TransitionError
    from rollout.evaluator import evaluate as evaluate
    from rollout.evaluator import evaluate_strict as evaluate_strict
    from rollout.events import Evaluated as Evaluated
    from rollout.events import Fact as Fact
    from rollout.events import Observer as Observer
    from rollout.events import RolloutChanged as RolloutChanged
    from rollout.events import SnapshotLoaded as SnapshotLoaded
    from rollout.events import SourceProblem as SourceProblem
    from rollout.evidence import Evidence as Evidence
    from rollout.flags import Condition as Condition
    from rollout.flags import Flag as Flag
    from rollout.flags import FlagKey as FlagKey
    from rollout.flags import Operator as Operator
    from rollout.flags import Rule as Rule
    from rollout.flags import Variants as Variants
    from rollout.gate import Gate as Gate
    from rollout.guard import judge as judge
    from rollout.live import LiveFlags as LiveFlags
    from rollout.observers.log import LogObserver as LogObserver
    from rollout.percentage import Percentage as Percentage
    from rollout.plan import Plan as Plan
    from rollout.plan import Stage as Stage
    from rollout.rollout_state import RolloutState as RolloutState
    from rollout.runner import Runner as Runner
    from rollout.snapshot import Snapshot as Snapshot
    from rollout.snapshot import SourceStatus as SourceStatus
    from rollout.sources.base import FlagSource as FlagSource
    from rollout.sources.env import EnvironmentSource as EnvironmentSource
    from rollout.sources.file import FileSource as FileSource
    from rollout.sources.kill import KillFile as KillFile
    from rollout.sources.memory import MappingSource as MappingSource
    from rollout.stores.base import RolloutStore as RolloutStore
    from rollout.stores.memory import MemoryRolloutStore as MemoryRolloutStore
    from rollout.verdict import Verdict as Verdict

_NAMES = {
    "context": ("EvaluationContext",),
    "controls": ("Controls", "KillState"),
    "criteria": ("Criteria",),
    "decision": ("Decision", "ErrorCode", "Reason"),
    "errors": (
        *("ConfigError", "FlagNotFound", "InvalidContext", "JournalBroken", "RolloutError"),
        *("StoreConflict", "TargetingKeyMissing", "TransitionError"),
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
    "stores.base": ("RolloutStore",),
    "stores.memory": ("MemoryRolloutStore",),
    "verdict": ("Verdict",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

# Checkers of types see the imports above and nothing else: a name that is not there is an error to them.
if not TYPE_CHECKING:  # pragma: no branch (it always is, where it runs)
    __all__ = sorted(_HOMES)  # noqa: PLE0605 (a list; the names stand above)

    def __getattr__(name: str) -> object:
        """Load the module that holds *name* and return it."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(_HOMES)
