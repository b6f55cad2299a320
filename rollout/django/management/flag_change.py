"""`manage.py rollout flag {set,lint}`: changing a percentage in file or database, and judging a flag file.

Each function answers one command; `commands/rollout.py` parses and prints. Invariants: a change is told
before it is made; what would drop units needs `--yes`; a percentage that settings or environment own is
never written. Explained in docs/reference/commands.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rollout.actor import Actor
from rollout.django import conf, flag_rows, wiring
from rollout.django.flag_file import Change, change_in, plan_change, write_change
from rollout.django.management.flag import no_such_flag, percent_of
from rollout.django.management.words import found_store, login
from rollout.django.store import DjangoRolloutStore
from rollout.django.units import over_units
from rollout.errors import ConfigError, FlagNotFound, StoreConflict, TransitionError
from rollout.events import RolloutChanged, emit
from rollout.observers.log import LogObserver
from rollout.percentage import NOBODY
from rollout.snapshot import Snapshot, SourceStatus
from rollout.sources.env import variable_of
from rollout.sources.schema import FlagSet, loader_of
from webhooks_core.django.answer import Answer, Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What `flag set` was asked for."""

    key: str
    percentage: str
    yes: bool = False
    dry_run: bool = False
    reason: str = ""


def set_flag(order: Order) -> Answer:
    """Change a percentage where our file or our row owns it, after saying what that does."""
    found = conf.current()
    if found.source is conf.SourceName.DATABASE:
        owner: _Owner = _Row(found_store())
    elif found.source is conf.SourceName.FILE and found.file is not None:
        owner = _File(found.file)
    else:
        return not_ours(found)
    try:
        change = owner.change(order)
    except FlagNotFound as error:
        return no_such_flag(error)
    except ConfigError as error:
        is_ours = error.path.startswith(owner.origin)
        return Answer(
            code=Exit.UNREADABLE if is_ours else Exit.REFUSED, lines=[str(error)], data={"error": str(error)}
        )
    lines, data = _told(change, found.units)
    if change.drops and not order.yes and not order.dry_run:
        lines.append("Nothing was changed: units would go out. Say --yes if that is what you want.")
        return Answer(code=Exit.REFUSED, lines=lines, data={**data, "changed": False, "needs": "--yes"})
    if order.dry_run or change.to == change.came_from:
        lines.append("Nothing was changed: " + ("a dry run." if order.dry_run else "it is there already."))
        return Answer(lines=lines, data={**data, "changed": False})
    try:
        owner.write(change, reason=order.reason or "flag-set")
    except (ConfigError, StoreConflict) as error:
        return Answer(
            code=Exit.UNREADABLE, lines=[str(error)], data={**data, "changed": False, "error": str(error)}
        )
    except TransitionError as error:
        lines.append(f"Nothing was changed: {error}.")
        return Answer(code=Exit.REFUSED, lines=lines, data={**data, "changed": False, "error": str(error)})
    return Answer(lines=[*lines, "Done."], data={**data, "changed": True})


class _File:
    """The flag file."""

    def __init__(self, path: str) -> None:
        self.origin = path

    def change(self, order: Order) -> Change:
        return plan_change(self.origin, order.key, order.percentage)

    def write(self, change: Change, *, reason: str) -> None:
        write_change(change)
        fact = RolloutChanged(
            flag=change.flag.key,
            from_bp=change.came_from.basis_points,
            to_bp=change.to.basis_points,
            state="manual",
            actor=login(),
            reason=reason,
        )
        emit(LogObserver(), fact)


class _Row:
    """The document in the database."""

    def __init__(self, store: DjangoRolloutStore) -> None:
        self.origin = flag_rows.ORIGIN
        self._store = store
        self._stored = flag_rows.read(store)

    def change(self, order: Order) -> Change:
        if self._stored.version < 0:
            raise ConfigError(self.origin, "holds no flags yet: `rollout flag load FILE` puts them there")
        return change_in(self._stored.text, order.key, order.percentage, origin=self.origin)

    def write(self, change: Change, *, reason: str) -> None:
        flag_rows.write(
            self._store,
            change.after,
            expected=self._stored,
            by=Actor(name=login()),
            reason=reason,
            observer=LogObserver(),
        )


_Owner = _File | _Row


