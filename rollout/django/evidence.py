"""Evidence in the database: counts of (minute, endpoint), added to by everybody and read by the runner.

Invariants: an addition is one statement that names only the columns it adds to, rows in one order, so that
writers neither wait long for each other nor lock crosswise; each process adds to rows of its own writer
number; counts are whole numbers and never go down. Explained in docs/explanation/guard.md.
"""

# ruff: noqa: S608 - statements are put together of constants; every value is a parameter

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from django.db.backends.utils import CursorWrapper

from rollout.counters import COLUMNS, Counts
from rollout.evidence import Row, minute_of
from rollout.flags import FlagKey
from webhooks_core.django.outbox.database import Database, Value
from webhooks_core.per_process import PerProcess

__all__ = ["EvidenceTable", "Key", "merged"]

#: So many rows a minute and endpoint may have: as many writers add without waiting for each other.
WRITERS = 32
MAX_ENDPOINT_CHARACTERS = 64

Key: TypeAlias = tuple[int, str]
_TABLE = "rollout_evidenceminute"
_KEY = ("environment", "flag", "minute", "endpoint_id", "writer")
_NAMES = tuple(COLUMNS)
_READ = (
    f"SELECT minute, endpoint_id, {', '.join(_NAMES)} FROM {_TABLE}"
    " WHERE environment = %s AND flag = %s AND minute >= %s AND minute < %s"
)
_PRUNE = (
    f"DELETE FROM {_TABLE} WHERE id IN (SELECT id FROM {_TABLE}"
    " WHERE environment = %s AND flag = %s AND minute < %s ORDER BY minute LIMIT %s)"
)


def _draw() -> int:
    """Return this process's number; process ids are no good for it: in containers all of them are 1."""
    return random.randrange(WRITERS)  # noqa: S311 - spreads writers, keeps no secret


_writer = PerProcess(_draw)


class EvidenceTable:
    """The evidence of one flag.

    Args:
        database: Where the table is; its clock says what minute it is.
        environment: Whose rows.
        flag: The flag's key.
        writer: A number from 0 to 31; this process's own when left out.
    """

    def __init__(
        self,
        database: Database,
        *,
        environment: str,
        flag: FlagKey,
        writer: Callable[[], int] = _writer,
    ) -> None:
        self.database = database
        self._environment = environment
        self._flag = flag
        self._writer = writer

    def add(self, counts: Mapping[str, Counts], *, now: float | None = None) -> None:
        """Add *counts*, by endpoint, to the minute of *now* (the store's clock when left out).

        In the caller's transaction where one is open on this database. What counts nothing writes nothing.
        """
        added = {name[:MAX_ENDPOINT_CHARACTERS]: each for name, each in counts.items() if each}
        if not added:
            return
        with self.database.transaction() as cursor:
            minute = minute_of(self.database.now(cursor) if now is None else now)
            self.add_minutes({(minute, name): each for name, each in added.items()}, cursor)

    def add_minutes(self, counts: Mapping[Key, Counts], cursor: CursorWrapper) -> None:
        """Add *counts*, by minute and endpoint, in one statement on *cursor*."""
        keys = sorted(key for key, each in counts.items() if each)
        if not keys:
            return
        columns = sorted({name for key in keys for name in counts[key].as_dict()})
        writer = self._writer()
        values: list[Value] = []
        for key in keys:
            values += (self._environment, self._flag, *key, writer)
            values += (counts[key].get(name) or None for name in columns)
        marks = f"({', '.join(['%s'] * (len(_KEY) + len(columns)))})"
        cursor.execute(_upsert(tuple(columns)).format(", ".join([marks] * len(keys))), values)

    def read(self, *, since_minute: int, until_minute: int) -> list[Row]:
        """Return the rows of the minutes from *since_minute* on, those from *until_minute* on left out."""
        with self.database.reading() as cursor:
            cursor.execute(_READ, [self._environment, self._flag, since_minute, until_minute])
            found = cursor.fetchall()
        return [
            Row(minute, endpoint, Counts.of_row(dict(zip(_NAMES, counts, strict=True))))
            for minute, endpoint, *counts in found
        ]

    def prune(self, *, before_minute: int, most: int) -> int:
        """Remove at most *most* rows of minutes before *before_minute*; return how many there were."""
        with self.database.transaction() as cursor:
            cursor.execute(_PRUNE, [self._environment, self._flag, before_minute, most])
            return int(cursor.rowcount)


def merged(parts: Iterable[Mapping[str, Counts]]) -> dict[str, Counts]:
    """Add up counts by endpoint."""
    total: dict[str, list[Counts]] = {}
    for part in parts:
        for name, counts in part.items():
            total.setdefault(name, []).append(counts)
    return {name: Counts.sum(each) for name, each in total.items()}


def _upsert(columns: tuple[str, ...]) -> str:
    """Return the statement that adds to *columns*, all of them names of `COLUMNS`, with a place for rows."""
    sums = ", ".join(
        f"{name} = COALESCE({_TABLE}.{name}, 0) + COALESCE(excluded.{name}, 0)" for name in columns
    )
    return (
        f"INSERT INTO {_TABLE} ({', '.join((*_KEY, *columns))}) VALUES {{}}"
        f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {sums}"
    )
