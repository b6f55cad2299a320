"""From flags to the text of a configuration, and the checksum that seals it.

Defaults are left out and everything is sorted, so that equal flags give equal text: the checksum is over the
meaning, not over spaces. Only a text for people always names the unit: what a percentage is of. The
invariant: what is written here, `schema` reads back as the same flags. Explained in
docs/reference/flag-file.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from rollout.flags import DEFAULT_VARIANTS, Condition, Flag, FlagKey, Rule, Variants
from rollout.jsontext import written
from rollout.percentage import Percentage
from rollout.variants import Json, Kind, Value

__all__ = ["SCHEMA", "FlagSet", "checksum", "dumps"]

#: The schema's number, the value of the key `schema`. A change that old files do not survive makes it 2.
SCHEMA = 1

# JSON nests by two spaces, as `json.dumps(…, indent=2)` does.
_INDENT = "  "
_NAMES = {"on": DEFAULT_VARIANTS.on, "off": DEFAULT_VARIANTS.off}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSet:
    """What one configuration says.

    Args:
        flags: By key. Do not change it: it is shared.
        version: 0 or more; versions only grow.
    """

    flags: Mapping[FlagKey, Flag] = field(default_factory=dict)
    version: int = 0


def dumps(flag_set: FlagSet, *, sealed: bool = False) -> str:
    """Write a configuration as JSON, indented, for people and for `loads_json`.

    Args:
        sealed: Add the checksum: whoever edits the text by hand then seals it again, or it is refused.
    """
    data = _data(flag_set)
    data["flags"] = {key: {**_flag(flag), "unit": flag.unit} for key, flag in flag_set.flags.items()}
    if sealed:
        data["checksum"] = checksum(flag_set)
    return written(data, indent=_INDENT) + "\n"


def checksum(flag_set: FlagSet) -> str:
    """Return "sha256:" and the hex digest of the configuration written compactly, keys sorted, in UTF-8."""
    return "sha256:" + hashlib.sha256(written(_data(flag_set), indent="").encode()).hexdigest()


def _data(flag_set: FlagSet) -> dict[str, object]:
    flags = {key: _flag(flag) for key, flag in flag_set.flags.items()}
    return {"schema": SCHEMA, "version": flag_set.version, "flags": flags}


def _flag(flag: Flag) -> dict[str, object]:
    names = {"on": flag.variants.on, "off": flag.variants.off}
    every: dict[str, object] = {
        "percentage": None if flag.percentage is None else str(flag.percentage),
        "unit": flag.unit if flag.unit != "tournament_id" else None,
        "enabled": None if flag.enabled else False,
        "salt": flag.salt if flag.salt != flag.key else None,
        "algorithm": flag.algorithm if flag.algorithm != "r1" else None,
        "forced_on": sorted(flag.forced_on) or None,
        "forced_off": sorted(flag.forced_off) or None,
        "rules": [_rule(rule) for rule in flag.rules] or None,
        "variants": None if names == _NAMES else names,
        "values": None if flag.variants.kind is Kind.BOOLEAN else _values(flag.variants),
        "metadata": dict(flag.metadata) or None,
    }
    return {name: value for name, value in every.items() if value is not None}


def _rule(rule: Rule) -> dict[str, object]:
    serve = {"percentage": str(rule.serve)} if isinstance(rule.serve, Percentage) else rule.serve
    return {"if": [_condition(condition) for condition in rule.conditions], "serve": serve}


def _condition(condition: Condition) -> dict[str, object]:
    value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    return {"attribute": condition.attribute, "op": str(condition.operator), "value": value}


def _values(variants: Variants) -> dict[str, object]:
    return {variants.on: _plain(variants.on_value), variants.off: _plain(variants.off_value)}


def _plain(value: Value) -> object:
    return value.exact() if isinstance(value, Json) else value
