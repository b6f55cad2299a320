"""Which rows a command is about: by id, or by state, endpoint, event and time.

Reading only. Invariants: rows of another environment are never picked; a moment in the future is refused,
because nothing can have happened since. Explained in docs/reference/commands.md.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from webhooks_core.django import conf, wiring
from webhooks_core.django.answer import Answer, Exit
from webhooks_core.django.models import Delivery
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.errors import ConfigError

_SPAN = re.compile(r"([0-9]{1,9})(s|m|h|d)")
AGES_FROM = Coalesce("waits_since", "created_at")
"""From when a row's maximum age counts, as `Delivery.ages_from` says it."""

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Refused(Exception):
    """Ends a command with an answer other than the one it was asked for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(*answer.lines)
        self.answer = answer


def refused(problem: str, *, code: Exit = Exit.REFUSED) -> Refused:
    """Return what ends a command that cannot be carried out: nothing was changed."""
    return Refused(Answer(code=code, lines=[f"{problem}."], data={"error": problem}))


def outbox() -> DjangoOutbox:
    """Return the outbox of the settings in force.

    Raises:
        Refused: A setting is bad.
    """
    found = conf.current()
    if found.problems:
        problem = found.problems[0]
        raise refused(f"{problem.setting}: {problem.allowed}", code=Exit.UNREADABLE)
    try:
        kept = wiring.outbox(found)
        _ = kept.database.connection
    except ConfigError as error:
        raise refused(str(error), code=Exit.UNREADABLE) from error
    return kept


def moment(text: str, *, now: float) -> float:
    """Return the epoch seconds of *text*: `90s`, `15m`, `2h`, `7d` ago, or ISO 8601, UTC unless it says.

    Raises:
        Refused: It is neither, or lies in the future.
    """
    span = _SPAN.fullmatch(text)
    if span is not None:
        return now - int(span[1]) * _SECONDS[span[2]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise refused(f"{text!r} is no time: write 2h, 7d or 2026-01-31T12:00") from None
    at = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if at > now:
        raise refused(f"{text} is in the future")
    return at


def shown_at(seconds: float | None) -> str:
    """Return a moment as people and programs read it: UTC, whole seconds; empty for none."""
    if seconds is None:
        return ""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, OSError, ValueError):
        return f"{seconds:.0f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """What to look for. Nothing given picks everything."""

    ids: Sequence[str] = ()
    states: Sequence[str] = ()
    endpoint: str | None = None
    event: str | None = None
    since: float | None = None
    before: float | None = None

    def rows(self, kept: DjangoOutbox) -> QuerySet[Delivery]:
        """Return the rows, oldest first."""
        rows = Delivery.objects.using(kept.database.alias).filter(environment=kept.environment)
        if self.ids:
            rows = rows.filter(webhook_id__in=self.ids)
        if self.states:
            rows = rows.filter(state__in=self.states)
        if self.endpoint is not None:
            rows = rows.filter(endpoint_id=self.endpoint)
        if self.event is not None:
            rows = rows.filter(event=self.event)
        if self.since is not None:
            rows = rows.filter(changed_at__gte=self.since)
        if self.before is not None:
            rows = rows.filter(changed_at__lt=self.before)
        return rows.order_by("id")


def endpoint_of(options: Mapping[str, Any], kept: DjangoOutbox) -> str | None:
    """Return the endpoint that a command is about; None for any.

    Raises:
        Refused: Neither the settings nor any row knows it: a slip must not pass for "there are none".
    """
    name: str | None = options["endpoint"]
    known = conf.current().endpoints
    if name is None or name in known or Pick(endpoint=name).rows(kept).exists():
        return name
    said = ", ".join(known) or "none"
    raise refused(f'there is no endpoint "{name}"; known are: {said}', code=Exit.NOT_FOUND)


def add_filters(parser: ArgumentParser) -> None:
    """Add what narrows a pick."""
    parser.add_argument("--endpoint", help="only of this endpoint")
    parser.add_argument("--event", help="only of this event")


def shown(row: Delivery) -> dict[str, object]:
    """Return a row for a program; never its body."""
    return {
        "webhook_id": row.webhook_id,
        "event": row.event,
        "endpoint": row.endpoint_id,
        "state": row.state,
        "attempt": row.attempt,
        "claims": row.claims,
        "reason": row.reason,
        "last_outcome": row.last_outcome or None,
        "last_status": row.last_status,
        "ordering_key": row.ordering_key,
        "worker": row.worker or None,
        "created_at": shown_at(row.created_at),
        "changed_at": shown_at(row.changed_at),
        "due_at": shown_at(row.due_at) or None,
    }


def add_json(parsers: Mapping[str, Any]) -> None:
    """Give every parser its `--json`."""
    for parser in parsers.values():
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
