"""What a crash run must have kept, and what it measured: `problems(facts)` and `figures(facts)`.

Pure, so that a test can show each rule its teeth. Times are epoch seconds of one machine.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.crash.notes import Note

SHOWN = 5  # so many ids are named of a rule that does not hold


class Victim(StrEnum):
    """Who is killed."""

    WORKER = "worker"
    PRODUCER = "producer"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One `kill -9`: who, when it was dead, and for a worker which rows were claimed by it then."""

    victim: Victim
    name: str
    at: float
    held: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One event of a transaction that committed; `ordering_key` is empty without one."""

    webhook_id: str
    ordering_key: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known at the end of a run.

    Args:
        made: The events whose transaction committed, as the application's own table has them.
        committed: Ids whose producer saw the commit return.
        rolled_back: Ids that were recorded in a transaction, or a savepoint, that was rolled back.
        states: State of each row of the outbox.
        effects: Ids in the order of the receiver's effects.
        requests: What the receiver noted: `came`, and the status of its answer.
        kills: Every kill, in order.
        quiet: From when to when the receiver was not there.
    """

    made: Sequence[Made]
    committed: Collection[str]
    rolled_back: Collection[str]
    states: Mapping[str, str]
    effects: Sequence[str]
    requests: Sequence[Note]
    kills: Sequence[Kill] = ()
    quiet: Sequence[tuple[float, float]] = ()


def problems(facts: Facts) -> list[str]:
    """Return what did not hold, each with the ids concerned; empty where all did."""
    made = {each.webhook_id for each in facts.made}
    counts = Counter(facts.effects)
    came = {note.name for note in facts.requests if note.word == "came"}
    rolled_back = set(facts.rolled_back)
    rules = {
        "committed and no row of the application's": set(facts.committed) - made,
        "committed and not in the outbox": made - set(facts.states),
        "committed and without an effect (lost)": made - set(counts),
        "with more than one effect": {name for name, count in counts.items() if count > 1},
        "rolled back and in the outbox": rolled_back & set(facts.states),
        "rolled back and sent": rolled_back & came,
        "sent and never committed": came - made,
        "not delivered in the outbox (stuck)": {
            f"{name} ({state})" for name, state in facts.states.items() if state != "delivered"
        },
        "out of the order of their key": set(_out_of_order(facts)),
    }
    return [_told(rule, names) for rule, names in rules.items() if names]


def _told(rule: str, names: Collection[str]) -> str:
    more = "" if len(names) <= SHOWN else f" and {len(names) - SHOWN} more"
    return f"{rule}: {', '.join(sorted(names)[:SHOWN])}{more}"


def _out_of_order(facts: Facts) -> Iterator[str]:
    number_of = {each.webhook_id: (each.ordering_key, each.number) for each in facts.made}
    last: dict[str, int] = {}
    for webhook_id in facts.effects:
        key, number = number_of.get(webhook_id, ("", 0))
        if key and number < last.get(key, number):
            yield webhook_id
        last[key] = max(number, last.get(key, number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a run measured.

    Args:
        events: Events that committed.
        kills: By victim.
        hits: Kills of a worker that had claimed rows.
        orphans: Rows that were claimed by a worker when it was killed.
        known: Requests that met an id that had taken effect: double sends, which only the guard stopped.
        busy: Requests that met an id which was being handled, or whose handler had died.
        redeliveries: Seconds from a worker's end to the next request of each row it had claimed, where the
            receiver was there all the time and the next worker was not killed, too; ascending.
    """

    events: int
    kills: Mapping[Victim, int]
    hits: int
    orphans: int
    known: int
    busy: int
    redeliveries: Sequence[float] = field(default=())

    @property
    def double_rate(self) -> float:
        """Double sends per event."""
        return self.known / self.events if self.events else 0.0

    @property
    def slowest(self) -> float:
        """The slowest redelivery, seconds; 0 where there was none."""
        return self.redeliveries[-1] if self.redeliveries else 0.0


def figures(facts: Facts) -> Figures:
    """Return what the run measured."""
    workers = [kill for kill in facts.kills if kill.victim is Victim.WORKER]
    return Figures(
        events=len(facts.made),
        kills=Counter(kill.victim for kill in facts.kills),
        hits=sum(bool(kill.held) for kill in workers),
        orphans=sum(len(kill.held) for kill in workers),
        known=sum(note.more == "known" for note in facts.requests),
        busy=sum(note.word == "503" for note in facts.requests),
        redeliveries=tuple(sorted(_redeliveries(facts, workers))),
    )


def _redeliveries(facts: Facts, workers: Sequence[Kill]) -> Iterator[float]:
    came: dict[str, list[float]] = defaultdict(list)
    for note in facts.requests:
        if note.word == "came":
            came[note.name].append(note.at)
    orphaned: dict[str, list[float]] = defaultdict(list)
    for kill in workers:
        for name in kill.held:
            orphaned[name].append(kill.at)
    for kill in workers:
        for name in kill.held:
            place = bisect.bisect_right(came[name], kill.at)
            if place == len(came[name]):
                continue  # settled, though not seen so: the commit was on its way when its worker died
            at = came[name][place]
            died_too = any(kill.at < other < at for other in orphaned[name])
            away = any(begun < at and kill.at < end for begun, end in facts.quiet)
            if not died_too and not away:
                yield at - kill.at
