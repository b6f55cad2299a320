"""The flags in the database: the document that a row holds, and putting another one in its place.

For `ROLLOUT["SOURCE"] = "database"`; what a change is, `flag_file` says. Invariants: a document is replaced
on top of the version that was read, or not at all; its version grows; each flag that says something else has
its journal row in the same transaction. Explained in docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from rollout.actor import Actor
from rollout.commands import ChangeFlag
from rollout.controller import step
from rollout.django.store import DjangoRolloutStore
from rollout.errors import ConfigError, StoreConflict
from rollout.events import Observer, emit
from rollout.flags import FlagKey
from rollout.journal import JournalEntry, facts_of
from rollout.percentage import NOBODY, Percentage
from rollout.situation import Situation
from rollout.sources.schema import FlagSet, dumps, loads_json

__all__ = ["ORIGIN", "Moved", "StoredFlags", "moves", "read", "write"]

ORIGIN = "database"
_TRIES = 10
# What `Moved` writes at the beginning of a journal row's reason.
_MOVED = re.compile(
    r"the flag's (?:own percentage, (?P<old>none|[0-9.]+ %) -> |rules, )(?P<new>none|[0-9.]+ %)"
)

_READ = "SELECT version, content FROM rollout_configuration WHERE environment = %s"
_MAKE = (
    "INSERT INTO rollout_configuration (version, content, changed_at, environment) VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (environment) DO NOTHING"
)
_REPLACE = (
    "UPDATE rollout_configuration SET version = %s, content = %s, changed_at = %s"
    " WHERE environment = %s AND version = %s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFlags:
    """What the row holds: its version, -1 where there is no row, the document, and what that says.

    The flags are none where the document cannot be read.
    """

    version: int = -1
    text: bytes = b""
    flags: FlagSet = field(default_factory=FlagSet)

    def next(self, after: FlagSet) -> FlagSet:
        """Return *after* as the document that follows this one."""
        version = max(self.version, self.flags.version, after.version - 1) + 1
        flags = {key: replace(flag, version=version) for key, flag in after.flags.items()}
        return FlagSet(flags=flags, version=version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One flag that says something else; None is a flag that is not there."""

    before: Percentage | None
    after: Percentage | None

    def __str__(self) -> str:
        """The change as the journal tells it."""
        old, new = ("none" if each is None else f"{each} %" for each in (self.before, self.after))
        return f"the flag's rules, {new}" if old == new else f"the flag's own percentage, {old} -> {new}"

    @classmethod
    def told(cls, reason: str) -> Moved | None:
        """Return the change that a journal row's *reason* begins with; None where it tells of none."""
        found = _MOVED.match(reason)
        if found is None:
            return None
        try:
            before, after = (_percentage(each) for each in (found["old"] or found["new"], found["new"]))
        except ConfigError:
            return None
        return cls(before=before, after=after)

    @property
    def lowers(self) -> bool:
        """Whether the percentage went down, or the flag is gone; rules may let in whom they like."""
        return (self.after or NOBODY) < (self.before or NOBODY)


def _percentage(text: str) -> Percentage | None:
    return None if text == "none" else Percentage.parse(text.removesuffix(" %"))


def read(store: DjangoRolloutStore) -> StoredFlags:
    """Return what is stored for the environment of *store*."""
    with store.database.reading() as cursor:
        cursor.execute(_READ, [store.environment])
        found = cursor.fetchone()
    if found is None:
        return StoredFlags()
    version, text = found[0], found[1].encode()
    try:
        return StoredFlags(version=version, text=text, flags=loads_json(text, origin=ORIGIN))
    except ConfigError:
        return StoredFlags(version=version, text=text)


def moves(before: FlagSet, after: FlagSet) -> dict[FlagKey, Moved]:
    """Return which flags say something else, whatever their version."""
    found = {}
    for key in sorted({*before.flags, *after.flags}):
        old, new = before.flags.get(key), after.flags.get(key)
        if old is None or new is None or replace(old, version=0) != replace(new, version=0):
            of = [None if flag is None else flag.percentage or NOBODY for flag in (old, new)]
            found[key] = Moved(before=of[0], after=of[1])
    return found


def write(
    store: DjangoRolloutStore,
    after: FlagSet,
    *,
    expected: StoredFlags,
    by: Actor,
    reason: str,
    observer: Observer,
) -> FlagSet:
    """Put *after* in the place of what is *expected* there, and a journal row for each flag that moves.

    Args:
        after: What the flags are to say; its version is not asked, since the next one is taken.
        by: Who changes it.
        reason: Why, for the journal.
        observer: Hears of each change once it is written.

    Returns:
        What was written.

    Raises:
        StoreConflict: Somebody else changed the flags first; nothing was changed.
        TransitionError: The store went back, and nobody has accepted it; nothing was changed.
    """
    document = expected.next(after)
    for _ in range(_TRIES):
        try:
            told = _written(store, document, expected=expected, by=by, reason=reason)
        except StoreConflict:  # the runner writes its state several times a minute: once more, if that is all
            if read(store).version != expected.version:
                raise
        else:
            break
    else:
        raise StoreConflict("the rollout as it was read", "another, at each of several tries")
    for each, entry in told:
        _tell(each, entry, observer)
    return document


def _written(
    store: DjangoRolloutStore, document: FlagSet, *, expected: StoredFlags, by: Actor, reason: str
) -> list[tuple[Moved, JournalEntry]]:
    with store.database.transaction() as cursor:
        now = store.database.now(cursor)
        row: list[int | float | str] = [document.version, dumps(document), now]
        if expected.version < 0:
            cursor.execute(_MAKE, [*row, store.environment])
        else:
            cursor.execute(_REPLACE, [*row, store.environment, expected.version])
        if cursor.rowcount != 1:
            raise StoreConflict(f"flags of version {expected.version}", "others")
        return [
            (each, _entered(store, key, by=by, reason=f"{each}; {reason}", now=now))
            for key, each in moves(expected.flags, document).items()
        ]


def _entered(store: DjangoRolloutStore, key: FlagKey, *, by: Actor, reason: str, now: float) -> JournalEntry:
    state = store.load(key)
    situation = Situation(now=now, senders=tuple(store.senders(key)))
    made = step(state, ChangeFlag(by=by, reason=reason), situation)
    assert made.entry is not None  # a flag that moves is always worth one
    store.swap(made.state, made.entry, expected_version=state.version)
    return made.entry


def _tell(moved: Moved, entry: JournalEntry, observer: Observer) -> None:
    old, new = (NOBODY if each is None else each for each in (moved.before, moved.after))
    for fact in facts_of(entry, from_bp=old.basis_points, to_bp=new.basis_points, state="manual"):
        emit(observer, fact)
