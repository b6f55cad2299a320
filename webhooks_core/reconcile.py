"""Hold what was delivered against what a receiver's log has: which ids are missing, which are there twice.

Pure: lines and pairs go in, a frozen report comes out. Hours are those of the sender's own record, so that
two clocks need not agree; ids are compared one by one, and a digest of them makes an hour comparable at a
glance, or with somebody who only sends the digest. Invariant: an id is named in at most one list of an
hour. Explained in docs/how-to/reconcile-with-a-receiver.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import unquote

HOUR_SECONDS = 3_600
MAX_LINE_CHARACTERS = 4_096  # a line of a log is shorter; what is longer is not ours and is not searched
_SPACE = 2**256
_ID = r"([\w.:/+%-]{1,128})"
_RECEIVED = re.compile(rf"Received webhook: .*?\bwebhook_id={_ID}")
_TAKEN_BACK = re.compile(rf"(?:Duplicate webhook: |Webhook handler failed: .*?\b)webhook_id={_ID}")
_ALONE = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a receiver's log says.

    Args:
        effects: How many times each id was handled: received, less seen before, less failed.
        lines: How many lines were read.
        matched: How many of them said something about an id.
    """

    effects: Mapping[str, int]
    lines: int
    matched: int


def read_log(lines: Iterable[str]) -> Heard:
    """Read a receiver's log.

    Args:
        lines: Log lines of our receivers, with anything around them (`Received webhook: …, webhook_id=…`,
            `Duplicate webhook: …`, `Webhook handler failed: …`); or lines that are an id (a UUID) and
            nothing else, once for each time it was handled. Others count as lines and say nothing.
    """
    effects: dict[str, int] = {}
    read = matched = 0
    for line in lines:
        read += 1
        text = line[:MAX_LINE_CHARACTERS].strip()
        found, change = _said(text)
        if found is not None:
            matched += 1
            effects[found] = effects.get(found, 0) + change
    return Heard(effects=effects, lines=read, matched=matched)


def _said(text: str) -> tuple[str | None, int]:
    if _ALONE.fullmatch(text):
        return text.lower(), 1
    received = _RECEIVED.search(text)
    if received is not None:
        return unquote(received[1]), 1
    taken_back = _TAKEN_BACK.search(text)
    return (None, 0) if taken_back is None else (unquote(taken_back[1]), -1)


def digest(counts: Iterable[tuple[str, int]]) -> str:
    """Return 16 hex digits over ids and how often each is there, in any order.

    The sum of `count * SHA-256(id)` modulo 2^256, its first 8 bytes: two sides that hold the same ids the
    same number of times get the same digest, and can be added to as they go.
    """
    total = 0
    for webhook_id, count in counts:
        total += count * int.from_bytes(sha256(webhook_id.encode()).digest(), "big")
    return (total % _SPACE).to_bytes(32, "big")[:8].hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One hour of deliveries, held against the log.

    Args:
        begins_at: Epoch seconds, UTC.
        delivered: How many deliveries the sender has as delivered in it.
        received: How many times the receiver handled them.
        delivered_digest: `digest` of the sender's ids, once each.
        received_digest: `digest` of the same ids as often as the receiver handled them.
        missing: Delivered, and the log has them not once.
        doubled: Delivered, and the log has them handled more than once.
    """

    begins_at: float
    delivered: int
    received: int
    delivered_digest: str
    received_digest: str
    missing: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether both sides have the same ids, once each."""
        return self.delivered_digest == self.received_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What came of holding the two against each other.

    Args:
        hours: In order of time; an hour without deliveries is left out.
        unconfirmed: Handled by the receiver, and not delivered as far as the sender knows: state by id. The
            answer was lost, or a person has to look.
        unknown: In the log, and no delivery of this sender: pruned, or somebody else's.
    """

    hours: tuple[Hour, ...] = ()
    unconfirmed: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every delivered id was handled exactly once, and nothing unknown was."""
        return not self.unknown and all(hour.agrees for hour in self.hours)


def reconcile(
    delivered: Iterable[tuple[str, float]], heard: Heard, *, others: Mapping[str, str | None]
) -> Reconciliation:
    """Hold *delivered* against *heard*.

    Args:
        delivered: Id and moment (epoch seconds) of each delivery of the time that is looked at, in order of
            time.
        heard: What the log says.
        others: Of every id in the log that is not in *delivered*: its state with the sender, the word
            `delivered` for one of another time, or None where there is no such delivery.
    """
    hours: list[Hour] = []
    ids: list[str] = []
    begins = None
    for webhook_id, at in delivered:
        hour = at // HOUR_SECONDS * HOUR_SECONDS
        if begins is not None and hour != begins:
            hours.append(_hour(begins, ids, heard))
            ids = []
        begins = hour
        ids.append(webhook_id)
    if begins is not None:
        hours.append(_hour(begins, ids, heard))
    handled = {name: state for name, state in others.items() if heard.effects.get(name, 0) > 0}
    return Reconciliation(
        hours=tuple(hours),
        unconfirmed={
            name: state for name, state in handled.items() if state is not None and state != "delivered"
        },
        unknown=tuple(name for name, state in handled.items() if state is None),
    )


def _hour(begins_at: float, ids: list[str], heard: Heard) -> Hour:
    counts = [(name, max(0, heard.effects.get(name, 0))) for name in ids]
    return Hour(
        begins_at=begins_at,
        delivered=len(ids),
        received=sum(count for _, count in counts),
        delivered_digest=digest((name, 1) for name in ids),
        received_digest=digest(counts),
        missing=tuple(name for name, count in counts if count == 0),
        doubled=tuple(name for name, count in counts if count > 1),
    )
