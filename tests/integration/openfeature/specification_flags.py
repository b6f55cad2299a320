"""The flags of the specification's test suite, said in our configuration."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[2] / "vectors" / "openfeature"

# As the specification had it while its test flags still held it: everything about Sulisław is INTERNAL.
CONTEXT_AWARE: dict[str, Any] = {
    "variants": {"on": "internal", "off": "external"},
    "values": {"internal": "INTERNAL", "external": "EXTERNAL"},
    "rules": [
        {
            "if": [
                {"attribute": "fn", "op": "equals", "value": "Sulisław"},
                {"attribute": "ln", "op": "equals", "value": "Świętopełk"},
                {"attribute": "age", "op": "equals", "value": 29},
                {"attribute": "customer", "op": "equals", "value": False},
            ],
            "serve": "on",
        }
    ],
}


def converted(said: dict[str, Any]) -> dict[str, Any]:
    """One flag: the default variant is served to everybody, and the other one is `off`."""
    variants, default = said["variants"], said["defaultVariant"]
    (other,) = set(variants) - {default}
    is_boolean = all(isinstance(value, bool) for value in variants.values())
    on, off = (other, default) if is_boolean and variants[default] is False else (default, other)
    body: dict[str, Any] = {
        "percentage": 100 if on == default else 0,
        "enabled": not said.get("disabled", False),
        "variants": {"on": on, "off": off},
        "values": {on: variants[on], off: variants[off]},
    }
    return body | ({"metadata": said["flagMetadata"]} if said.get("flagMetadata") else {})


def flags() -> dict[str, Any]:
    """Every flag of the suite that has a default variant and asks no expression language of its own."""
    said = json.loads((VECTORS / "test-flags.json").read_text(encoding="utf-8"), parse_float=Decimal)
    ours = {
        key: converted(body)
        for key, body in said.items()
        if body.get("defaultVariant") is not None and "contextEvaluator" not in body
    }
    return ours | {"context-aware": CONTEXT_AWARE}
