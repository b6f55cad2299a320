"""The memory of receivers in the database: ids and signatures that were seen, and who is handling one now.

Each method is one transaction, or a part of the one that is open. Invariants: of any number of processes that
claim one id exactly one is told NEW, until it gives the claim back or its lease runs out; inside `handling`
the effect and *done* commit together or not at all. Explained in docs/explanation/security-model.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from math import ceil
from secrets import randbits  # noqa: TID251 - the edge: the default of `new_token`
from string import hexdigits
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction
from django.db.backends.utils import CursorWrapper

from webhooks_core.errors import StoreUnavailable
from webhooks_core.stores.replay import (
    LEASE_SECONDS,
    REMEMBER_SECONDS,
    SIGNATURE_SECONDS,
    Claim,
    ClaimOutcome,
    check_durations,
)

# A write from the beginning: SQLite never has to turn a read lock into a write lock.
_TOUCH = "UPDATE webhooks_seenwebhook SET token = token WHERE webhook_id = ''"
_TAKE = (
    "INSERT INTO webhooks_seenwebhook (webhook_id, token, signature, is_done, until_at)"
    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (webhook_id) DO UPDATE SET token = excluded.token,"
    " signature = excluded.signature, is_done = excluded.is_done, until_at = excluded.until_at"
    " WHERE webhooks_seenwebhook.until_at <= %s RETURNING token"
)
_MARK = (
    "INSERT INTO webhooks_seensignature (signature, webhook_id, token, until_at) VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (signature) DO UPDATE SET webhook_id = excluded.webhook_id, token = excluded.token,"
    " until_at = excluded.until_at"
    " WHERE webhooks_seensignature.until_at <= %s OR webhooks_seensignature.token = %s RETURNING signature"
)
_SEEN = "SELECT is_done, until_at, token FROM webhooks_seenwebhook WHERE webhook_id = %s"
_AT_WORK = (
    "SELECT w.is_done, w.until_at FROM webhooks_seensignature s JOIN webhooks_seenwebhook w"
    " ON w.webhook_id = s.webhook_id AND w.token = s.token WHERE s.signature = %s"
)
_DONE = (
    "UPDATE webhooks_seenwebhook SET is_done = %s, until_at = %s"
    " WHERE webhook_id = %s AND token = %s AND is_done = %s RETURNING webhook_id"
)
_GIVEN_BACK = (
    "DELETE FROM webhooks_seenwebhook WHERE webhook_id = %s AND token = %s AND is_done = %s"
    " RETURNING signature, token"
)
_UNMARK = "DELETE FROM webhooks_seensignature WHERE signature = %s AND token = %s"
_TRIES = 3  # of a claim whose opponent has just been forgotten


class _SignatureSeen(Exception):
    """Undoes a claim whose signature was seen under another id."""


def _random_token() -> int:
    return randbits(120)


class DatabaseReplayStore:
    """Remember ids and signatures in a database of Django's, for receivers in any number of processes.

    Args:
        using: Alias of the database: SQLite or PostgreSQL.
        lease_seconds: After this time a claim that nobody ended is free again.
        remember_seconds: How long done ids are kept; at least 900.
        signature_seconds: How long signatures are kept: the verifier's window and skew together.
        new_token: A number below 2^128 that no other claim has.

    Raises:
        ConfigError: A number that is out of range.
    """

    def __init__(
        self,
        *,
        using: str = DEFAULT_DB_ALIAS,
        lease_seconds: float = LEASE_SECONDS,
        remember_seconds: float = REMEMBER_SECONDS,
        signature_seconds: float = SIGNATURE_SECONDS,
        new_token: Callable[[], int] = _random_token,
    ) -> None:
        check_durations(
            lease_seconds=lease_seconds,
            remember_seconds=remember_seconds,
            signature_seconds=signature_seconds,
        )
        self.alias = using
        self._lease_seconds = lease_seconds
        self._remember_seconds = remember_seconds
        self._signature_seconds = signature_seconds
        self._new_token = new_token

    def claim(self, webhook_id: str, signature: str | None, *, now: float) -> Claim:
        """Take the id and the signature together, or tell who has them; see `ReplayStore.claim`.

        Raises:
            StoreUnavailable: The database did not answer; nothing was claimed.
        """
        key, mark = _text(webhook_id, 32), "" if signature is None else _text(signature, 64)
        for _ in range(_TRIES):
            found = self._tried(webhook_id, key, mark, now=now)
            if found is not None:
                return found
        raise StoreUnavailable("database", "a claim changes too often")

    def done(self, claim: Claim, *, now: float) -> bool:
        """Remember the id as handled; see `ReplayStore.done`."""
        if not claim.is_mine:
            return False
        until = now + self._remember_seconds
        with self._transaction() as cursor:
            cursor.execute(_DONE, [True, until, _text(claim.webhook_id, 32), f"{claim.token:x}", False])
            return cursor.fetchone() is not None

    def give_back(self, claim: Claim, *, now: float) -> bool:  # noqa: ARG002 - the port's; others need it
        """Forget the claim and its signature; see `ReplayStore.give_back`."""
        if not claim.is_mine:
            return False
        key = _text(claim.webhook_id, 32)
        with self._transaction() as cursor:
            cursor.execute(_GIVEN_BACK, [key, f"{claim.token:x}", False])
            row = cursor.fetchone()
            if row is not None:
                cursor.execute(_UNMARK, row)
            return row is not None

    @contextmanager
    def handling(self, claim: Claim, *, clock: Callable[[], float]) -> Iterator[None]:
        """Run the block, the handler's effect on the same database, and *done* as one transaction.

        Raises:
            StoreUnavailable: The claim was somebody else's by then; the effect is undone.
        """
        with transaction.atomic(using=self.alias):
            yield
            if not self.done(claim, now=clock()):
                raise StoreUnavailable("database", "the claim was lost while its effect was on its way")

    def forget(self, *, now: float, most: int = 1_000) -> int:
        """Remove up to *most* ids and signatures that count no more; return how many."""
        removed = 0
        with self._transaction() as cursor:
            for table, key in (
                ("webhooks_seenwebhook", "webhook_id"),
                ("webhooks_seensignature", "signature"),
            ):
                cursor.execute(
                    f"DELETE FROM {table} WHERE {key} IN"  # noqa: S608 - constants
                    f" (SELECT {key} FROM {table} WHERE until_at <= %s ORDER BY until_at LIMIT %s)",
                    [now, most],
                )
                removed += cursor.rowcount
        return removed

    def _tried(self, webhook_id: str, key: str, mark: str, *, now: float) -> Claim | None:
        """Claim once; None where whoever stood in the way is gone."""
        token = self._new_token()
        text = f"{token:x}"
        try:
            with self._transaction() as cursor:
                cursor.execute(_TOUCH)
                cursor.execute(_SEEN, [key])
                before = cursor.fetchone()
                cursor.execute(_TAKE, [key, text, mark, False, now + self._lease_seconds, now])
                if cursor.fetchone() is None:
                    cursor.execute(_SEEN, [key])
                    return _found(webhook_id, cursor.fetchone(), now=now)
                if mark:
                    # A lease that ran out may come again with its own signature: the sender's next attempt.
                    own = "" if before is None or before[0] else before[2]
                    cursor.execute(_MARK, [mark, key, text, now + self._signature_seconds, now, own])
                    if cursor.fetchone() is None:
                        raise _SignatureSeen
                return Claim(outcome=ClaimOutcome.NEW, webhook_id=webhook_id, token=token)
        except _SignatureSeen:
            with self._transaction() as cursor:
                cursor.execute(_AT_WORK, [mark])
                row = cursor.fetchone()
            if row is None or (not row[0] and row[1] <= now):
                return Claim(outcome=ClaimOutcome.DONE, webhook_id=webhook_id)
            return _found(webhook_id, row, now=now)

    @contextmanager
    def _transaction(self) -> Iterator[CursorWrapper]:
        connection = connections[self.alias]
        try:
            with transaction.atomic(using=self.alias), connection.cursor() as cursor:
                yield cursor
        except Error as error:
            if not connection.in_atomic_block:
                connection.close()
            from webhooks_core.django import schema  # models: only where the app is installed

            problem = schema.REMEDY if schema.is_behind(error) else type(error).__name__
            raise StoreUnavailable("database", problem) from error


def _found(webhook_id: str, row: tuple[Any, ...] | None, *, now: float) -> Claim | None:
    if row is None:
        return None
    is_done, until = row[:2]
    if is_done:
        return Claim(outcome=ClaimOutcome.DONE, webhook_id=webhook_id)
    wait = max(1, ceil(until - now))
    return Claim(outcome=ClaimOutcome.BUSY, webhook_id=webhook_id, retry_after_seconds=wait)


def _text(text: str, digits: int) -> str:
    """Return *digits* hex digits in lower case and without dashes, and any other text by its hash."""
    plain = text.replace("-", "")
    if len(plain) == digits and set(hexdigits).issuperset(plain):
        return plain.lower()
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
