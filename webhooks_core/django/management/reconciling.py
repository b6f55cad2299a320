"""`manage.py webhooks reconcile`: what we delivered, hour by hour, against the receiver's log.

Reading only, in portions: a log of any length, and one look at the outbox. Invariant: nothing is printed but
ids, counts and digests. Explained in docs/how-to/reconcile-with-a-receiver.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from webhooks_core.django.answer import Answer, Exit, table
from webhooks_core.django.management.picking import endpoint_of, moment, outbox, refused, shown_at
from webhooks_core.django.models import Delivery
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.outbox.states import State
from webhooks_core.reconcile import Heard, Hour, Reconciliation, read_log, reconcile

PORTION = 500
NAMED = 20  # of each kind and hour for a person; a program gets all


def add(verbs: Any) -> None:
    """Add the command."""
    about = "hold what was delivered against the receiver's log, hour by hour"
    parser = verbs.add_parser("reconcile", help=about, description=about)
    parser.add_argument("log", metavar="FILE", help="the receiver's log, or one id a line; - is stdin")
    parser.add_argument("--endpoint", required=True, help="whose log it is")
    parser.add_argument("--since", default="24h", help="2h, 7d, 2026-01-31T12:00 (default: %(default)s)")
    parser.add_argument("--until", help="not what was delivered after this moment (default: now)")
    parser.set_defaults(answer=reconcile_log)


def reconcile_log(options: dict[str, Any]) -> Answer:
    """Compare, and end with 1 where the two do not agree."""
    kept = outbox()
    now = kept.now()
    since = moment(options["since"], now=now)
    until = now if options["until"] is None else moment(options["until"], now=now)
    if until <= since:
        raise refused("--until must be later than --since")
    endpoint_of(options, kept)
    heard = _read(options["log"])
    rows = Delivery.objects.using(kept.database.alias).filter(
        environment=kept.environment, endpoint_id=options["endpoint"], state=State.DELIVERED.value
    )
    found = rows.filter(changed_at__gte=since, changed_at__lt=until).order_by("changed_at", "id")
    pairs = list(found.values_list("webhook_id", "changed_at").iterator(chunk_size=2_000))
    others = _others(kept, heard, but=frozenset(name for name, _ in pairs), endpoint=options["endpoint"])
    return _told(reconcile(pairs, heard, others=others), heard, endpoint=options["endpoint"])


def _read(path: str) -> Heard:
    try:
        if path == "-":
            heard = read_log(sys.stdin)
        else:
            with open(path, encoding="utf-8", errors="replace") as lines:
                heard = read_log(lines)
    except OSError as error:
        raise refused(f"the log cannot be read ({type(error).__name__})", code=Exit.UNREADABLE) from error
    if not heard.matched:
        raise refused(
            f"none of the {heard.lines} lines names a webhook: give the receiver's log lines "
            "(Received webhook: …, webhook_id=…) or one id a line"
        )
    return heard


def _others(
    kept: DjangoOutbox, heard: Heard, *, but: frozenset[str], endpoint: str
) -> Mapping[str, str | None]:
    """Return the state of every id in the log that was not delivered in the time that is looked at."""
    found: dict[str, str | None] = {}
    rows = Delivery.objects.using(kept.database.alias).filter(environment=kept.environment)
    for names in _portions(name for name in heard.effects if name not in but):
        states = dict(
            rows.filter(webhook_id__in=names, endpoint_id=endpoint).values_list("webhook_id", "state")
        )
        found.update({name: states.get(name) for name in names})
    return found


def _portions(names: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while portion := list(islice(rest, PORTION)):
        yield portion


def _told(result: Reconciliation, heard: Heard, *, endpoint: str) -> Answer:
    head = ("hour (UTC)", "delivered", "received", "digest", "receiver's digest", "")
    cells = [
        (
            shown_at(hour.begins_at), hour.delivered, hour.received, hour.delivered_digest,
            hour.received_digest, "agrees" if hour.agrees else _differs(hour),
        )
        for hour in result.hours
    ]  # fmt: skip
    lines = table(head, cells) if cells else ["Nothing was delivered in this time."]
    for hour in result.hours:
        lines += _named(f"{shown_at(hour.begins_at)} missing", hour.missing)
        lines += _named(f"{shown_at(hour.begins_at)} doubled", hour.doubled)
    lines += _named(
        "Received, not delivered as far as we know",
        [f"{name} ({state})" for name, state in result.unconfirmed.items()],
    )
    lines += _named("Received, and no delivery of ours", result.unknown)
    lines.append(f"{heard.matched} of {heard.lines} lines of the log name a webhook.")
    data = {
        "endpoint": endpoint,
        "agrees": result.agrees,
        "hours": [_hour(hour) for hour in result.hours],
        "unconfirmed": dict(result.unconfirmed),
        "unknown": list(result.unknown),
        "lines": heard.lines,
        "matched": heard.matched,
    }
    return Answer(code=Exit.DONE if result.agrees else Exit.FAILED, lines=lines, data=data)


def _differs(hour: Hour) -> str:
    return f"{len(hour.missing)} missing, {len(hour.doubled)} doubled"


def _named(what: str, names: Iterable[str]) -> list[str]:
    known = list(names)
    if not known:
        return []
    rest = f" and {len(known) - NAMED} more (--json has all)" if len(known) > NAMED else ""
    return [f"{what}: {', '.join(known[:NAMED])}{rest}"]


def _hour(hour: Hour) -> dict[str, object]:
    return {
        "hour": shown_at(hour.begins_at),
        "delivered": hour.delivered,
        "received": hour.received,
        "delivered_digest": hour.delivered_digest,
        "received_digest": hour.received_digest,
        "missing": list(hour.missing),
        "doubled": list(hour.doubled),
    }
