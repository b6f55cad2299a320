"""The contents pages: pinned, sorted, lazy, and loading nothing third-party."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rollout
import rollout.testing

PINNED = """
Condition ConfigError Controls Criteria Decision EnvironmentSource ErrorCode Evaluated
EvaluationContext Evidence Fact FileSource Flag FlagKey FlagNotFound FlagSource Gate InvalidContext
JournalBroken KillFile KillState LiveFlags LogObserver MappingSource MemoryRolloutStore Observer
Operator Percentage Plan Reason RolloutChanged RolloutError RolloutState RolloutStore Rule Runner
Snapshot SnapshotLoaded SourceProblem SourceStatus Stage StoreConflict TargetingKeyMissing
TransitionError Variants Verdict evaluate evaluate_strict judge
"""
PINNED_TESTING = "FlagSourceContract ManualClock RecordingObserver RolloutStoreContract override_flag"


@pytest.mark.parametrize(
    ("facade", "pinned"), [(rollout, PINNED), (rollout.testing, PINNED_TESTING)], ids=["rollout", "testing"]
)
def test_the_public_names_are_pinned_and_sorted(facade: object, pinned: str) -> None:
    """To add a public name is a visible act."""
    assert facade.__all__ == pinned.split()  # type: ignore[attr-defined]
    assert facade.__all__ == sorted(facade.__all__)  # type: ignore[attr-defined]
    assert dir(facade) == facade.__all__


@pytest.mark.parametrize("facade", [rollout, rollout.testing], ids=["rollout", "testing"])
def test_every_public_name_is_there(facade: object) -> None:
    """Each is loaded from its home; any other is refused as by any module."""
    for name in facade.__all__:  # type: ignore[attr-defined]
        assert getattr(facade, name) is getattr(facade, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        facade.nothing  # type: ignore[attr-defined]


def test_importing_loads_nothing_third_party_and_nothing_heavy() -> None:
    """A fresh interpreter: no asyncio, logging, socket, ssl or email for the core."""
    code = (
        "import sys; before = set(sys.modules); import rollout;"
        "names = [rollout.Gate, rollout.LiveFlags, rollout.evaluate];"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - sys.stdlib_module_names - {'rollout'}));"
        "print(*sorted(new & {'asyncio', 'logging', 'socket', 'ssl', 'email', 'tomllib', 'difflib', 'http'}))"
    )

    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=_root()
    )

    assert done.stdout.split() == []


def _root() -> str:
    return str(next(iter(rollout.__path__))).removesuffix("rollout")
