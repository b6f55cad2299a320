"""Change a percentage in a flag file: what a change would do, and doing it in one step or not at all.

The file is the one that `ROLLOUT["FILE"]` names; nothing here reads settings. What a change is, `flag_rows`
shares, which does the same in the database. Invariants: a reader sees the
old file or the new one, never a part; the version grows by one; key, salt, algorithm, rules and forced
units stay as they are; whoever changes the file meanwhile is not overwritten. Explained in
docs/reference/commands.md.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from rollout.context import EvaluationContext
from rollout.controls import Controls
from rollout.errors import ConfigError, FlagNotFound
from rollout.evaluator import evaluate
from rollout.flags import Flag, FlagKey
from rollout.percentage import NOBODY, Percentage
from rollout.snapshot import Snapshot
from rollout.sources.schema import FlagSet, dumps, loads_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a change does to units that are known by name."""

    units: int
    before: int
    after: int
    gained: int
    lost: int

    def __str__(self) -> str:
        """The change as a person is told it."""
        moved = f"{self.gained} come in and {self.lost} go out"
        return f"of {self.units} units {moved}: {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A percentage that is to become another one, in the document *text* that *origin* names."""

    origin: str
    text: bytes
    before: FlagSet
    flag: Flag
    to: Percentage

    @property
    def came_from(self) -> Percentage:
        """The percentage in force; none is nobody."""
        return self.flag.percentage or NOBODY

    @property
    def drops(self) -> bool:
        """Whether units that are in would go out: that needs an explicit word."""
        return self.to < self.came_from

    @property
    def after(self) -> FlagSet:
        """What is to be written."""
        version = self.before.version + 1
        flags = {**self.before.flags, self.flag.key: replace(self.flag, percentage=self.to)}
        return FlagSet(
            flags={key: replace(flag, version=version) for key, flag in flags.items()}, version=version
        )

    @property
    def written(self) -> bytes:
        """What is to be written, as text; with a checksum where there was one."""
        sealed = "checksum" in json.loads(self.text)
        return dumps(self.after, sealed=sealed).encode()

    @property
    def share(self) -> Decimal:
        """The expected share of the units that change sides, in percent."""
        return abs(self.to.value - self.came_from.value)

    def counted(self, units: Iterable[object]) -> Counted:
        """Return what the change does to *units*, asked without attributes."""
        return counted(self.flag.key, list(units), before=self.before, after=self.after)


def counted(key: FlagKey, units: list[object], *, before: FlagSet, after: FlagSet) -> Counted:
    """Return what going from *before* to *after* does to *units*, asked without attributes."""
    old, new = (_inside(flags, key, units) for flags in (before, after))
    return Counted(
        units=len(units), before=len(old), after=len(new), gained=len(new - old), lost=len(old - new)
    )


def _inside(flag_set: FlagSet, key: FlagKey, units: list[object]) -> set[int]:
    """Return the places in *units* of those that are in."""
    snapshot = Snapshot(flags=flag_set.flags, version=flag_set.version)
    controls = Controls()
    return {
        place
        for place, unit in enumerate(units)
        if evaluate(snapshot, key, EvaluationContext(unit=unit), controls=controls)
    }


def plan_change(path: str | os.PathLike[str], key: str, percentage: object) -> Change:
    """Read the file and say what is to become of it; nothing is written.

    Raises:
        ConfigError: The file cannot be read, is not JSON, or the percentage is none.
        FlagNotFound: The file has no such flag; this never makes one.
    """
    place = Path(path)
    if place.suffix.lower() == ".toml":
        raise ConfigError(str(place), "is TOML, which a person edits: a command would lose its comments")
    try:
        text = place.read_bytes()
    except OSError as error:
        raise ConfigError(str(place), f"cannot be read: {error.strerror}") from None
    return change_in(text, key, percentage, origin=str(place))


def change_in(text: bytes, key: str, percentage: object, *, origin: str) -> Change:
    """Say what is to become of the document *text*; nothing is written.

    Raises:
        ConfigError: It is no configuration, or the percentage is none.
        FlagNotFound: It has no such flag.
    """
    to = Percentage.parse(percentage)
    before = loads_json(text, origin=origin)
    flag = before.flags.get(FlagKey(key))
    if flag is None:
        raise FlagNotFound(key, _near(key, before.flags))
    return Change(origin=origin, text=text, before=before, flag=flag, to=to)


def _near(key: str, known: Iterable[str]) -> tuple[str, ...]:
    from difflib import get_close_matches  # only a misspelling pays for it

    return tuple(get_close_matches(key, list(known), n=3))


def write_change(change: Change) -> None:
    """Put the changed file in the place of the old one, keeping its mode; a link stays a link.

    Raises:
        ConfigError: It was changed since it was read, or cannot be written. The old file is as it was.
    """
    real = Path(os.path.realpath(change.origin))
    try:
        with _alone(real.parent):
            if real.read_bytes() != change.text:
                raise ConfigError(change.origin, "was changed meanwhile; look at it and try again")
            _replace(real, change.written)
    except OSError as error:
        raise ConfigError(change.origin, f"cannot be written: {error.strerror}") from None


def _replace(real: Path, text: bytes) -> None:
    mode = real.stat().st_mode & 0o7777
    handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(handle, "wb") as new:
            new.write(text)
            new.flush()
            os.fchmod(new.fileno(), mode)
            os.fsync(new.fileno())
        os.replace(name, real)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other commands out of *directory* for the moment, and its entry on the disk before returning."""
    try:
        import fcntl
    except ImportError:  # Windows: the comparison before the replacement is what is left
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        os.fsync(handle)
    finally:
        os.close(handle)
