"""The allow-list of an event: which fields it has and what each may hold.

What belongs here: the reading of a declaration and the test of one value against it. What must not: the walk
over an event and the search for personal data (pii.py). The invariant: a declaration that cannot mean
anything, or that would let personal data through by its very name, is refused when it is read.
Explained in docs/explanation/security-model.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from webhooks_core.detectors import detect, is_forbidden_key
from webhooks_core.errors import ConfigError


class FieldType(StrEnum):
    """Say what a declared field may hold; ``integer?`` (and so on) allows None, JSON's null, beside it."""

    INTEGER = "integer"
    UUID = "uuid"
    """A UUID as text, with hyphens."""
    ENUM = "enum"
    """One of the listed texts: ``{"enum": ["pending", "verified"]}``."""
    TIME = "time"
    """A date, or a date and time with its offset, as ISO 8601 text; or a Unix time as an integer."""
    COUNT = "count"
    """An integer from 0."""
    BOOLEAN = "boolean"
    TEXT = "text"
    """Free text, which users can write: a hit in it holds the stage and does not roll back."""


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_CLOCK = r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
_TIME = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:{_CLOCK})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Hold what one name may hold: a value of a type, or fields of its own; once, or as a list."""

    type: FieldType | None = None
    choices: frozenset[str] = frozenset()
    inner: dict[str, Field] | None = None
    is_list: bool = False
    or_none: bool = False

    def single(self) -> Field:
        """Return what one item of the list may hold."""
        return replace(self, is_list=False)

    def allows(self, value: object) -> bool:
        """Return whether *value* is of the declared type; for a field with a type, not a list or mapping."""
        if value is None:
            return self.or_none
        if isinstance(value, str):
            if self.type is FieldType.ENUM:
                return value in self.choices
            shape = _SHAPES.get(self.type or FieldType.TEXT)
            return self.type is FieldType.TEXT or (shape is not None and shape.fullmatch(value) is not None)
        if isinstance(value, bool):
            return self.type is FieldType.BOOLEAN
        if not isinstance(value, int):
            return False
        if self.type in (FieldType.COUNT, FieldType.TIME):
            return value >= 0
        return self.type is FieldType.INTEGER


METADATA: Mapping[str, Field] = {
    "created": Field(type=FieldType.COUNT),
    "email_sent": Field(type=FieldType.COUNT),
    "webhook_id": Field(type=FieldType.UUID),
}
"""What the metadata of every event may hold (the contract §4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFields:
    """Hold the allow-list of one event; make it with `EventFields.parse`."""

    data: Mapping[str, Field]
    metadata: Mapping[str, Field]

    @classmethod
    def parse(cls, declared: Mapping[str, object], *, path: str = "fields") -> EventFields:
        """Read an allow-list as the settings write it.

        Args:
            declared: Names with their types, e.g. ``{"tournament_id": "integer", "match.state": {"enum":
                ["open", "closed"]}, "players[].id": "uuid", "metadata.attempted": "count"}``. A name is a
                path below `data`, or below `metadata` where it begins so; ``[]`` marks a list.
            path: The setting's name, for the error's words.

        Raises:
            ConfigError: A type, a name or a choice that cannot be, or that would itself be personal data.
        """
        if not isinstance(declared, Mapping):
            raise ConfigError(path, f"a mapping of names and types is wanted, not {type(declared).__name__}")
        data: dict[str, Field] = {}
        metadata = dict(METADATA)
        for name, declaration in declared.items():
            if not isinstance(name, str):
                raise ConfigError(path, f"the name of a field is text, not {type(name).__name__}")
            where = f"{path}[{name!r}]"
            steps = name.split(".")
            root = metadata if steps[0] == "metadata" and len(steps) > 1 else data
            if len(steps) > 1 and steps[0] in ("data", "metadata"):
                del steps[0]
            _place(root, steps, _declared(declaration, where), where)
        return cls(data=data, metadata=metadata)


_SHAPES = {FieldType.UUID: _UUID, FieldType.TIME: _TIME}


def _declared(declaration: object, where: str) -> Field:
    if isinstance(declaration, Mapping) and list(declaration) == ["enum"]:
        choices = declaration["enum"]
        if not isinstance(choices, list | tuple | set | frozenset) or not choices:
            raise ConfigError(where, "a list of at least one text is wanted for enum")
        texts = [choice for choice in choices if choice is not None]
        if not all(isinstance(text, str) and not detect(text) for text in texts):
            raise ConfigError(where, "the choices of an enum are None, or texts without personal data")
        return Field(type=FieldType.ENUM, choices=frozenset(texts), or_none=None in choices)
    simple = [kind.value for kind in FieldType if kind is not FieldType.ENUM]
    if isinstance(declaration, str) and declaration.removesuffix("?") in simple:
        return Field(type=FieldType(declaration.removesuffix("?")), or_none=declaration.endswith("?"))
    raise ConfigError(
        where, f'one of {", ".join(simple)} (with ? for "or null") or {{"enum": [...]}} is wanted'
    )


def _place(fields: dict[str, Field], steps: Sequence[str], field: Field, where: str) -> None:
    """Put *field* at the end of *steps* into the tree, with what lies between."""
    name, is_list = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    if not _NAME.fullmatch(name):
        raise ConfigError(where, "a name is letters, digits, _ and -, its parts joined by dots")
    if is_forbidden_key(name):
        raise ConfigError(where, f"{name} is the name of personal data and can never be sent")
    known = fields.get(name)
    if len(steps) == 1:
        if known is not None:
            raise ConfigError(where, "declared twice")
        fields[name] = replace(field, is_list=is_list)
        return
    if known is None:
        known = fields[name] = Field(inner={}, is_list=is_list)
    if known.inner is None or known.is_list != is_list:
        raise ConfigError(where, f"{name} is declared as something else already")
    _place(known.inner, steps[1:], field, where)
