"""A rollout's row that this release cannot read: stopped all the same, by its columns, which senders obey.

A newer release wrote a key that this one does not know, and was taken back; or the row is damaged.
Invariants: less is let through, never more; what is not understood stays as it was written; the journal goes
on where the row still says which entry was the last one, so that any release can check it. Explained in
docs/how-to/stop-everything.md.
"""

# ruff: noqa: S608 - statements are put together of constants; every value is a parameter

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rollout import state_text
from rollout.commands import Kill, RollBack
from rollout.django.store import DjangoRolloutStore
from rollout.errors import ConfigError, StoreConflict
from rollout.events import RolloutChanged, emit
from rollout.flags import FlagKey
from rollout.journal import JournalEntry, facts_of
from rollout.observers.log import LogObserver
from rollout.percentage import NOBODY, Percentage
from rollout.rollout_state import LATCHED, Cause, RolloutState, State
from rollout.runner import Runner

__all__ = ["StoppedUnread", "head_of", "is_over", "obeyed", "stop"]

_MINE = " WHERE environment = %s AND flag = %s"
_ROW = "SELECT content, version, epoch, is_killed, ceiling FROM rollout_rollout" + _MINE
_STANDS = "SELECT state, ceiling FROM rollout_rollout" + _MINE
_STOP = (
    "UPDATE rollout_rollout SET version = %s, state = %s, ceiling = %s, epoch = %s, is_killed = %s,"
    " is_shadow = %s, content = %s, changed_at = %s" + _MINE
)
# What a stop changes, and of which type it must be to be changed: a newer release may mean something else.
_TYPES: Mapping[str, tuple[type, ...]] = {
    "version": (int,),
    "state": (str,),
    "ceiling": (str, type(None)),
    "epoch": (int,),
    "epoch_at": (int, float),
    "killed": (bool,),
    "reason": (str,),
    "actor": (str,),
    "head": (str,),
}
# A journal entry tells neither of these as a change: they follow from the entries themselves.
_UNTOLD = frozenset({"version", "head"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedUnread:
    """What was made of a row that cannot be read.

    Args:
        state: Where the rollout stands by its columns.
        problem: Why it cannot be read.
        entry: The journal's entry; None: the row did not tell which one was the last.
    """

    state: RolloutState
    problem: str
    entry: JournalEntry | None

    def __str__(self) -> str:
        what = f"This release cannot read the row of {self.state.flag} ({self.problem})"
        if self.entry is not None:
            return f"{what}. Its ceiling was set to 0 all the same, and the journal has it."
        return (
            f"{what}. Its ceiling was set to 0 in the columns that senders obey, WITHOUT A JOURNAL ENTRY: the"
            " row does not say which was the last. Mend the row, or put it back from a backup, before a"
            " release reads it."
        )


def obeyed(
    command: Kill | RollBack, *, store: DjangoRolloutStore, flag: FlagKey, runner: Runner
) -> tuple[RolloutState, str]:
    """Have *command* followed, by the row's columns where it cannot be read; for every door that stops.

    Args:
        command: What stops the rollout of *flag*.
        store: Where it is kept.
        flag: The flag's key.
        runner: What follows the command where the row can be read.

    Returns:
        Where it stands after that, and what a person must know of its row; empty: nothing.

    Raises:
        ConfigError: The command cannot be followed, and not because of the row.
        StoreConflict: Others wrote first again and again.
        Exception: What the database raises.
    """
    try:
        return runner.obey(command).state, ""
    except ConfigError:
        problem = _problem_of(store, flag)
        if not problem:
            raise
        stopped = stop(store, flag, command, problem=problem)
        return stopped.state, str(stopped)


def is_over(store: DjangoRolloutStore, flag: FlagKey) -> bool:
    """Whether nothing of *flag* can be rolled back any more, by the columns of a row that cannot be read."""
    with store.database.reading() as cursor:
        cursor.execute(_STANDS, [store.environment, flag])
        found = cursor.fetchone()
    return found is None or found[1] is None or (found[0] in LATCHED and found[1] == str(NOBODY))


def _problem_of(store: DjangoRolloutStore, flag: FlagKey) -> str:
    """Say why this release cannot read the row of *flag*; empty where it can."""
    try:
        store.load(flag)
    except ConfigError as error:
        return str(error)
    return ""


def head_of(store: DjangoRolloutStore, flag: FlagKey) -> str | None:
    """Return which journal entry was the last by a row that cannot be read; None where it does not say."""
    with store.database.reading() as cursor:
        cursor.execute(_ROW, [store.environment, flag])
        found = cursor.fetchone()
    data = None if found is None else _understood(found[0])
    return None if data is None else str(data["head"])


def stop(
    store: DjangoRolloutStore, flag: FlagKey, command: Kill | RollBack, *, problem: str
) -> StoppedUnread:
    """Set the ceiling of *flag* to 0 in its columns, and in its text where that is understood.

    Args:
        store: Where the row is.
        flag: The flag's key.
        command: Who wants it, why, and whether it stays killed.
        problem: Why the row cannot be read.

    Raises:
        StoreConflict: Somebody has removed the row meanwhile.
        Exception: What the database raises.
    """
    known = store.senders(flag)
    lock = _ROW + (" FOR UPDATE" if store.database.is_postgres else "")
    with store.database.transaction() as cursor:
        cursor.execute(lock, [store.environment, flag])
        found = cursor.fetchone()
        if found is None:
            raise StoreConflict(f"a row of {flag}", "no row")
        content, version, epoch, is_killed, ceiling = found
        data = _understood(content)
        told: Mapping[str, object] = data or {}
        now = store.database.now(cursor)
        after = RolloutState(
            flag=flag,
            version=max(version, _whole(told, "version"), *(each.seen_version for each in known)) + 1,
            state=State.ROLLING_BACK,
            ceiling=NOBODY,
            epoch=max(epoch, _whole(told, "epoch"), *(each.epoch for each in known)) + 1,
            epoch_at=now,
            killed=bool(is_killed) or isinstance(command, Kill),
            reason=command.reason,
            actor=command.by.name,
        )
        entry = None
        if data is not None:
            entry = _entry(data, after, command)
            after = replace(after, head=entry.hash)
            content = _dumps({**data, **_changed(after), "version": after.version, "head": after.head})
        row = [after.version, after.state.value, str(NOBODY), after.epoch, after.killed, False, content, now]
        cursor.execute(_STOP, [*row, store.environment, flag])
        if entry is not None:
            store.enter(cursor, entry)
    _tell(after, entry, was=ceiling)
    return StoppedUnread(state=after, problem=problem, entry=entry)


def _tell(after: RolloutState, entry: JournalEntry | None, *, was: str) -> None:
    """Say what is written already, as a runner does: the log keeps the journal's last hash, too."""
    try:
        from_bp = Percentage.parse(was).basis_points
    except ConfigError:
        from_bp = "none"
    log, to_bp, name = LogObserver(), NOBODY.basis_points, after.state.value
    if entry is not None:
        for fact in facts_of(entry, from_bp=from_bp, to_bp=to_bp, state=name):
            emit(log, fact)
        return
    changed = RolloutChanged(
        flag=after.flag, from_bp=from_bp, to_bp=to_bp, state=name, actor=after.actor, reason=after.reason
    )
    emit(log, changed)


def _entry(data: Mapping[str, object], after: RolloutState, command: Kill | RollBack) -> JournalEntry:
    """Return the entry that tells the stop, chained to the last one; as `journal.entry_of` would."""
    changed = _changed(after)
    told = [key for key, value in changed.items() if data[key] != value or key in ("state", "ceiling")]
    entry = JournalEntry(
        flag=after.flag,
        version=after.version,
        at=after.epoch_at,
        actor=command.by.name,
        authenticated=command.by.authenticated,
        cause=(Cause.KILLED if isinstance(command, Kill) else Cause.ROLL_BACK).value,
        reason=command.reason,
        before={key: data[key] for key in told},
        after={key: changed[key] for key in told},
        evidence=None,
        rule_version=None,
        previous=str(data["head"]),
    )
    return replace(entry, hash=entry.computed_hash())


def _changed(after: RolloutState) -> dict[str, object]:
    return {key: value for key, value in state_text.as_dict(after).items() if key in _TYPES.keys() - _UNTOLD}


def _understood(content: str) -> dict[str, object] | None:
    """Return what the row's text says, where all that a stop changes is there and of the known type."""
    try:
        data: object = json.loads(content)
        _dumps(data)
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(data, dict) or any(
        type(data.get(key, ...)) not in each for key, each in _TYPES.items()
    ):
        return None
    return data


def _whole(data: Mapping[str, object], key: str) -> int:
    value = data.get(key, 0)
    return value if isinstance(value, int) else 0


def _dumps(data: object) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
