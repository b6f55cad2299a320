"""`manage.py webhooks resend`, `recover`, `release` and `drop`: what people do to deliveries.

Invariants: more than one row is moved only with `--yes`, after `--dry-run` has counted them; what goes back
into the queue is spread over time; what is past its maximum age is never released; a delivery whose receiver
may have acted on it and has forgotten it by now is sent again only with `--may-repeat`. Explained in
docs/how-to/run-the-worker.md.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from webhooks_core.delivery import MAX_AGE_SECONDS
from webhooks_core.django.answer import Answer, Exit
from webhooks_core.django.management.picking import (
    AGES_FROM,
    Pick,
    add_filters,
    endpoint_of,
    moment,
    outbox,
    refused,
)
from webhooks_core.django.models import Attempt, Delivery
from webhooks_core.outbox.states import State
from webhooks_core.outcome import Outcome
from webhooks_core.stores.replay import REMEMBER_SECONDS

PER_SECOND = 10.0  # what goes back at once, of a day's worth, must not be the next outage
UNKNOWN = frozenset(
    {Outcome.TIMEOUT, Outcome.CONNECTION_ERROR, Outcome.DUPLICATE_UNCONFIRMED, Outcome.SERVER_ERROR}
)
"""After these the receiver may have acted on the delivery."""

Moved = Callable[[Sequence[str]], frozenset[str]]


def add(verbs: Any) -> None:
    """Add the four commands."""
    about = "send dead deliveries again: same id and bytes, new timestamp, attempts from 1"
    resend = verbs.add_parser("resend", help=about, description=about)
    resend.add_argument("webhook_ids", metavar="ID", nargs="+")
    _add_words(resend, rate=True)
    _add_repeat(resend)
    resend.set_defaults(answer=resend_deliveries)
    about = "send again everything that died since a moment"
    recover = verbs.add_parser("recover", help=about, description=about)
    recover.add_argument("--since", required=True, help="2h, 7d, 2026-01-31T12:00")
    add_filters(recover)
    _add_words(recover, rate=True)
    _add_repeat(recover)
    recover.set_defaults(answer=recover_deliveries)
    about = "let held deliveries go"
    release = verbs.add_parser("release", help=about, description=about)
    _add_ids(release)
    release.add_argument(
        "--max-age",
        default=f"{round(MAX_AGE_SECONDS / 3600)}h",
        help="leave what was recorded, or put back by a person, longer ago (default: %(default)s)",
    )
    _add_words(release, rate=True)
    _add_repeat(release)
    release.set_defaults(answer=release_deliveries)
    about = "give held or pending deliveries up for good; they stay visible"
    drop = verbs.add_parser("drop", help=about, description=about)
    _add_ids(drop)
    states = [State.HELD.value, State.PENDING.value]
    drop.add_argument("--state", choices=states, default=states[0], help="with --all (default: %(default)s)")
    _add_words(drop, rate=False)
    drop.set_defaults(answer=drop_deliveries)


def resend_deliveries(options: dict[str, Any]) -> Answer:
    """Send the dead among the named ones again."""
    _known(options["webhook_ids"])
    return _sent_again(Pick(ids=options["webhook_ids"], states=[State.DEAD.value]), options)


def recover_deliveries(options: dict[str, Any]) -> Answer:
    """Send again what died since then."""
    kept = outbox()
    since = moment(options["since"], now=kept.now())
    endpoint = endpoint_of(options, kept)
    pick = Pick(states=[State.DEAD.value], since=since, endpoint=endpoint, event=options["event"])
    return _sent_again(pick, options)


def release_deliveries(options: dict[str, Any]) -> Answer:
    """Let go of the held ones that are not too old."""
    kept = outbox()
    oldest = moment(options["max_age"], now=kept.now())
    held = _picked(options, State.HELD.value).rows(kept)
    ids, left = sendable(held, now=kept.now(), oldest=oldest, repeats=options["may_repeat"])
    return _move(
        options,
        ids,
        lambda these: kept.release(these, reason=options["reason"], per_second=options["rate"]),
        what="released",
        left=left,
    )


def drop_deliveries(options: dict[str, Any]) -> Answer:
    """Give up the named ones, or all of a state."""
    kept = outbox()
    states = [State.HELD.value, State.PENDING.value] if options["webhook_ids"] else [options["state"]]
    ids = list(_picked(options, *states).rows(kept).values_list("webhook_id", flat=True))
    return _move(options, ids, lambda these: kept.drop(these, reason=options["reason"]), what="dropped")


def sendable(
    rows: QuerySet[Delivery], *, now: float, oldest: float | None = None, repeats: bool = False
) -> tuple[list[str], dict[str, int]]:
    """Return the ids among *rows* that may go out, and how many are left for which reason.

    Args:
        rows: Held or dead ones that a person has picked.
        now: Epoch seconds, by the outbox's clock.
        oldest: Rows whose age counts from before this moment stay; None: none is too old.
        repeats: Whether also those go whose effect may happen a second time.
    """
    found = dict(rows.values_list("webhook_id", AGES_FROM))
    young = [webhook_id for webhook_id, ages_from in found.items() if oldest is None or ages_from >= oldest]
    unclear = (
        set() if repeats else set(rows.filter(_may_repeat(now=now)).values_list("webhook_id", flat=True))
    )
    ids = [webhook_id for webhook_id in young if webhook_id not in unclear]
    return ids, {"too_old": len(found) - len(young), "may_repeat": len(young) - len(ids)}


def _may_repeat(*, now: float) -> Q:
    """Return what picks the rows whose effect may happen a second time if they are sent again.

    An attempt ended without a clear answer (or a worker died with it) so long ago that the receiver, which
    may have acted on it, does not remember the id any more. Later outcomes do not unsay it.
    """
    forgotten = now - REMEMBER_SECONDS
    unclear = Attempt.objects.filter(
        delivery_id=OuterRef("pk"),
        outcome__in=[outcome.value for outcome in UNKNOWN],
        started_at__lt=forgotten,
    )
    return Q(Exists(unclear)) | Q(sent_before=True, created_at__lt=forgotten)


def _sent_again(pick: Pick, options: dict[str, Any]) -> Answer:
    kept = outbox()
    ids, left = sendable(pick.rows(kept), now=kept.now(), repeats=options["may_repeat"])
    return _move(
        options,
        ids,
        lambda these: kept.resend(these, reason=options["reason"], per_second=options["rate"]),
        what="sent again",
        left=left,
    )


def _picked(options: dict[str, Any], *states: str) -> Pick:
    ids = options["webhook_ids"]
    if bool(ids) == options["all"]:
        raise refused("name deliveries, or say --all")
    if ids:
        _known(ids)
    return Pick(ids=ids, states=states, endpoint=endpoint_of(options, outbox()), event=options["event"])


def _known(ids: Sequence[str]) -> None:
    """Refuse ids that do not exist, before anything is moved."""
    found = set(Pick(ids=ids).rows(outbox()).values_list("webhook_id", flat=True))
    missing = [webhook_id for webhook_id in ids if webhook_id not in found]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise refused(f"there is no delivery {', '.join(missing[:3])}{more}", code=Exit.NOT_FOUND)


_LEFT = {
    "other_state": "in another state than this command is for: see `webhooks show`",
    "too_old": "older than --max-age",
    "may_repeat": "may have had their effect, and the receiver has forgotten them: --may-repeat",
}


def _move(
    options: dict[str, Any],
    ids: Sequence[str],
    moved: Moved,
    *,
    what: str,
    left: dict[str, int] | None = None,
) -> Answer:
    """Count, and move where that was asked for."""
    left = left or {}
    named = len(set(options.get("webhook_ids") or ()))
    left = {"other_state": max(0, named - len(ids) - sum(left.values())), **left}
    left = {why: count for why, count in left.items() if count}
    lines = [f"Left: {count} {_LEFT[why]}." for why, count in left.items()]
    data: dict[str, object] = {"found": len(ids), "left": left, "moved": 0, "dry_run": options["dry_run"]}
    if options["dry_run"]:
        return Answer(lines=[f"{len(ids)} would be {what}.", *lines], data=data)
    if len(ids) > 1 and not options["yes"]:
        problem = f"{len(ids)} would be {what}: say --yes, or --dry-run to count only"
        return Answer(code=Exit.REFUSED, lines=[problem, *lines], data={**data, "error": problem})
    done = moved(ids) if ids else frozenset()
    data["moved"] = len(done)
    code = Exit.FAILED if options.get("webhook_ids") and not done else Exit.DONE
    return Answer(code=code, lines=[f"{len(done)} {what}.", *lines], data=data)


def _add_ids(parser: ArgumentParser) -> None:
    parser.add_argument("webhook_ids", metavar="ID", nargs="*")
    parser.add_argument("--all", action="store_true", help="all there are, or all that the options below say")
    add_filters(parser)


def _add_repeat(parser: ArgumentParser) -> None:
    about = "send again also what may have had its effect, and whose id the receiver has forgotten"
    parser.add_argument("--may-repeat", action="store_true", help=about)


def _add_words(parser: ArgumentParser, *, rate: bool) -> None:
    parser.add_argument("--reason", required=True, help="why; it stays with the rows")
    parser.add_argument("--dry-run", action="store_true", help="count only")
    parser.add_argument("--yes", action="store_true", help="needed for more than one")
    if rate:
        about = "so many a second at most (default: %(default)s)"
        parser.add_argument("--rate", type=read_rate, default=PER_SECOND, metavar="N", help=about)


def read_rate(text: str) -> float:
    """Return the rate that *text* says, above 0 and at most 100,000 a second.

    Raises:
        ArgumentTypeError: It says none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100_000:
        raise ArgumentTypeError("must be above 0, at most 100000 (a second)")
    return value
