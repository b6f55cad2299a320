"""A plan in a file of its own, JSON or TOML: the same keys as `ROLLOUT["PLAN"]`.

For judging a plan before it is put into settings; nothing goes by such a file. The invariant: nothing but
`ConfigError` comes out, with the file, the path in it and what is allowed. Every key is in
docs/reference/plan.md.
"""

from __future__ import annotations

from pathlib import Path

from rollout.errors import ConfigError
from rollout.plan import Plan
from rollout.plan_text import parse_plan
from rollout.sources.syntax import RefusedNumber, read_json, read_toml

__all__ = ["read_plan"]


def read_plan(path: str, *, flag: str) -> Plan:
    """Return the plan that the file at *path* holds, for *flag*; TOML where it ends in `.toml`.

    Raises:
        ConfigError: It cannot be read, or is no plan.
    """
    try:
        text = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(path, f"cannot be read ({type(error).__name__})") from None
    data = (read_toml if path.lower().endswith(".toml") else read_json)(text, origin=path)
    _refuse(data, path)
    return parse_plan(flag, data, path=path)


def _refuse(data: object, path: str) -> None:
    """Refuse a number that is not exact, with its place."""
    if isinstance(data, RefusedNumber):
        raise ConfigError(path, f"{data.text[:24]!a} is not allowed: no exponent, NaN or infinity")
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        _refuse(value, f"{path}.{key}")
