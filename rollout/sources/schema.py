"""The one strict schema of a configuration: data to flags, and flags to data.

Every key that is not known is an error that names the nearest known one: a misspelt word must not silently
be a default. The invariant: `loads_json(dumps(flags)) == flags`, and what cannot be read is refused whole.
Published as `flags.schema.json` beside this file; every key and every error is in
docs/reference/flag-file.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol, TypeVar

from rollout.bucketing import ALGORITHMS
from rollout.errors import ConfigError
from rollout.flags import (
    DEFAULT_VARIANTS,
    Condition,
    Flag,
    FlagKey,
    Operator,
    Rule,
    Scalar,
    Serve,
    Variants,
    metadata_of,
    units_of,
)
from rollout.percentage import Percentage
from rollout.sources.dump import SCHEMA, FlagSet, checksum, dumps
from rollout.sources.syntax import RefusedNumber, read_json, read_toml
from rollout.table import nearest
from rollout.variants import value_of

__all__ = [
    "SCHEMA",
    "FlagSet",
    "checksum",
    "dumps",
    "loader_of",
    "loads_json",
    "loads_toml",
    "parse",
    "parse_flag",
]

_FILE_KEYS = ("schema", "version", "flags", "checksum")
_FLAG_KEYS = (
    *("percentage", "unit", "enabled", "salt", "algorithm"),
    *("forced_on", "forced_off", "rules", "variants", "values", "metadata"),
)
_RULE_KEYS = ("if", "serve")
_CONDITION_KEYS = ("attribute", "op", "value")
# A version must fit the stores that keep one: a signed 64-bit integer.
_MAX_VERSION = 2**63 - 1

_NO_UNITS: frozenset[str] = frozenset()

T = TypeVar("T")


def loads_json(text: str | bytes, *, origin: str = "JSON") -> FlagSet:
    """Read a configuration written in JSON.

    Args:
        text: UTF-8 where it is bytes.
        origin: Where it came from, the beginning of every message.

    Raises:
        ConfigError: It is no JSON, or not what the schema allows. Nothing of it is used then.
    """
    return parse(read_json(text, origin=origin), origin=origin)


def loads_toml(text: str | bytes, *, origin: str = "TOML") -> FlagSet:
    """Read a configuration written in TOML; see `loads_json`."""
    return parse(read_toml(text, origin=origin), origin=origin)


class Loader(Protocol):
    """Reads a configuration's text; *origin* names it in errors."""

    def __call__(self, text: str | bytes, *, origin: str = ...) -> FlagSet:
        """Return what it says; raise ConfigError where it is no configuration."""
        ...


def loader_of(path: str) -> Loader:
    """Return what reads the text of the file *path*: `.toml` is TOML, anything else JSON."""
    return loads_toml if path.lower().endswith(".toml") else loads_json


def parse(data: object, *, origin: str) -> FlagSet:
    """Turn the data of a whole configuration into flags.

    Args:
        data: `{"schema": 1, "version": 7, "flags": {key: …}}` and optionally `"checksum"`.
        origin: Where it came from, the beginning of every message.

    Raises:
        ConfigError: It is not what the schema allows, or the checksum does not hold.
    """
    try:
        top = _table(data, "", _FILE_KEYS)
        _require(top, "schema", "flags")
        if type(top["schema"]) is not int or top["schema"] != SCHEMA:
            raise ConfigError("schema", f"must be {SCHEMA}, the only one known to this version")
        version = top.get("version", 0)
        if type(version) is not int or not 0 <= version <= _MAX_VERSION:
            raise ConfigError("version", "must be an integer from 0 to 2^63 - 1")
        flags = {
            FlagKey(key): parse_flag(key, body, version=version)
            for key, body in _table(top["flags"], "flags", None).items()
        }
        flag_set = FlagSet(flags=flags, version=version)
        if "checksum" in top and top["checksum"] != checksum(flag_set):
            raise ConfigError("checksum", "does not hold: the text was changed or damaged; seal it again")
        return flag_set
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error.path}" if error.path else origin, error.problem) from None


def parse_flag(key: str, body: object, *, version: int = 0) -> Flag:
    """Turn the data of one flag into a `Flag`. A value that is a `Flag` by this key is taken as it is.

    Raises:
        ConfigError: It is not what the schema allows; its path begins with `flags.<key>`.
    """
    if isinstance(body, Flag) and body.key == key:
        return body
    try:
        data = _table(body, "", _FLAG_KEYS)
        return Flag(
            key=FlagKey(key),
            percentage=_percentage(data["percentage"]) if "percentage" in data else None,
            enabled=_boolean(data.get("enabled", True)),
            unit=_text(data.get("unit", "tournament_id"), "unit"),
            salt=_text(data.get("salt", key), "salt"),
            algorithm=_algorithm(data["algorithm"]) if "algorithm" in data else "r1",
            forced_on=_units(data, "forced_on"),
            forced_off=_units(data, "forced_off"),
            rules=_each(data["rules"], "rules", _rule) if "rules" in data else (),
            variants=_variants(data) if "variants" in data or "values" in data else DEFAULT_VARIANTS,
            metadata=_metadata(data["metadata"]) if "metadata" in data else (),
            version=version,
        )
    except ConfigError as error:
        shown = key if key.isascii() and len(key) <= 64 else ascii(key)[:64]
        path = f"flags.{shown}.{error.path}".rstrip(".").replace(".[", "[")
        raise ConfigError(path, error.problem) from None


