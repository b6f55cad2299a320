"""From plain data to a plan, and from a plan to the one canonical text that its hash is taken of.

The invariants: `parse_plan(plan.flag, as_dict(plan)) == plan`; two plans have one hash exactly when they are
equal; and nothing but `ConfigError` comes out, with the path of the value and what is allowed. Every key is
in docs/reference/plan.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal

from rollout.criteria import Criteria
from rollout.duration import seconds_of, text_of
from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.freeze import parse_freeze
from rollout.percentage import Percentage
from rollout.plan import DEFAULT_STAGES, MAX_STAGES, STAGING_STAGES, Plan, Stage
from rollout.table import Table

__all__ = ["TEMPLATES", "as_dict", "canonical", "parse_plan", "plan_hash"]

#: Stages by name, for those who do not write their own.
TEMPLATES = {"default": DEFAULT_STAGES, "staging": STAGING_STAGES}
# The most freezes: a page of them, and no plan needs more.
_MAX_FREEZES = 100
_PLAN_KEYS = ("template", "stages", "freeze", "criteria")
_STAGE_KEYS = ("percentage", "bake", "rate_per_second", "approval", "shadow")
_RATE = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6})?", re.ASCII)
_RATE_ALLOWED = 'write deliveries a second as an integer, or as text such as "0.5"; a float is not exact'
# Separates this use of SHA-256 from every other: a journal's text can never be a plan's.
_DOMAIN = b"rollout-plan-1\n"


def parse_plan(flag: str, data: object = None, *, path: str = "plan") -> Plan:
    """Turn what a person wrote into the plan of *flag*.

    Args:
        flag: The flag's key.
        data: `{"stages": [{"percentage": "5", "bake": "24h"}, …], "freeze": […], "criteria": {…}}`, or
            `{"template": "staging"}`; every key may be left out, and None is the default plan.
        path: Where it stands, the beginning of every message.

    Raises:
        ConfigError: It is not what the schema allows. Nothing of it is used then.
    """
    if data is None:
        data = {}
    table = Table(data, path=path, known=_PLAN_KEYS)
    try:
        return Plan(
            flag=FlagKey(flag),
            stages=_stages(table),
            freezes=tuple(
                parse_freeze(each, path=at) for at, each in table.items("freeze", most=_MAX_FREEZES)
            ),
            criteria=_criteria(table),
        )
    except ConfigError as error:
        raise ConfigError(_below(path, error.path), error.problem) from None


def as_dict(plan: Plan) -> dict[str, object]:
    """Return *plan* as JSON types, every key written out; `parse_plan` reads it back."""
    return {
        "stages": [_stage_dict(stage) for stage in plan.stages],
        "freeze": [freeze.as_dict() for freeze in plan.freezes],
        "criteria": _thresholds(plan.criteria),
    }


def canonical(plan: Plan) -> str:
    """Return the one text of *plan*: JSON without spaces, keys sorted, ASCII."""
    whole = {"flag": plan.flag, **as_dict(plan)}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plan_hash(plan: Plan) -> str:
    """Return the SHA-256 of *plan*'s canonical text: 64 lower-case hex digits, by which it is pinned."""
    return hashlib.sha256(_DOMAIN + canonical(plan).encode()).hexdigest()


def _stages(table: Table) -> tuple[Stage, ...]:
    if "stages" not in table:
        return _template(table)
    if "template" in table:
        raise ConfigError(table.path("template"), "give a template or stages, not both")
    return tuple(_stage(each, path=at) for at, each in table.items("stages", most=MAX_STAGES))


def _template(table: Table) -> tuple[Stage, ...]:
    name = table.text("template") if "template" in table else "default"
    if name not in TEMPLATES:
        raise ConfigError(table.path("template"), f"must be one of {', '.join(TEMPLATES)}")
    return TEMPLATES[name]


def _stage(data: object, *, path: str) -> Stage:
    table = Table(data, path=path, known=_STAGE_KEYS)
    try:
        return Stage(
            percentage=Percentage.parse(table.value("percentage"), path=table.path("percentage")),
            bake_seconds=seconds_of(table.value("bake"), path=table.path("bake")) if "bake" in table else 0,
            rate_per_second=_rate(table) if "rate_per_second" in table else None,
            approval=table.boolean("approval", default=False),
            shadow=table.boolean("shadow", default=False),
        )
    except ConfigError as error:
        raise ConfigError(_below(path, error.path), error.problem) from None


def _rate(table: Table) -> Decimal | None:
    value = table.value("rate_per_second")
    if value is None:
        return None
    if isinstance(value, str) and not _RATE.fullmatch(value):
        raise ConfigError(table.path("rate_per_second"), f"{value[:24]!a} is no rate: {_RATE_ALLOWED}")
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise ConfigError(table.path("rate_per_second"), f"got {type(value).__name__}: {_RATE_ALLOWED}")
    return Decimal(value)


def _criteria(table: Table) -> Criteria:
    if "criteria" not in table:
        return Criteria()
    path = table.path("criteria")
    inner = Table(table.value("criteria"), path=path, known=tuple(Criteria().as_dict()))
    return Criteria.from_mapping({name: _plain(inner, name) for name in inner}, path=path)


def _plain(table: Table, name: str) -> object:
    """Return a threshold as JSON would have it: files give exact decimals, settings may give tuples."""
    value = table.value(name)
    if isinstance(value, (list, tuple)):
        return [str(each) for each in value]
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        number = table.number(name)
        return int(number) if number.is_integer() else number
    return value


def _thresholds(criteria: Criteria) -> dict[str, object]:
    """Return *criteria* as JSON types; 95 and 95.0 are one threshold, so they have one text."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in criteria.as_dict().items()
    }


def _stage_dict(stage: Stage) -> dict[str, object]:
    rate = stage.rate_per_second
    return {
        "percentage": str(stage.percentage),
        "bake": text_of(stage.bake_seconds),
        "rate_per_second": None if rate is None else str(rate),
        "approval": stage.approval,
        "shadow": stage.shadow,
    }


def _below(path: str, found: str) -> str:
    return found if found.startswith(path) else f"{path}.{found}"
