"""What happened to a rollout, entry by entry: who, from where, to where, why, on what evidence. A hash chain.

Pure: entries are made, checked and replayed here, and kept by a `RolloutStore`, which has no way to change or
remove one. The invariants: an entry's hash covers everything in it and the hash before; the entries of a
flag, in order, replay to its state, all but what grows from tick to tick. Explained in
docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rollout import state_text
from rollout.actor import Actor
from rollout.errors import ConfigError, JournalBroken
from rollout.events import JournalGrew, RolloutChanged
from rollout.flags import FlagKey
from rollout.rollout_state import RolloutState
from rollout.table import Table
from rollout.verdict import Verdict

__all__ = ["Chain", "JournalEntry", "entry_of", "facts_of", "follow", "replay", "verify"]

# Separates this use of SHA-256 from every other: a plan's text can never be an entry's.
_DOMAIN = b"rollout-journal-1\n"
# What a journal does not tell: it grows from tick to tick, or follows from the entries themselves.
_UNTOLD = frozenset({"flag", "version", "progress", "head"})
_KEYS = (
    *("flag", "version", "at", "actor", "authenticated", "cause", "reason", "before", "after"),
    *("evidence", "rule_version", "previous", "hash"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One change, by a machine or by hand.

    Args:
        flag: The flag's key.
        version: The state's version after it.
        at: When, epoch seconds, the store's clock.
        actor: Who.
        authenticated: Whether somebody checked that it was really they.
        cause: Which arrow of the controller's table was gone along.
        reason: Why, in one line.
        before: What changed, as it was: keys and JSON values of `state_text.as_dict`; `state` and `ceiling`
            always.
        after: The same, as it is.
        evidence: The verdict that it rests on, as `Verdict.as_dict` writes it; None where there was none.
        rule_version: The version of the rules that judged; None without a verdict.
        previous: The hash of the entry before; empty for the first.
        hash: SHA-256 over all of that, 64 lower-case hex digits.
    """

    flag: FlagKey
    version: int
    at: float
    actor: str
    authenticated: bool
    cause: str
    reason: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    evidence: Mapping[str, object] | None
    rule_version: int | None
    previous: str
    hash: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON types; the keys are the fields' names."""
        return {
            **{name: getattr(self, name) for name in _KEYS},
            "before": dict(self.before),
            "after": dict(self.after),
            "evidence": None if self.evidence is None else dict(self.evidence),
        }

    def dumps(self) -> str:
        """Return it as one line of canonical JSON, ASCII: what a store should keep, byte by byte."""
        return _canonical(self.as_dict())

    def computed_hash(self) -> str:
        """Return the hash that its content has, whatever it says itself."""
        content = {key: value for key, value in self.as_dict().items() if key != "hash"}
        return hashlib.sha256(_DOMAIN + _canonical(content).encode()).hexdigest()

    @classmethod
    def loads(cls, text: str) -> JournalEntry:
        """Read what `dumps` wrote. Whether it is true is `verify`'s question.

        Raises:
            ConfigError: It is not that.
        """
        try:
            data: object = json.loads(text)
        except (ValueError, RecursionError):
            raise ConfigError("entry", "is no JSON") from None
        table = Table(data, path="entry", known=_KEYS)
        evidence = table.value("evidence")
        rule_version = table.value("rule_version")
        return cls(
            flag=FlagKey(table.text("flag")),
            version=table.whole("version"),
            at=table.number("at"),
            actor=table.text("actor"),
            authenticated=table.boolean("authenticated"),
            cause=table.text("cause"),
            reason=table.text("reason"),
            before=_mapping(table, "before"),
            after=_mapping(table, "after"),
            evidence=None if evidence is None else _mapping(table, "evidence"),
            rule_version=None if rule_version is None else table.whole("rule_version"),
            previous=table.text("previous"),
            hash=table.text("hash"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A chain that holds together.

    Args:
        head: The hash of the last entry; empty: there is none.
        noted_version: The version of the entry whose hash was noted; 0: none was.
        after: How many entries follow that one.
    """

    head: str
    noted_version: int = 0
    after: int = 0


def entry_of(
    before: RolloutState,
    after: RolloutState,
    *,
    by: Actor,
    reason: str,
    cause: str,
    at: float,
    verdict: Verdict | None = None,
) -> JournalEntry:
    """Return the entry that tells how *before* became *after*, chained to the last entry of *before*.

    Args:
        by: Who.
        reason: Why, in one line.
        cause: Which arrow.
        at: When, epoch seconds.
        verdict: What it rests on.
    """
    old, new = state_text.as_dict(before), state_text.as_dict(after)
    told = [
        key for key in new if key not in _UNTOLD and (old[key] != new[key] or key in ("state", "ceiling"))
    ]
    entry = JournalEntry(
        flag=after.flag,
        version=after.version,
        at=at,
        actor=by.name,
        authenticated=by.authenticated,
        cause=cause,
        reason=reason,
        before={key: old[key] for key in told},
        after={key: new[key] for key in told},
        evidence=None if verdict is None else verdict.as_dict(),
        rule_version=None if verdict is None else verdict.rule_version,
        previous=before.head,
    )
    return replace(entry, hash=entry.computed_hash())


def facts_of(
    entry: JournalEntry, *, from_bp: str, to_bp: str, state: str
) -> tuple[RolloutChanged, JournalGrew]:
    """Return what observers hear of *entry*, once it is written: what has changed, and where the chain ends.

    Args:
        from_bp: The percentage before, in basis points, or `none`.
        to_bp: The percentage after.
        state: Where the rollout stands after it, or `manual` where a flag's own percentage was changed.
    """
    changed = RolloutChanged(
        flag=entry.flag, from_bp=from_bp, to_bp=to_bp, state=state, actor=entry.actor, reason=entry.reason
    )
    return changed, JournalGrew(flag=entry.flag, version=entry.version, head=entry.hash)


def verify(entries: Iterable[JournalEntry], *, head: str | None = None) -> str:
    """Check the chain from the first entry on, and return the hash of the last.

    Args:
        entries: Every entry of one flag, in order. Taken one by one: a long journal need not fit in memory.
        head: The hash that the last one must have, as it was noted outside the store: without it, entries
            missing from the end cannot be seen.

    Raises:
        JournalBroken: An entry was changed, removed, added or put elsewhere.
    """
    found = follow(entries).head
    if head is not None and found != head:
        raise JournalBroken(0, f"ends at {_short(found)}, not at the head {_short(head)}")
    return found


def follow(entries: Iterable[JournalEntry], *, noted: str | None = None) -> Chain:
    """Check the chain as `verify` does, and find the entry whose hash was noted outside the store.

    Args:
        entries: Every entry of one flag, in order, taken one by one.
        noted: The hash that one of them must have; None: none was noted.

    Raises:
        JournalBroken: As `verify`; or no entry has *noted*: the end is missing, or all of it is forged.
    """
    last, version, count, anchor = "", 0, 0, None
    for entry in entries:
        if entry.previous != last:
            raise JournalBroken(
                entry.version, "does not follow the entry before: one is missing, or was put in"
            )
        if entry.hash != entry.computed_hash():
            raise JournalBroken(entry.version, "was changed: its hash does not hold")
        if entry.version <= version:
            raise JournalBroken(entry.version, f"comes after version {version}: versions only grow")
        last, version, count = entry.hash, entry.version, count + 1
        if entry.hash == noted:
            anchor = (version, count)
    if anchor is None and noted is not None and noted != last:
        raise JournalBroken(0, f"ends at {_short(last)}, and no entry has the head {_short(noted)}")
    noted_version, place = anchor or (0, count)
    return Chain(head=last, noted_version=noted_version, after=count - place)


def _short(head: str) -> str:
    return head[:12] or "nothing"


def replay(flag: FlagKey, entries: Iterable[JournalEntry], *, until: float | None = None) -> RolloutState:
    """Return the state that *entries* lead to, all but what grows from tick to tick.

    Args:
        flag: The flag's key.
        entries: Every entry of the flag, in order.
        until: Leave out what happened after this moment, epoch seconds; None: nothing.

    Raises:
        JournalBroken: An entry does not begin where the one before ended, or ends in what is no state.
    """
    state = RolloutState(flag=flag)
    # Raw data is carried from entry to entry: what another version of this code wrote stays as it is.
    data = state_text.as_dict(state)
    for entry in entries:
        if until is not None and entry.at > until:
            break
        for key, value in entry.before.items():
            if key not in data or data[key] != value:
                raise JournalBroken(
                    entry.version, f"begins with another {key[:32]!a} than the one before left"
                )
        data |= {**entry.after, "version": entry.version, "head": entry.hash}
        try:
            state = state_text.from_dict(data)
        except ConfigError as error:
            raise JournalBroken(entry.version, f"ends in what is no state: {error}") from None
    return state


def _canonical(data: Mapping[str, object]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _mapping(table: Table, name: str) -> Mapping[str, object]:
    value = table.value(name)
    if isinstance(value, dict):
        return value
    raise ConfigError(table.path(name), "must be a table of keys and values")
