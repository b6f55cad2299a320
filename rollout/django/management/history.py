"""`manage.py rollout history` and `explain`: what happened, and why a unit was in or not, at any moment.

Reading only. Invariants: what an answer about the past does not know is said; a journal that does not hold
together is a failure, never a shorter answer. Explained in docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from typing import Any

from rollout import journal
from rollout.actor import cut
from rollout.django import conf, driving, unreadable, wiring
from rollout.django.management.flag import reasons_of
from rollout.django.management.past import all_entries, explain_past, read_unit, rollout_line
from rollout.django.management.screen import Grid, Line, as_lines
from rollout.django.management.words import found_store, moment_text, refusal
from rollout.django.models import JournalEntry as Row
from rollout.django.store import DjangoRolloutStore
from rollout.errors import ConfigError, JournalBroken
from rollout.flags import FlagKey
from rollout.journal import Chain, JournalEntry
from webhooks_core.django.answer import Answer, Exit

__all__ = ["add"]

#: Characters of a reason in the table; `--json` has all of it.
SHORT = 100
#: So often the chain is checked again where somebody writes at the same time.
TRIES = 5
_HEAD_LETTERS = 12


def add(nouns: Any) -> None:
    """Add both commands."""
    about = "every change: when, from, to, who, why; and whether the journal holds together"
    history = nouns.add_parser("history", help=about, description=about)
    history.add_argument("--limit", type=int, default=20, help="the last so many (default: %(default)s)")
    history.add_argument("--verify", action="store_true", help="check the chain from the first entry on")
    about = "a hash that the chain must have, from the log; implies --verify"
    history.add_argument("--head", metavar="HASH", help=about)
    history.set_defaults(answer=show_history)
    about = "why a unit is in or not: now, or at a moment of the past"
    explain = nouns.add_parser("explain", help=about, description=about)
    explain.add_argument(
        "unit", metavar="UNIT", help="id of a unit, such as a tournament's: its number, not its name"
    )
    explain.add_argument("--at", metavar="TIME", help="2h, 7d (ago) or 2026-01-31T12:00")
    about = "for rules; may be repeated"
    explain.add_argument("--attribute", action="append", default=[], metavar="NAME=VALUE", help=about)
    explain.set_defaults(answer=explain_unit)


def show_history(options: dict[str, Any]) -> Answer:
    """Show the last entries, and check the chain where that was asked for."""
    store, flag = found_store(), driving.driving().flag
    entries = _last(store, flag, max(0, options["limit"]))
    head = ("when (UTC)", "version", "from", "to", "actor", "why")
    grid = Grid.of(head, [_row(each) for each in entries])
    lines: list[Line] = [grid if entries else f"Nothing has happened to {flag} yet."]
    if any(not each.authenticated for each in entries):
        lines.append("* nobody has checked that it was really they")
    data: dict[str, object] = {"flag": flag, "entries": [each.as_dict() for each in entries]}
    code = Exit.DONE
    if options["verify"] or options["head"] is not None:
        try:
            found = _verified(store, flag, head=options["head"])
        except (JournalBroken, ConfigError) as error:
            code = Exit.FAILED
            lines.append(f"THE JOURNAL DOES NOT HOLD: {error}")
            data |= {"verified": False, "error": str(error)}
        else:
            lines += _holds(found, noted=options["head"])
            data |= {"verified": True, "head": found.head}
            if options["head"] is not None:
                data |= {"noted_version": found.noted_version, "after": found.after}
    return Answer(code=code, lines=as_lines(lines), data=data, is_report=True)


def _holds(found: Chain, *, noted: str | None) -> list[str]:
    """Say that the journal holds, and where what was noted stands in it."""
    if noted is None or found.after == 0:
        against = "" if noted is None else ", and ends where the log says"
        return [f"The journal holds together{against}: head {found.head or 'none'}."]
    follow = "1 entry follows" if found.after == 1 else f"{found.after} entries follow"
    return [
        f"The journal holds together: head {found.head}.",
        f"What the log says, {noted[:_HEAD_LETTERS]}, is in it, as version {found.noted_version}; {follow}.",
    ]


def _verified(store: DjangoRolloutStore, flag: FlagKey, *, head: str | None) -> Chain:
    """Check the chain, that it ends where the rollout's own row says, and that *head* is in it.

    Raises:
        JournalBroken: It does not hold.
        ConfigError: An entry cannot be read.
    """
    for _ in range(TRIES):
        kept = _kept_head(store, flag)
        found = journal.follow(all_entries(store, flag), noted=head)
        if found.head == kept:
            return found
        if _kept_head(store, flag) == kept:
            break  # nobody wrote meanwhile
    ends, kept = found.head[:_HEAD_LETTERS] or "nothing", kept[:_HEAD_LETTERS] or "nothing"
    raise JournalBroken(0, f"ends at {ends}, and the rollout's own row at {kept}")


def _kept_head(store: DjangoRolloutStore, flag: FlagKey) -> str:
    """Return the last entry's hash by the rollout's own row, also by one of a newer release.

    Raises:
        JournalBroken: The row does not say.
    """
    try:
        return store.load(flag).head
    except ConfigError:
        head = unreadable.head_of(store, flag)
    if head is None:
        raise JournalBroken(
            0, "cannot be held against the rollout's own row, which does not say where it ends"
        )
    return head


def _last(store: DjangoRolloutStore, flag: FlagKey, most: int) -> list[JournalEntry]:
    rows = Row.objects.using(store.database.alias).filter(environment=store.environment, flag=flag)
    texts = list(rows.order_by("-version").values_list("content", flat=True)[:most])
    try:
        return [JournalEntry.loads(text) for text in reversed(texts)]
    except ConfigError as error:
        raise refusal(f"an entry of the journal cannot be read: {error}", code=Exit.UNREADABLE) from error


def _row(entry: JournalEntry) -> tuple[object, ...]:
    actor = entry.actor + ("" if entry.authenticated else "*")
    return (
        *(moment_text(entry.at).replace("T", " ").rstrip("Z"), entry.version),
        *(_side(entry.before), _side(entry.after), actor, cut(entry.reason, SHORT)),
    )


def _side(values: Any) -> str:
    ceiling = values.get("ceiling")
    return f"{values.get('state')} {'-' if ceiling is None else f'{ceiling} %'}"


def explain_unit(options: dict[str, Any]) -> Answer:
    """Explain today's answer, or that of a moment of the past."""
    return explain_past(options) if options["at"] is not None else _today(options)


def _today(options: dict[str, Any]) -> Answer:
    flags, key = wiring.built().flags, conf.current().flag
    read_unit(options["unit"], flag=FlagKey(key))
    flag = flags.snapshot().flags.get(FlagKey(key))
    given = dict(each.partition("=")[::2] for each in options["attribute"])
    name = wiring.DEFAULT_UNIT if flag is None else flag.unit
    decision = flags.decide(key, options["unit"], {**given, name: options["unit"]})
    lines = [decision.explain()]
    data: dict[str, object] = {
        "flag": key,
        "unit": options["unit"],
        "at": None,
        "is_in": decision.value,
        **reasons_of(decision),
    }
    store = driving.driving().store
    if store is not None:
        state = store.load(FlagKey(key))
        lines.append(rollout_line(state))
        data |= {"state": state.state.value, "ceiling": None if state.ceiling is None else str(state.ceiling)}
    return Answer(lines=lines, data=data)
