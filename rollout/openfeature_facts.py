"""What OpenFeature's flag metadata tells of a decision: the flag's own, and the decision's facts.

Made of the flag and the decision alone. The invariant: names and values are those that
docs/how-to/use-openfeature.md lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TypeAlias

from rollout.decision import Decision, Reason
from rollout.flags import Flag

__all__ = ["Fact", "Facts"]

#: What the SDK allows there.
Fact: TypeAlias = bool | int | float | str

# Looked up once: each look at a member of an enumeration costs as much as two calls.
_WITH_RULE = (Reason.TARGETING_MATCH, Reason.DISABLED)


class Facts(Mapping[str, Fact]):
    """A decision's facts, put together when somebody looks: few do, and it costs as much as deciding."""

    __slots__ = ("_decision", "_flag", "_made")

    def __init__(self, decision: Decision, flag: Flag | None) -> None:
        self._decision = decision
        self._flag = flag
        self._made: dict[str, Fact] | None = None

    def _all(self) -> dict[str, Fact]:
        if self._made is None:
            self._made = _facts(self._decision, self._flag)
        return self._made

    def __getitem__(self, name: str) -> Fact:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(self._all())


def _facts(decision: Decision, flag: Flag | None) -> dict[str, Fact]:
    configured = () if flag is None else flag.metadata
    facts: dict[str, Fact] = {
        name: float(value) if isinstance(value, Decimal) else value for name, value in configured
    }
    if decision.position is not None:
        facts["position"] = f"{decision.position:016x}"
        facts["turns_on_at"] = str(decision.turns_on_at)
    if decision.version:
        facts["version"] = decision.version
    if decision.reason in _WITH_RULE:
        facts["rule"] = decision.detail
    return facts
