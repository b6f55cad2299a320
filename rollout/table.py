"""A table of keys and values, read strictly: a plain mapping from settings, JSON or TOML.

Where a person wrote it, every key that is not known is an error that names the nearest known one: a misspelt
word must not silently be a default. What we wrote ourselves may come from a later version, with more keys.
The invariant: nothing but `ConfigError` comes out, with the path of the value and what is allowed.
Explained in docs/reference/plan.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import TypeVar

from rollout.errors import ConfigError

__all__ = ["Table", "nearest"]

MemberT = TypeVar("MemberT", bound=StrEnum)

# No moment or length of time in seconds lies beyond it; infinity and NaN least of all.
_FAR = 1e15


class Table:
    """The keys of one mapping.

    Args:
        value: What was written; anything but a mapping with text keys is refused.
        path: Where it stands, such as `plan.stages[0]`.
        known: The keys that are allowed; None: any.

    Raises:
        ConfigError: It is no mapping, or has a key that is not known.
    """

    __slots__ = ("_path", "_values")

    def __init__(self, value: object, *, path: str, known: tuple[str, ...] | None) -> None:
        if not isinstance(value, Mapping):
            raise ConfigError(path, f"must be a table of keys and values, got {type(value).__name__}")
        self._path = path
        self._values: dict[str, object] = {}
        for key, each in value.items():
            if not isinstance(key, str):
                raise ConfigError(path, f"a key must be text, got {type(key).__name__}")
            if known is not None and key not in known:
                raise ConfigError(path, f"unknown key {key[:64]!a}{nearest(key, known)}")
            self._values[key] = each

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def path(self, name: str) -> str:
        """Return where the value of *name* stands."""
        return f"{self._path}.{name}"

    def value(self, name: str) -> object:
        """Return what stands under *name*.

        Raises:
            ConfigError: Nothing does.
        """
        if name not in self._values:
            raise ConfigError(self.path(name), "is missing")
        return self._values[name]

    def boolean(self, name: str, *, default: bool | None = None) -> bool:
        """Return the boolean under *name*, or *default*; without one it must be there."""
        value = self.value(name) if default is None else self._values.get(name, default)
        if value is True or value is False:
            return value
        raise ConfigError(self.path(name), f"must be true or false, got {type(value).__name__}")

    def text(self, name: str) -> str:
        """Return the text under *name*, which must be there."""
        value = self.value(name)
        if isinstance(value, str):
            return value
        raise ConfigError(self.path(name), f"must be text, got {type(value).__name__}")

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of the list under *name*, which must be there."""
        found = []
        for path, value in self.each(name):
            if not isinstance(value, str):
                raise ConfigError(path, f"must be text, got {type(value).__name__}")
            found.append(value)
        return tuple(found)

    def member(self, name: str, of: type[MemberT]) -> MemberT:
        """Return the member of *of* whose value is the text under *name*, which must be there."""
        try:
            return of(self.text(name))
        except ValueError:
            raise ConfigError(self.path(name), f"must be one of {', '.join(of)}") from None

    def whole(self, name: str) -> int:
        """Return the whole number under *name*, which must be there."""
        value = self.value(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise ConfigError(self.path(name), f"must be a whole number, got {type(value).__name__}")

    def number(self, name: str) -> float:
        """Return the number under *name*, which must be there, as a float: a moment or a length of time."""
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            raise ConfigError(self.path(name), f"must be a number, got {type(value).__name__}")
        if not (isinstance(value, int) or isfinite(value)) or not -_FAR < value < _FAR:
            raise ConfigError(self.path(name), f"must be a finite number below {_FAR:g}")
        return float(value)

    def items(self, name: str, *, most: int) -> Iterator[tuple[str, object]]:
        """Return the path and the value of each item of the list under *name*; nothing where it is not there.

        Raises:
            ConfigError: It is no list, or has more than *most* items.
        """
        return self.each(name, most=most) if name in self else iter(())

    def each(self, name: str, *, most: int | None = None) -> Iterator[tuple[str, object]]:
        """Return the path and the value of each item of the list under *name*, which must be there.

        Raises:
            ConfigError: It is no list, or has more than *most* items; None: any number will do.
        """
        value = self.value(name)
        if not isinstance(value, (list, tuple)):
            raise ConfigError(self.path(name), f"must be a list, got {type(value).__name__}")
        if most is not None and len(value) > most:
            raise ConfigError(self.path(name), f"at most {most} items are allowed, got {len(value)}")
        return ((f"{self.path(name)}[{number}]", each) for number, each in enumerate(value))


def nearest(word: str, known: Sequence[str]) -> str:
    """Return how a message about the unknown *word* ends: with the nearest known one, or with all of them."""
    from difflib import get_close_matches  # Slow to import, and only an error needs it.

    near = get_close_matches(word[:64], known, n=1, cutoff=0.5)
    return f"; nearest known: {near[0]}" if near else f"; known: {', '.join(known)}"
