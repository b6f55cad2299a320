"""`manage.py rollout flag load`: a flag file's flags put into the database, which owns them from then on.

Invariants: what is told is what is done; what would drop units needs `--yes`; another salt or algorithm is
refused; everything is written in one transaction, on top of what was read. Explained in
docs/reference/commands.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rollout.actor import Actor
from rollout.django import conf, flag_rows
from rollout.django.flag_file import counted
from rollout.django.flag_rows import Moved, StoredFlags
from rollout.django.management.flag_change import against, not_ours
from rollout.django.management.words import found_store, login
from rollout.django.units import over_units
from rollout.errors import ConfigError, StoreConflict, TransitionError
from rollout.flags import FlagKey
from rollout.observers.log import LogObserver
from rollout.snapshot import Snapshot
from rollout.sources.schema import FlagSet, loader_of
from webhooks_core.django.answer import Answer, Exit

__all__ = ["load"]


def load(options: dict[str, Any]) -> Answer:
    """Put the flags of a file into the database, after saying what that does."""
    found = conf.current()
    if found.source is not conf.SourceName.DATABASE:
        return not_ours(found)
    store = found_store()
    stored = flag_rows.read(store)
    try:
        document = stored.next(_read(options["file"]))
    except ConfigError as error:
        return Answer(code=Exit.UNREADABLE, lines=[str(error)], data={"error": str(error)})
    before = stored.flags
    moved = flag_rows.moves(before, document)
    errors, drops = against(document, Snapshot(flags=before.flags, version=before.version))
    lines = [*_told(moved, found.units, before=before, after=document), *_unreadable(stored), *errors, *drops]
    data: dict[str, object] = {
        "version": document.version,
        "flags": {key: str(each) for key, each in moved.items()},
        "errors": errors,
        "drops": drops,
        "changed": False,
    }
    if refusal := _refusal(errors, drops, options):
        return Answer(code=Exit.REFUSED, lines=[*lines, f"Nothing was changed: {refusal}."], data=data)
    if not moved or options["dry_run"]:
        why = "a dry run" if options["dry_run"] else "it is there already"
        return Answer(lines=[*lines, f"Nothing was changed: {why}."], data=data)
    reason = options["reason"] or "flag-load"
    try:
        flag_rows.write(
            store, document, expected=stored, by=Actor(name=login()), reason=reason, observer=LogObserver()
        )
    except (StoreConflict, TransitionError) as error:
        return Answer(code=Exit.REFUSED, lines=[*lines, f"Nothing was changed: {error}."], data=data)
    return Answer(lines=[*lines, f"Done: version {document.version}."], data={**data, "changed": True})


def _read(file: str) -> FlagSet:
    try:
        text = Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(file, f"cannot be read: {error.strerror}") from None
    return loader_of(file)(text, origin=file)


def _refusal(errors: list[str], drops: list[str], options: dict[str, Any]) -> str:
    if errors:
        return "a flag keeps its salt and algorithm for life"
    if drops and not options["yes"] and not options["dry_run"]:
        return "units would go out; say --yes if that is what you want"
    return ""


def _unreadable(stored: StoredFlags) -> list[str]:
    if stored.version < 0 or stored.flags.flags:
        return []
    return ["What is stored there now says nothing that can be read."]


def _told(moved: dict[FlagKey, Moved], units: str | None, *, before: FlagSet, after: FlagSet) -> list[str]:
    lines = []
    known, _ = over_units(units if moved else None, list)
    for key, each in moved.items():
        lines.append(f"{key}: {each}")
        if known is not None:
            lines.append(f"  {counted(key, known, before=before, after=after)}")
    return lines
