"""JSON as text, with numbers exact: a `Decimal` is written as the number it is. Values only.

The invariant: equal values give equal text, since keys are sorted and nothing else varies. `json` itself
cannot write a Decimal. Explained in docs/reference/flag-file.md.
"""

from __future__ import annotations

import json
from decimal import Decimal

__all__ = ["written"]


def written(value: object, *, indent: str = "", before: str = "\n") -> str:
    """Write *value* as JSON, keys sorted: compact, or nested by *indent*.

    Args:
        value: A dictionary with text keys, a list, text, a boolean, None, an integer or a Decimal.
        indent: What each level adds to the beginning of a line; empty: everything on one line.
        before: What a line of this level begins with.
    """
    if isinstance(value, Decimal):
        return format(value, "f")
    if not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    inside = before + indent
    separator = ": " if indent else ":"
    if isinstance(value, dict):
        items = [
            f"{json.dumps(key)}{separator}{written(each, indent=indent, before=inside)}"
            for key, each in sorted(value.items())
        ]
    else:
        items = [written(each, indent=indent, before=inside) for each in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    if not items:
        return opening + closing
    if not indent:
        return opening + ",".join(items) + closing
    return f"{opening}{inside}{f',{inside}'.join(items)}{before}{closing}"
