"""What the database says of flags and ceilings, read now and then on the calling thread.

One small query at most once an interval, on a connection of our own, without a thread; with it, where
something changed, a few more, all of them together in bounded time. The invariants: whatever fails, what was
known stays in force for recording, and is not confirmed for sending; what was read and lets less through
counts although the rest of the look failed; a process that starts while the database is away goes by what
the last one left on disk. Works after a fork. Explained in docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

from rollout import polled as values
from rollout.django.own_connection import OwnConnection, Unreadable
from rollout.django.told import LIKE_SEEN
from rollout.errors import ConfigError
from rollout.events import Observer, SourceProblem, emit
from rollout.flags import FlagKey
from rollout.percentage import NOBODY, Percentage
from rollout.polled import Control, Polled
from rollout.rollout_state import Cause
from rollout.snapshot import Snapshot
from rollout.sources.lastgood import LastGood
from rollout.sources.schema import loads_json

__all__ = ["MAX_REST_SECONDS", "STALENESS_SECONDS", "DatabasePoll"]

#: A sender that has not heard from the store for so long waits (DESIGN §5).
STALENESS_SECONDS = 2.0
#: Whoever sends looks at least so often, however rarely those look who only record.
SENDERS_SECONDS = 0.25
#: A database that does not answer is not asked more often than this by those who only record (contract §3).
MAX_REST_SECONDS = 30.0

_ORIGIN = "database"
_OTHERS = "!"  # stands in place of a flag's key where others' heartbeats are counted; the flags' own has none
_LOOK = (
    "SELECT r.flag, r.version, r.epoch, r.ceiling, CASE WHEN r.is_shadow THEN 1 ELSE 0 END, j.hash, j.version"
    " FROM rollout_rollout r LEFT JOIN rollout_journalentry j"
    " ON j.environment = r.environment AND j.flag = r.flag AND j.version = ("
    "SELECT MAX(k.version) FROM rollout_journalentry k"
    " WHERE k.environment = r.environment AND k.flag = r.flag)"
    " WHERE r.environment = %s"
    " UNION ALL SELECT '', version, 0, '', 0, '', 0 FROM rollout_configuration WHERE environment = %s"
    " UNION ALL SELECT '!', COUNT(*), 0, '', 0, '', 0 FROM rollout_sender"
    " WHERE environment = %s AND epochs LIKE %s"
)
_ENTRIES = "SELECT flag FROM rollout_journalentry WHERE environment = %s AND ("
_ENTRY = "(flag = %s AND version = %s AND hash = %s)"  # one row of a unique index
_ACCEPTED = (
    "SELECT flag, MAX(version) FROM rollout_journalentry WHERE environment = %s AND cause = %s GROUP BY flag"
)
_CONTENT = "SELECT content FROM rollout_configuration WHERE environment = %s AND version = %s"
Row: TypeAlias = tuple[str | None, ...]


class _Rows(NamedTuple):
    """What a look has read: each rollout, the document's version, how many senders have seen more."""

    controls: tuple[Control, ...] = ()
    version: int = -1
    others: int = 0


