"""Flags from environment variables: `ROLLOUT_FLAG_TOURNAMENT_WEBHOOKS=5`.

The value is a percentage, or the JSON of a whole flag. Variables are looked at again at each refresh, so
that a process which changes its own environment is heard. The invariant: a bad value leaves the last good
flags, or none, in force. Explained in docs/reference/flag-file.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from rollout.errors import ConfigError
from rollout.snapshot import Snapshot
from rollout.sources.dump import SCHEMA
from rollout.sources.lastgood import LastGood
from rollout.sources.schema import parse
from rollout.sources.syntax import read_json

__all__ = ["EnvironmentSource", "variable_of"]

PREFIX = "ROLLOUT_FLAG_"


def variable_of(key: str) -> str:
    """Return the name of the variable for a flag: its key in capitals, all but letters and digits as `_`."""
    return PREFIX + re.sub(r"[^A-Z0-9]", "_", key.upper())


class EnvironmentSource:
    """Serve the flags that environment variables define.

    Args:
        keys: The flags to look for. A variable that is not set, or empty, is no flag.
        environ: Where to look.

    Raises:
        ConfigError: Two keys have one variable.
    """

    __slots__ = ("_environ", "_last", "_texts", "_variables")

    def __init__(self, keys: Iterable[str], *, environ: Mapping[str, str] = os.environ) -> None:
        self._variables: dict[str, str] = {}
        for key in keys:
            if (other := self._variables.setdefault(variable_of(key), key)) != key:
                raise ConfigError(variable_of(key), f"is the variable of two flags, {other!a} and {key!a}")
        self._environ = environ
        self._last = LastGood("environment")
        self._texts: dict[str, str] | None = None

    def snapshot(self) -> Snapshot:
        """Return the flags in force; the variables are parsed only where one has changed."""
        texts = {name: text for name in self._variables if (text := _plain(self._environ.get(name, "")))}
        if texts != self._texts:
            self._texts = texts
            try:
                flags = {self._variables[name]: _flag(name, text) for name, text in texts.items()}
                self._last.take(parse({"schema": SCHEMA, "flags": flags}, origin="environment"))
            except ConfigError as error:
                self._last.keep(str(error))
        return self._last.snapshot


def _plain(text: str) -> str:
    """Return *text* without line ends and the quotes that files of variables put around it."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text


def _flag(name: str, text: str) -> object:
    return read_json(text, origin=name) if text.startswith("{") else {"percentage": text}
