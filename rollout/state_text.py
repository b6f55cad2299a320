"""From a rollout's state to plain data and back: what a store keeps, and what journal entries are made of.

The invariants: `from_dict(as_dict(state)) == state`, through JSON too; and nothing but `ConfigError` comes
out of data that is no state, so that a damaged row is never obeyed. Explained in
docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

import json

from rollout import plan_text
from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.plan import Plan
from rollout.rollout_state import Approval, Progress, RolloutState, State
from rollout.table import Table

__all__ = ["as_dict", "dumps", "from_dict", "loads"]

_KEYS = (
    *("flag", "version", "state", "ceiling", "epoch", "epoch_at", "stage_entered_at", "killed"),
    *("reason", "actor", "plan", "approvals", "progress", "head"),
)
_PROGRESS_KEYS = ("baked_seconds", "ticked_at", "evidence")
# No rollout has more: a plan has at most 50 stages, and each is approved once.
_MAX_APPROVALS = 50


def as_dict(state: RolloutState) -> dict[str, object]:
    """Return *state* as JSON types; the keys are the fields' names."""
    return {
        "flag": state.flag,
        "version": state.version,
        "state": state.state.value,
        "ceiling": None if state.ceiling is None else str(state.ceiling),
        "epoch": state.epoch,
        "epoch_at": state.epoch_at,
        "stage_entered_at": state.stage_entered_at,
        "killed": state.killed,
        "reason": state.reason,
        "actor": state.actor,
        "plan": None if state.plan is None else plan_text.as_dict(state.plan),
        "approvals": [
            {"percentage": str(each.percentage), "by": each.by, "at": each.at} for each in state.approvals
        ],
        "progress": {
            "baked_seconds": state.progress.baked_seconds,
            "ticked_at": state.progress.ticked_at,
            "evidence": state.progress.evidence,
        },
        "head": state.head,
    }


def dumps(state: RolloutState) -> str:
    """Return *state* as one line of JSON, ASCII."""
    return json.dumps(as_dict(state), sort_keys=True, separators=(",", ":"), allow_nan=False)


def loads(text: str) -> RolloutState:
    """Read what `dumps` wrote.

    Raises:
        ConfigError: It is not that.
    """
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError("state", "is no JSON") from None
    return from_dict(data)


def from_dict(data: object) -> RolloutState:
    """Read what `as_dict` wrote.

    Raises:
        ConfigError: It is not that.
    """
    table = Table(data, path="state", known=_KEYS)
    flag = table.text("flag")
    return RolloutState(
        flag=FlagKey(flag),
        version=table.whole("version"),
        state=table.member("state", State),
        ceiling=_percentage(table, "ceiling"),
        epoch=table.whole("epoch"),
        epoch_at=table.number("epoch_at"),
        stage_entered_at=table.number("stage_entered_at"),
        killed=table.boolean("killed"),
        reason=table.text("reason"),
        actor=table.text("actor"),
        plan=_plan(table, flag),
        approvals=tuple(
            _approval(each, path) for path, each in table.items("approvals", most=_MAX_APPROVALS)
        ),
        progress=_progress(table),
        head=table.text("head"),
    )


def _plan(table: Table, flag: str) -> Plan | None:
    value = table.value("plan")
    return None if value is None else plan_text.parse_plan(flag, value, path=table.path("plan"))


def _progress(table: Table) -> Progress:
    inner = Table(table.value("progress"), path=table.path("progress"), known=_PROGRESS_KEYS)
    return Progress(
        baked_seconds=inner.number("baked_seconds"),
        ticked_at=None if inner.value("ticked_at") is None else inner.number("ticked_at"),
        evidence=inner.text("evidence"),
    )


def _approval(value: object, path: str) -> Approval:
    table = Table(value, path=path, known=("percentage", "by", "at"))
    percentage = Percentage.parse(table.text("percentage"), path=table.path("percentage"))
    return Approval(percentage=percentage, by=table.text("by"), at=table.number("at"))


def _percentage(table: Table, name: str) -> Percentage | None:
    if table.value(name) is None:
        return None
    return Percentage.parse(table.text(name), path=table.path(name))