def lint(path: str | None) -> Answer:
    """Say whether a flag file may be put in force: *path*, or the one of the settings."""
    found = conf.current()
    file = path or found.file
    if file is None:
        return not_ours(found)
    try:
        text = Path(file).read_bytes()
        flags = loader_of(file)(text, origin=file)
    except OSError as error:
        return Answer(
            code=Exit.UNREADABLE,
            lines=[f"{file}: {error.strerror}"],
            data={"file": file, "errors": [str(error.strerror)]},
        )
    except ConfigError as error:
        return Answer(code=Exit.FAILED, lines=[str(error)], data={"file": file, "errors": [str(error)]})
    errors, notes = against(flags, _in_force(found, file))
    verdict = "refused" if errors else "good"
    lines = [*errors, *notes, f"{file}: {len(flags.flags)} flags, version {flags.version}: {verdict}"]
    data = {
        "file": file,
        "flags": len(flags.flags),
        "version": flags.version,
        "errors": errors,
        "notes": notes,
    }
    return Answer(code=Exit.FAILED if errors else Exit.DONE, lines=lines, data=data)


def _in_force(found: conf.RolloutSettings, file: str) -> Snapshot | None:
    """Return what is in force where *file* would take its place."""
    if found.source is not conf.SourceName.FILE or found.file in (None, file):
        return None
    snapshot = wiring.source_of(found).snapshot()
    return snapshot if snapshot.status is SourceStatus.READY else None


def against(flags: FlagSet, old: Snapshot | None) -> tuple[list[str], list[str]]:
    """Compare a document with what is in force: what would be refused, and what would drop units."""
    if old is None:
        return [], []
    errors = (
        [f"version: {flags.version} is older than {old.version}, which is in force"]
        if flags.version < old.version
        else []
    )
    notes = []
    for key, flag in flags.flags.items():
        was = old.flags.get(key)
        if was is None:
            continue
        if (was.salt, was.algorithm) != (flag.salt, flag.algorithm):
            errors.append(f"flags.{key}: another salt or algorithm would deal every unit again")
        elif (flag.percentage or NOBODY) < (was.percentage or NOBODY):
            notes.append(f"flags.{key}: {percent_of(was)} -> {percent_of(flag)}: units would go out")
        elif was.enabled and not flag.enabled:
            notes.append(f"flags.{key}: would be disabled, and closed for everybody")
        elif flag.forced_off - was.forced_off or was.forced_on - flag.forced_on:
            notes.append(f"flags.{key}: more forced off, or fewer forced on: units would go out")
    notes.extend(
        f"flags.{key}: would be gone, and closed for everybody" for key in old.flags if key not in flags.flags
    )
    return errors, notes


def _told(change: Change, units: str | None) -> tuple[list[str], dict[str, object]]:
    word = "go out" if change.drops else "come in"
    versions = f"version {change.before.version} -> {change.before.version + 1}"
    lines = [
        f"{change.flag.key}: {change.came_from} % -> {change.to} % in {change.origin}, {versions}",
        f"  about {change.share:f} % of the units {word}",
    ]
    data: dict[str, object] = {
        "flag": change.flag.key,
        "from": str(change.came_from),
        "to": str(change.to),
        "file": change.origin,
        "version": change.before.version + 1,
        "expected_share": f"{change.share:f}",
        "drops": change.drops,
    }
    counted, problem = over_units(units, change.counted)
    if problem:
        lines.append(f"  the units could not be counted: {units} failed ({problem})")
        data["units"] = None
    if counted is not None:
        lines.append(f"  {counted}")
        data |= {
            "units": counted.units,
            "gained": counted.gained,
            "lost": counted.lost,
            "in_before": counted.before,
            "in_after": counted.after,
        }
    return lines, data


def not_ours(found: conf.RolloutSettings) -> Answer:
    """Answer that somebody else owns the percentage, and who."""
    owner = {
        conf.SourceName.SETTINGS: 'ROLLOUT["FLAGS"] in the settings',
        conf.SourceName.ENVIRONMENT: f"the environment variable {variable_of(found.flag)}",
        conf.SourceName.FILE: 'the file of ROLLOUT["FILE"], which is not set,',
        conf.SourceName.DATABASE: "the database",
        conf.SourceName.OPENFEATURE: 'the OpenFeature provider of ROLLOUT["OPENFEATURE"]',
    }[found.source]
    owner = f"{owner} owns the percentage: change it there"
    return Answer(
        code=Exit.REFUSED,
        lines=[f"Nothing was changed: {owner}."],
        data={"owner": found.source, "error": owner},
    )
