"""The rollouts in a database: state and journal in one transaction, on top of the version that was read.

Invariants: a journal entry is inserted and never updated or deleted; a write locks its flag's row first, so
that of two that went by one version the second is refused; moments are the database's clock. Explained in
docs/explanation/flags-in-the-database.md.
"""

# ruff: noqa: S608 - statements are put together of constants; every value is a parameter

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.db.backends.utils import CursorWrapper

from rollout import state_text
from rollout.django.told import LIKE_SEEN, Told
from rollout.errors import StoreConflict
from rollout.flags import FlagKey
from rollout.fleet import Sender
from rollout.journal import JournalEntry
from rollout.rollout_state import Cause, RolloutState
from rollout.stores.base import MAX_LEASE_SECONDS, NOTHING_SEEN, Fence, check_swap
from webhooks_core.django.outbox.database import Database

__all__ = ["TABLE", "DjangoRolloutStore"]

TABLE = "rollout_rollout"
MAX_NAME_CHARACTERS = 128
MAX_STOPPED_CHARACTERS = 200
_MINE = " WHERE environment = %s AND flag = %s"
_LOAD = "SELECT content FROM rollout_rollout" + _MINE
_LOCK = "SELECT content, fence_token, fence_holder, fence_until_at FROM rollout_rollout" + _MINE
_INSERT = (
    "INSERT INTO rollout_rollout (environment, flag, version, state, ceiling, epoch, is_killed, is_shadow,"
    " content, changed_at, fence_token, fence_holder, fence_until_at)"
    " VALUES (%s, %s, 0, %s, '', 0, %s, %s, %s, 0, 0, '', 0) ON CONFLICT (environment, flag) DO NOTHING"
)
_SWAP = (
    "UPDATE rollout_rollout SET version = %s, state = %s, ceiling = %s, epoch = %s, is_killed = %s,"
    " is_shadow = %s, content = %s, changed_at = %s" + _MINE
)
_ENTER = (
    "INSERT INTO rollout_journalentry (environment, flag, version, at, actor, cause, content, hash)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)
_JOURNAL = "SELECT content FROM rollout_journalentry" + _MINE + " AND version > %s ORDER BY version"
_FENCE = "UPDATE rollout_rollout SET fence_token = %s, fence_holder = %s, fence_until_at = %s" + _MINE
_GIVE_BACK = "UPDATE rollout_rollout SET fence_until_at = %s" + _MINE + " AND fence_token = %s"
_WAITING = "SELECT name, epochs FROM rollout_sender WHERE environment = %s AND epochs LIKE %s ORDER BY name"
_SETTLE = "UPDATE rollout_sender SET epochs = %s WHERE environment = %s AND name = %s AND epochs = %s"
_TOLD = "SELECT epochs FROM rollout_sender WHERE environment = %s AND name = %s"
_BEAT = (
    "INSERT INTO rollout_sender (environment, name, epochs, seen_at, lease_seconds, stopped_by)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (environment, name) DO UPDATE SET epochs = excluded.epochs, seen_at = excluded.seen_at,"
    " lease_seconds = excluded.lease_seconds, stopped_by = excluded.stopped_by"
)
_SENDERS = (
    "SELECT name, epochs, seen_at, lease_seconds, stopped_by FROM rollout_sender"
    " WHERE environment = %s ORDER BY name"
)

_FORGET = "DELETE FROM rollout_sender WHERE environment = %s AND name = %s AND seen_at < %s"


class DjangoRolloutStore:
    """Keep the rollouts of one environment.

    Args:
        database: Where the tables are; its clock is the store's.
        environment: Whose rows.
    """

    def __init__(self, database: Database, *, environment: str) -> None:
        self.database = database
        self.environment = environment

    def now(self) -> float:
        """Return the store's time."""
        return self.database.now()

    def load(self, flag: FlagKey) -> RolloutState:
        """Return the state of *flag*."""
        with self.database.reading() as cursor:
            cursor.execute(_LOAD, [self.environment, flag])
            found = cursor.fetchone()
        return RolloutState(flag=flag) if found is None else state_text.loads(found[0])

    def swap(
        self,
        state: RolloutState,
        entry: JournalEntry | None = None,
        *,
        expected_version: int,
        fence: Fence | None = None,
    ) -> None:
        """Write *state* and *entry* together, on top of *expected_version*."""
        with self.database.transaction() as cursor:
            content, token, _, _ = self._locked(cursor, state.flag)
            if fence is not None and token != fence.token:
                raise StoreConflict(f"fence {fence.token}", f"fence {token}")
            check_swap(state_text.loads(content), state, entry, expected_version=expected_version)
            cursor.execute(
                _SWAP,
                [
                    state.version,
                    state.state.value,
                    "" if state.ceiling is None else str(state.ceiling),
                    state.epoch,
                    state.killed,
                    state.is_shadow,
                    state_text.dumps(state),
                    self.database.now(cursor),
                    self.environment,
                    state.flag,
                ],
            )
            if entry is not None:
                self.enter(cursor, entry)
                if entry.cause == Cause.STORE_ACCEPTED.value:
                    self._settle(cursor)

    def enter(self, cursor: CursorWrapper, entry: JournalEntry) -> None:
        """Add *entry* to the journal, in the transaction of *cursor* that changes its row."""
        cursor.execute(
            _ENTER,
            [
                self.environment,
                entry.flag,
                entry.version,
                entry.at,
                entry.actor,
                entry.cause[:64],
                entry.dumps(),
                entry.hash,
            ],
        )

    def _settle(self, cursor: CursorWrapper) -> None:
        """A person has accepted the store: what senders had seen of another one counts no more."""
        cursor.execute(_WAITING, [self.environment, LIKE_SEEN])
        for name, text in cursor.fetchall():
            settled = replace(Told.loads(text), seen={}).dumps()
            cursor.execute(_SETTLE, [settled, self.environment, name, text])

    def _locked(self, cursor: CursorWrapper, flag: FlagKey) -> tuple[str, int, str, float]:
        """Lock the row of *flag*, made where it is missing; return content and fence."""
        lock = _LOCK + (" FOR UPDATE" if self.database.is_postgres else "")
        cursor.execute(lock, [self.environment, flag])
        found = cursor.fetchone()
        if found is None:
            fresh = RolloutState(flag=flag)
            cursor.execute(
                _INSERT,
                [self.environment, flag, fresh.state.value, False, False, state_text.dumps(fresh)],
            )
            cursor.execute(lock, [self.environment, flag])
            found = cursor.fetchone()
        content, token, holder, until_at = found
        return content, token, holder, until_at

    def journal(
        self, flag: FlagKey, *, after_version: int = 0, limit: int | None = None
    ) -> Sequence[JournalEntry]:
        """Return the entries of *flag*, oldest first."""
        most = "" if limit is None else f" LIMIT {int(limit)}"
        with self.database.reading() as cursor:
            cursor.execute(_JOURNAL + most, [self.environment, flag, after_version])
            return [JournalEntry.loads(text) for (text,) in cursor.fetchall()]

    def take_fence(self, flag: FlagKey, owner: str, *, lease_seconds: float) -> Fence | None:
        """Take or renew the fence of *flag*, or return None while another holds it."""
        with self.database.transaction() as cursor:
            _, token, holder, until_at = self._locked(cursor, flag)
            now = self.database.now(cursor)
            is_held = token > 0 and now < until_at <= now + MAX_LEASE_SECONDS
            if is_held and holder != owner:
                return None
            fence = Fence(flag=flag, owner=owner, token=token + (not is_held), expires_at=now + lease_seconds)
            cursor.execute(
                _FENCE,
                [fence.token, owner[:MAX_NAME_CHARACTERS], fence.expires_at, self.environment, flag],
            )
            return fence

    def give_back(self, fence: Fence) -> None:
        """Let another have the fence at once."""
        with self.database.transaction() as cursor:
            now = self.database.now(cursor)
            cursor.execute(_GIVE_BACK, [now, self.environment, fence.flag, fence.token])

    def beat(
        self,
        name: str,
        epochs: Mapping[FlagKey, int],
        *,
        lease_seconds: float,
        stopped_by: str = "",
        seen: Mapping[FlagKey, int] = NOTHING_SEEN,
    ) -> None:
        """Write the heartbeat of a sender."""
        name = name[:MAX_NAME_CHARACTERS]
        with self.database.transaction() as cursor:
            now = self.database.now(cursor)
            cursor.execute(_TOLD, [self.environment, name])
            found = cursor.fetchone()
            told = Told() if found is None else Told.loads(found[0])
            text = told.after(epochs, seen, now=now).dumps()
            cursor.execute(
                _BEAT, [self.environment, name, text, now, lease_seconds, stopped_by[:MAX_STOPPED_CHARACTERS]]
            )

    def senders(self, flag: FlagKey) -> Sequence[Sender]:
        """Return every heartbeat row, by name."""
        with self.database.reading() as cursor:
            cursor.execute(_SENDERS, [self.environment])
            rows = cursor.fetchall()
        found = []
        for name, epochs, seen_at, lease_seconds, stopped_by in rows:
            told = Told.loads(epochs)
            epoch, acknowledged_at = told.epochs.get(flag, (0, 0.0))
            found.append(
                Sender(
                    name=name,
                    epoch=epoch,
                    acknowledged_at=acknowledged_at,
                    seen_at=seen_at,
                    lease_seconds=lease_seconds,
                    stopped_by=stopped_by,
                    seen_version=told.seen.get(flag, 0),
                )
            )
        return found

    def prune_senders(self, *, seen_before: float) -> None:
        """Forget senders not seen since *seen_before* (epoch seconds), but for who knew most of each flag.

        By it `Situation.went_back` knows of a store that was put back to a day before.
        """
        with self.database.transaction() as cursor:
            cursor.execute(_SENDERS, [self.environment])
            rows = [(name, Told.loads(text), seen_at) for name, text, seen_at, *_ in cursor.fetchall()]
            highest: dict[tuple[FlagKey, bool], tuple[int, float, str]] = {}
            for name, told, seen_at in rows:
                known = [((flag, False), epoch) for flag, (epoch, _) in told.epochs.items()]
                for what, number in [*known, *(((flag, True), each) for flag, each in told.seen.items())]:
                    highest[what] = max(highest.get(what, (0, 0.0, "")), (number, seen_at, name))
            kept = {name for _, _, name in highest.values()}
            for name, _, seen_at in rows:
                if seen_at < seen_before and name not in kept:
                    cursor.execute(_FORGET, [self.environment, name, seen_before])
