"""Evidence that no settle carries: what `dispatch` costs its caller, envelopes, finds in free text.

Counted in memory on the caller's path, and written now and then once the caller's transaction has ended.
Invariants: counting never raises and never touches a database; a write that fails loses nothing but is tried
again later; what a process that dies has not written is lost, a few seconds of it. Explained in
docs/explanation/guard.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from django.core.signals import setting_changed
from django.db import connections, transaction

from rollout.counters import Counts
from rollout.django import driving
from rollout.django.evidence import EvidenceTable, Key
from rollout.evidence import minute_of, minute_to_write
from webhooks_core import event_loop
from webhooks_core.per_process import PerProcess

__all__ = ["Tally", "tally"]

#: So often a process writes what it has counted: one small statement, after a commit.
FLUSH_SECONDS = 5.0
#: What cannot be written is kept for so many minutes and endpoints at most.
MOST_KEYS = 1_000


class Tally:
    """What one process has counted and not written yet.

    Args:
        clock: Epoch seconds; which minute a count belongs to.
        monotonic: Seconds for measuring.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counts: dict[Key, Counts] = {}
        self._flushed_at = monotonic()

    def count(self, counts: Counts, *, endpoint: str = "") -> None:
        """Add *counts* to this minute. Never raises."""
        key = (minute_of(self._clock()), endpoint)
        with self._lock:
            self._add({key: counts})

    def _add(self, counts: Mapping[Key, Counts]) -> None:
        for key, each in counts.items():
            if key in self._counts or len(self._counts) < MOST_KEYS:
                self._counts[key] = self._counts.get(key, Counts()) + each

    def flush_soon(self, *, at_once: bool = False) -> None:
        """Write what was counted, where it is time to: after the caller's commit, if it is in a transaction.

        Never raises, and never runs a statement in a transaction of the caller's.

        Args:
            at_once: Whether or not it is time to.
        """
        table = driving.evidence()
        if table is None or not (at_once or self._monotonic() - self._flushed_at >= FLUSH_SECONDS):
            return
        self._flushed_at = self._monotonic()
        with suppress(Exception):  # the database is away: the counts stay
            if event_loop.is_running():
                return
            connection = connections[table.database.alias]
            if connection.in_atomic_block:
                transaction.on_commit(self._flush, using=table.database.alias, robust=True)
            elif connection.get_autocommit():  # else the caller commits by hand, and we cannot tell when
                self._flush()

    def _flush(self) -> None:
        table = driving.evidence()
        with self._lock:
            counts, self._counts = self._counts, {}
        try:
            self._write(table, counts)
        except Exception:  # noqa: BLE001 - whatever a database comes up with: kept for the next time
            with self._lock:
                self._add(counts)

    def _write(self, table: EvidenceTable | None, counts: Mapping[Key, Counts]) -> None:
        if table is None or not counts:
            return
        with table.database.transaction() as cursor:
            now = table.database.now(cursor)
            seen: dict[Key, Counts] = {}
            for (minute, endpoint), each in counts.items():
                # What waited here may be of a minute that the runner has folded already, and would not see.
                key = (minute_to_write(minute, now), endpoint)
                seen[key] = seen[key] + each if key in seen else each
            table.add_minutes(seen, cursor)


tally = PerProcess(Tally)


def _forget(**_signal: object) -> None:
    tally.forget()


setting_changed.connect(_forget, dispatch_uid="rollout.django.tally")