class DatabasePoll:
    """Know the ceilings, and the flags where the database owns them.

    Args:
        connection: Where to look.
        environment: Whose rows.
        planned: Flags whose rollout goes by a plan: until it is started, nobody is let through.
        refresh_seconds: How long an answer may rest on what was read before.
        kept: The file that outlives a restart; None keeps nothing.
        monotonic: Seconds for measuring.
        observer: Hears what keeps the state from being read.
    """

    def __init__(
        self,
        connection: OwnConnection,
        *,
        environment: str,
        planned: Iterable[FlagKey] = (),
        refresh_seconds: float = 0.25,
        kept: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
    ) -> None:
        self._connection = connection
        self._environment = environment
        self._planned = tuple(planned)
        self._refresh_seconds = refresh_seconds
        self._kept = None if kept is None else Path(kept)
        self._monotonic = monotonic
        self._observer = observer
        self._polled: Polled | None = None
        self._lock = threading.Lock()
        self._due = float("-inf")
        self._failures = 0
        self._flags = LastGood(_ORIGIN)
        self._refused: _Rows | None = None  # what was refused last, and no person had accepted
        self._told = ""

    def look(self, *, strictly: bool = False) -> Polled:
        """Return what is in force, after a reading where one is due. Never raises.

        Args:
            strictly: For whoever is about to send: looks at least four times a second whatever the interval
                is, and does not ask a database that did not answer ever more rarely.
        """
        now = self._monotonic()
        known = self._polled
        if known is None:
            known = self._polled = self._from_disk()
        rest = min(self._refresh_seconds, SENDERS_SECONDS) if strictly else self._rest()
        if now < self._due + rest:
            return known
        self._due = now  # first of all, so that other threads go on with what is there while this one reads
        rows = _Rows()
        try:
            rows = self._rows(at=now)
            found = self._judged(known, rows, at=now)
        except Unreadable as error:
            self._failures += 1
            found = known.unread(f"database: {error}", rows.controls)
        else:
            self._failures = 0
        with self._lock:
            if self._polled is not known:  # another thread, that began later, was quicker: what it read stays
                return self._polled or found
            self._polled = found
        if _news(known) != _news(found):
            self._keep(found)
        self._tell(found.problem)
        return found

    def close(self) -> None:
        """Give the connection up; the next look opens another."""
        self._connection.close()

    def _rest(self) -> float:
        """Return how long to leave the database alone: longer with each failure."""
        return min(MAX_REST_SECONDS, self._refresh_seconds * 2.0 ** min(self._failures, 16))

    def is_confirmed(self) -> bool:
        """Whether the database has said so within the last two seconds; looks first."""
        polled = self.look(strictly=True)
        now = self._monotonic()
        return polled.is_confirmed(now=now, within_seconds=STALENESS_SECONDS)

    def ceilings(self) -> Mapping[FlagKey, Percentage]:
        """Return the ceilings in force.

        Raises:
            Unreadable: Nothing was ever known.
        """
        polled = self.look()
        if not polled.is_known:
            raise Unreadable(polled.problem or "nothing was read yet")
        return dict.fromkeys(self._planned, NOBODY) | polled.ceilings()

    def snapshot(self) -> Snapshot:
        """Return the flags, where the database owns them. Never raises."""
        polled = self.look()
        if polled.configuration_version < 0:
            return self._flags.keep(polled.problem or "database: no flags were ever stored there")
        if polled.configuration_version == self._flags.snapshot.version and self._flags.is_there:
            return self._flags.keep(polled.problem) if self._is_stale(polled) else self._flags.back()
        try:
            return self._flags.take(loads_json(polled.configuration.encode(), origin=_ORIGIN))
        except ConfigError as error:
            return self._flags.keep(str(error))

    def _is_stale(self, polled: Polled) -> bool:
        """Whether a problem has lasted: one reading that fails is made good by the next."""
        now = self._monotonic()
        return bool(polled.problem) and not polled.is_confirmed(now=now, within_seconds=STALENESS_SECONDS)

    def _ask(self, sql: str, parameters: Sequence[str | float], *, at: float) -> list[Row]:
        """Read within the time of the look that began at *at*: its queries share it."""
        return self._connection.read(sql, parameters, spent_seconds=max(0.0, self._monotonic() - at))

    def _rows(self, *, at: float) -> _Rows:
        """Read what every look reads."""
        mine = self._environment
        controls, version, others = [], -1, 0
        for flag, number, epoch, ceiling, shadow, head, entry in self._ask(
            _LOOK, [mine, mine, mine, LIKE_SEEN], at=at
        ):
            if flag == _OTHERS:
                others = int(number or 0)
            elif not flag:
                version = int(number or 0)
            else:
                controls.append(
                    values.control(
                        *(flag, int(number or 0), int(epoch or 0), ceiling or ""),
                        shadow=shadow == "1",
                        head=head or "",
                        entry=int(entry or 0),
                    )
                )
        return _Rows(controls=tuple(controls), version=version, others=others)

    def _judged(self, known: Polled, rows: _Rows, *, at: float) -> Polled:
        """Return what is in force by *rows*, after the questions that they raise."""
        content = known.configuration
        if rows.version > known.configuration_version:
            texts = self._ask(_CONTENT, [self._environment, rows.version], at=at)
            if not texts:  # it was replaced between the two reads: the next look sees the newer one
                raise Unreadable("changed while it was read")
            content = texts[0][0] or ""
        found = known.after(
            rows.controls,
            configuration=content,
            configuration_version=rows.version,
            at=at,
            lacks=self._lacking(known.asks(rows.controls), at=at),
            others=rows.others > 0,
        )
        if not found.is_refused:
            self._refused = None
        elif rows != self._refused:  # a person's word would be a change of them
            if known.is_settled_by(self._accepted(at=at)):
                self._flags = LastGood(_ORIGIN)
                return self._judged(Polled(), self._rows(at=at), at=at)  # begin anew with what is there
            self._refused = rows
        return found

    def _lacking(self, asked: Sequence[Control], *, at: float) -> set[FlagKey]:
        """Return the flags of *asked* whose journal lacks the entry that was obeyed here."""
        if not asked:
            return set()
        parts = [part for each in asked for part in (each.flag, each.entry, each.head)]
        sql = f"{_ENTRIES}{' OR '.join([_ENTRY] * len(asked))})"
        found = {row[0] for row in self._ask(sql, [self._environment, *parts], at=at)}
        return {each.flag for each in asked if each.flag not in found}

    def _accepted(self, *, at: float) -> dict[FlagKey, int]:
        """Return at which version of each flag a person last accepted the store."""
        rows = self._ask(_ACCEPTED, [self._environment, Cause.STORE_ACCEPTED.value], at=at)
        return {FlagKey(flag or ""): int(version or 0) for flag, version in rows}

    def _from_disk(self) -> Polled:
        if self._kept is None:
            return Polled()
        try:
            text = self._kept.read_text(encoding="utf-8")
            return values.loads(text, environment=self._environment)
        except FileNotFoundError:
            return Polled()
        except (OSError, ValueError, ConfigError) as error:
            self._tell(f"last known good: {type(error).__name__}")
            return Polled()

    def _keep(self, polled: Polled) -> None:
        """Leave what is in force for the next process, in one step; the database stays the truth."""
        if self._kept is None:
            return
        text = values.dumps(polled, environment=self._environment)
        try:
            if self._kept.exists() and self._kept.read_text(encoding="utf-8") == text:
                return
            handle, name = tempfile.mkstemp(dir=self._kept.parent, prefix=f".{self._kept.name}-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(name, self._kept)
            except BaseException:
                with suppress(OSError):
                    os.unlink(name)
                raise
        except (OSError, ValueError) as error:
            self._tell(f"last known good cannot be kept: {type(error).__name__}")

    def _tell(self, problem: str) -> None:
        """Tell a problem when it comes, not each time it is met."""
        if problem and problem != self._told and self._observer is not None:
            emit(self._observer, SourceProblem(origin=_ORIGIN, problem=problem))
        self._told = problem


def _news(polled: Polled) -> tuple[object, ...]:
    """Return what is worth a write to disk."""
    return polled.controls, polled.configuration_version
