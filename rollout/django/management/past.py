"""`manage.py rollout explain UNIT --at TIME`: whether a unit was in at a moment of the past.

Reading only. The journal has the ceiling of then, and the flag's own percentage of then where the database
owns the flag. Invariant: where today's flag would decide about the past, the answer is that nobody knows.
Explained in docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rollout import journal
from rollout.bucketing import is_in, position
from rollout.context import unit_text
from rollout.django import conf, driving, wiring
from rollout.django.conf import SourceName
from rollout.django.flag_rows import Moved
from rollout.django.management.words import found_store, moment_text, refusal
from rollout.django.models import JournalEntry as Row
from rollout.django.store import DjangoRolloutStore
from rollout.errors import RolloutError
from rollout.flags import FlagKey
from rollout.journal import JournalEntry
from rollout.percentage import NOBODY, POSITIONS, Percentage
from rollout.rollout_state import Cause, RolloutState
from webhooks_core.django.answer import Answer, Exit
from webhooks_core.django.management.picking import moment

__all__ = ["PORTION", "all_entries", "explain_past", "read_unit", "rollout_line"]

#: Entries that are read at a time.
PORTION = 500
_UNKNOWN = "Rules and forced units of then, and the switches of a host, are not in the journal."


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """What is known of a unit at a moment of the past.

    Args:
        ceiling: Of then; None: there was none.
        position: Where the unit stands.
        own: The flag's own percentage; None: there is no such flag.
        is_of_then: Whether *own* is of then, by the journal; else it is today's.
        is_forced: Whether today's flag forces the unit on.
    """

    ceiling: Percentage | None
    position: int
    own: Percentage | None
    is_of_then: bool = False
    is_forced: bool = False

    @property
    def by_ceiling(self) -> bool:
        """Whether the ceiling of then let it in."""
        return self.ceiling is None or is_in(self.position, self.ceiling.threshold)

    @property
    def by_flag(self) -> bool:
        """Whether the flag's own percentage lets it in."""
        return self.own is not None and is_in(self.position, self.own.threshold)

    @property
    def is_in(self) -> bool | None:
        """Whether it was in; None where today's flag would decide that."""
        if self.by_ceiling and self.by_flag:
            return True
        if self.is_forced and self.ceiling != NOBODY:
            return None
        return False if self.is_of_then or not self.by_ceiling else None

    def sentence(self, unit: str) -> str:
        """Say it: what the ceiling of then let in first, what the flag had to say to it after that."""
        ceiling = "there was none" if self.ceiling is None else f"{self.ceiling} %"
        was = f"by the ceiling of then ({ceiling}) {unit} was {'in' if self.by_ceiling else 'not in'}"
        if not self.by_ceiling:
            return f"{was}{', unless it was forced on, as it is now' if self.is_in is None else ''}."
        own = "not defined" if self.own is None else f"{self.own} %"
        if self.is_of_then:
            by_flag = "in" if self.by_flag else "not in"
            return f"{was}, and by the flag's own percentage of then ({own}) {by_flag}."
        whether = "lets it in" if self.by_flag else "does not let it in"
        return f"{was}. The flag's own percentage {whether} now ({own}); what it was then is not kept."


def explain_past(options: dict[str, object]) -> Answer:
    """Explain the answer of the moment `at`.

    Raises:
        Refused: The moment is none or lies ahead, the unit is none, or the journal does not hold.
    """
    store, key = found_store(), driving.driving().flag
    at = moment(str(options["at"]), now=store.now())
    unit = read_unit(options["unit"], flag=key)
    try:
        state = journal.replay(key, all_entries(store, key), until=at)
        then = _then(store, state, unit, at=at)
    except RolloutError as error:
        raise refusal(str(error), code=Exit.FAILED) from error
    lines = [
        f"{key} at {moment_text(at)}: {then.sentence(unit)}",
        f"It stands at {then.position * 100 / POSITIONS:.4f} %. {_UNKNOWN}",
        rollout_line(state),
    ]
    data = {
        "flag": key,
        "unit": unit,
        "at": moment_text(at),
        "is_in": then.is_in,
        "by_ceiling": then.by_ceiling,
        "by_flag": then.by_flag,
        "position": then.position,
        "state": state.state.value,
        "ceiling": None if then.ceiling is None else str(then.ceiling),
        "flag_percentage": None if then.own is None else str(then.own),
        "flag_percentage_of": "then" if then.is_of_then else "now",
        "version": state.version,
    }
    return Answer(lines=lines, data=data)


def read_unit(unit: object, *, flag: FlagKey) -> str:
    """Return the text of *unit* that is hashed.

    Raises:
        Refused: It is no unit.
    """
    try:
        return unit_text(unit, flag=flag)
    except RolloutError as error:
        raise refusal(str(error)) from error


def _then(store: DjangoRolloutStore, state: RolloutState, unit: str, *, at: float) -> Then:
    flag = wiring.built().flags.snapshot().flags.get(state.flag)
    is_planned = conf.current().plan is not None  # then nobody is in before the start
    told = _told(store, state.flag, at=at) if conf.current().source is SourceName.DATABASE else None
    now = None if flag is None else flag.percentage
    return Then(
        ceiling=NOBODY if state.ceiling is None and is_planned else state.ceiling,
        position=position(str(state.flag) if flag is None else flag.salt, unit),
        own=now if told is None else told,
        is_of_then=told is not None,
        is_forced=flag is not None and unit in flag.forced_on,
    )


def _told(store: DjangoRolloutStore, flag: FlagKey, *, at: float) -> Percentage | None:
    """Return the flag's own percentage at *at*, as the changes around it tell; None where none does."""
    rows = Row.objects.using(store.database.alias).filter(environment=store.environment, flag=flag)
    rows = rows.filter(cause=Cause.FLAG_CHANGED.value).order_by("version")
    found: Percentage | None = None
    for text in rows.values_list("content", flat=True):
        entry = JournalEntry.loads(text)
        moved = Moved.told(entry.reason)
        if entry.at > at:
            if found is None and moved is not None:
                found = moved.before or NOBODY
            break
        found = None if moved is None else moved.after or NOBODY
    return found


def all_entries(store: DjangoRolloutStore, flag: FlagKey) -> Iterator[JournalEntry]:
    """Return every entry of *flag*, oldest first, read in portions."""
    version = 0
    while entries := store.journal(flag, after_version=version, limit=PORTION):
        yield from entries
        version = entries[-1].version


def rollout_line(state: RolloutState) -> str:
    """Say where a rollout stands, in one line."""
    ceiling = "" if state.ceiling is None else f" at {state.ceiling} %"
    why = f": {state.reason} (by {state.actor})" if state.reason else ""
    return f"rollout: {state.state}{ceiling}, version {state.version}{why}"