def _rule(body: object) -> Rule:
    data = _table(body, "", _RULE_KEYS)
    _require(data, *_RULE_KEYS)
    return Rule(conditions=_each(data["if"], "if", _condition), serve=_serve(data["serve"]))


def _serve(value: object) -> Serve:
    if value == "on":
        return "on"
    if value == "off":
        return "off"
    if not isinstance(value, Mapping):
        raise ConfigError("serve", 'must be "on", "off" or {"percentage": …}')
    data = _table(value, "serve", ("percentage",))
    if "percentage" not in data:
        raise ConfigError("serve.percentage", "is missing")
    return Percentage.parse(_number(data["percentage"], "serve.percentage"), path="serve.percentage")


def _condition(body: object) -> Condition:
    data = _table(body, "", _CONDITION_KEYS)
    _require(data, *_CONDITION_KEYS)
    value = data["value"]
    several = isinstance(value, (list, tuple))
    return Condition(
        attribute=_text(data["attribute"], "attribute"),
        operator=_operator(data["op"]),
        value=_each(value, "value", _scalar) if several else _at("value", _scalar, value),
    )


def _operator(value: object) -> Operator:
    text = _text(value, "op")
    try:
        return Operator(text)
    except ValueError:
        raise ConfigError("op", f"unknown operator{nearest(text, list(Operator))}") from None


def _scalar(value: object) -> Scalar:
    exact = _number(value, "")
    if isinstance(exact, float):
        raise ConfigError("", 'a float is not exact: write a Decimal, or "text"')
    if not isinstance(exact, (str, int, Decimal)):
        raise ConfigError("", f"must be a text, a number or a boolean, got {type(value).__name__}")
    return exact


def _variants(flag: Mapping[str, object]) -> Variants:
    names = _table(flag.get("variants", {}), "variants", ("on", "off"))
    on = _text(names.get("on", "on"), "variants.on")
    off = _text(names.get("off", "off"), "variants.off")
    if "values" not in flag:
        return Variants(on=on, off=off)
    values = _table(flag["values"], "values", (on, off))
    for name in (on, off):
        if name not in values:
            raise ConfigError(f"values.{name}", "is missing")
    _refuse_in(values, "values")
    return Variants(
        on=on,
        off=off,
        on_value=value_of(values[on], path=f"values.{on}"),
        off_value=value_of(values[off], path=f"values.{off}"),
    )


def _metadata(value: object) -> tuple[tuple[str, Scalar], ...]:
    table = _table(value, "metadata", None)
    _refuse_in(table, "metadata")
    return metadata_of(table)


def _refuse_in(value: object, path: str) -> None:
    """Refuse an exponent, NaN or infinity wherever it stands in *value*."""
    _number(value, path)
    if isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            _refuse_in(each, path)


def _percentage(value: object) -> Percentage:
    return Percentage.parse(_number(value, "percentage"))


def _number(value: object, path: str) -> object:
    if isinstance(value, RefusedNumber):
        raise ConfigError(path, "no exponent, NaN or infinity is allowed: write the number out")
    return value


def _algorithm(value: object) -> str:
    if not isinstance(value, str) or value not in ALGORITHMS:
        raise ConfigError("algorithm", f"must be one of {', '.join(ALGORITHMS)}")
    return value


def _boolean(value: object) -> bool:
    if value is True or value is False:
        return value
    raise ConfigError("enabled", f"must be true or false, got {type(value).__name__}")


def _text(value: object, path: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise ConfigError(path, "must be a text that is not empty")


def _units(data: Mapping[str, object], name: str) -> frozenset[str]:
    return units_of(data[name], path=name) if name in data else _NO_UNITS


def _each(value: object, path: str, read: Callable[[object], T]) -> tuple[T, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(path, f"must be a list, got {type(value).__name__}")
    return tuple(_at(f"{path}[{number}]", read, each) for number, each in enumerate(value))


def _at(path: str, read: Callable[[object], T], value: object) -> T:
    try:
        return read(value)
    except ConfigError as error:
        raise ConfigError(f"{path}.{error.path}".rstrip("."), error.problem) from None


def _table(value: object, path: str, known: tuple[str, ...] | None) -> dict[str, object]:
    """Return *value* as a dictionary with text keys, all of them *known* where that is not None."""
    if not isinstance(value, Mapping):
        raise ConfigError(path, f"must be a table of keys and values, got {type(value).__name__}")
    table = dict(value)
    for key in table:
        if not isinstance(key, str):
            raise ConfigError(path, f"a key must be text, got {type(key).__name__}")
        if known is not None and key not in known:
            raise ConfigError(path, f"unknown key {key[:64]!a}{nearest(key, known)}")
    return table


def _require(table: Mapping[str, object], *keys: str) -> None:
    for key in keys:
        if key not in table:
            raise ConfigError(key, "is missing")
