"""Flags from a mapping: a setting, or a test. Read once; a new state is handed over by `replace`.

Whoever changes the mapping afterwards changes nothing here. The invariant: a mapping that is not what the
schema allows never raises at run time; it leaves the last good flags, or none, in force. Explained in
docs/reference/flag-file.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from rollout.errors import ConfigError
from rollout.snapshot import Snapshot
from rollout.sources.dump import SCHEMA
from rollout.sources.lastgood import LastGood
from rollout.sources.schema import parse

__all__ = ["MappingSource"]


class MappingSource:
    """Serve the flags of a mapping.

    Args:
        flags: Flag keys and what a file would say of each, or `Flag` objects. Percentages are integers,
            Decimals or text, never floats.
        version: The configuration's version.
        origin: What it is called in messages.
    """

    __slots__ = ("_last", "_origin")

    def __init__(self, flags: Mapping[str, object], *, version: int = 0, origin: str = "settings") -> None:
        self._origin = origin
        self._last = LastGood(origin)
        self.replace(flags, version=version)

    def replace(self, flags: Mapping[str, object], *, version: int) -> Snapshot:
        """Put *flags* in force, unless they cannot be used or *version* is lower than before."""
        try:
            read = parse({"schema": SCHEMA, "version": version, "flags": flags}, origin=self._origin)
        except ConfigError as error:
            return self._last.keep(str(error))
        return self._last.take(read)

    def snapshot(self) -> Snapshot:
        """Return the flags in force."""
        return self._last.snapshot
