"""Settles and renewals: what becomes of claims, written only where the token is still the row's.

Invariants: one statement changes the rows and says whose tokens held; attempts are written for those and for
no others; of two settlements of one claim the first counts. Explained in docs/explanation/outbox.md.
"""

# ruff: noqa: S608 - statements are put together of constants; every value is a parameter

from __future__ import annotations

from collections.abc import Sequence

from django.db.backends.utils import CursorWrapper

from webhooks_core.django.models import MAX_REASON_CHARACTERS
from webhooks_core.django.outbox.database import Database, Value
from webhooks_core.django.outbox.promotion import Key, wake
from webhooks_core.django.outbox.stored import Token
from webhooks_core.outbox.base import Settled
from webhooks_core.settlement import AttemptRecord

_Mine = tuple[str, int]  # the first two of a `Token`: the batch's text, and the row

_MOST_ROWS = 500  # of one statement: 500 × 12 parameters are within SQLite's 32,766

_OURS = (
    " FROM v WHERE webhooks_delivery.id = v.id AND webhooks_delivery.token = v.token"
    " AND webhooks_delivery.state = 'claimed' AND webhooks_delivery.environment = %s"
    " RETURNING webhooks_delivery.id, webhooks_delivery.token"
)
_SETTLING = {
    "id": "bigint",
    "token": "text",
    "state": "text",
    "due_at": "double precision",
    "reason": "text",
    "attempt": "integer",
    "spent": "double precision",
    "waited": "double precision",
    "slow": "integer",
    "sent": "boolean",
    "outcome": "text",
    "status": "integer",
}
_SETTLED = (
    f"WITH v({', '.join(_SETTLING)}) AS ({{}})"
    " UPDATE webhooks_delivery SET state = v.state, due_at = CAST(v.due_at AS double precision),"
    " reason = v.reason, attempt = v.attempt, spent_seconds = v.spent, planned_wait_seconds = v.waited,"
    " slow_retries = v.slow, sent_before = v.sent,"
    " last_outcome = COALESCE(v.outcome, last_outcome),"
    " last_status = CASE WHEN v.outcome IS NULL THEN last_status ELSE CAST(v.status AS integer) END,"
    " changed_at = %s" + _OURS
)
_RENEWED = "WITH v(id, token) AS (VALUES {}) UPDATE webhooks_delivery SET due_at = %s" + _OURS
_ATTEMPTING = {
    "delivery_id": "bigint",
    "number": "integer",
    "outcome": "text",
    "started_at": "double precision",
    "elapsed_seconds": "double precision",
    "status": "integer",
    "error": "text",
    "is_probe": "boolean",
}
_ATTEMPTS = f"INSERT INTO webhooks_attempt ({', '.join(_ATTEMPTING)}) "
_KEYS = (
    "SELECT DISTINCT endpoint_id, ordering_key FROM webhooks_delivery"
    " WHERE ordering_key IS NOT NULL AND id IN ({})"
)


def settle(
    database: Database,
    cursor: CursorWrapper,
    settlements: Sequence[Settled],
    *,
    environment: str,
    now: float,
) -> list[bool]:
    """Write *settlements* whose tokens hold and return which did, in order."""
    tokens = [Token.read(settled.claimed.token) for settled in settlements]
    first: dict[Token, int] = {}
    for place, token in enumerate(tokens):
        if token is not None:
            first.setdefault(token, place)
    keys = _locked_keys(database, cursor, list(first), environment=environment)
    held: set[_Mine] = set()
    todo = list(first.items())
    for begin in range(0, len(todo), _MOST_ROWS):
        part = [(token, settlements[place]) for token, place in todo[begin : begin + _MOST_ROWS]]
        held |= _written(database, cursor, part, environment=environment, now=now)
    wake(cursor, keys, environment=environment)
    return [
        token is not None and first[token] == place and token[:2] in held
        for place, token in enumerate(tokens)
    ]


def renew(cursor: CursorWrapper, tokens: Sequence[str], *, environment: str, until: float) -> frozenset[str]:
    """Give the leases of *tokens* until *until*; return the tokens that are still theirs."""
    known = {token: text for text in tokens if (token := Token.read(text)) is not None}
    held: set[_Mine] = set()
    todo = list(known)
    for begin in range(0, len(todo), _MOST_ROWS):
        part = todo[begin : begin + _MOST_ROWS]
        values = ", ".join(["(%s, %s)"] * len(part))
        flat = [value for token in part for value in (token.number, token.batch)]
        cursor.execute(_RENEWED.format(values), [*flat, until, environment])
        held |= _returned(cursor)
    return frozenset(text for token, text in known.items() if token[:2] in held)


def _locked_keys(
    database: Database, cursor: CursorWrapper, tokens: Sequence[Token], *, environment: str
) -> list[Key]:
    """Return the ordering keys of the rows, each under its lock: before any row is touched."""
    keyed = [token.number for token in tokens if token.is_keyed]
    if not keyed:
        return []
    cursor.execute(_KEYS.format(", ".join(["%s"] * len(keyed))), keyed)
    keys = [Key(*row) for row in cursor.fetchall()]
    database.lock(cursor, [(environment, *key) for key in keys])
    return keys


def _written(
    database: Database,
    cursor: CursorWrapper,
    part: Sequence[tuple[Token, Settled]],
    *,
    environment: str,
    now: float,
) -> set[_Mine]:
    settling = [(token.number, token.batch, *_columns(settled)) for token, settled in part]
    source, parameters = database.rows(_SETTLING, settling)
    cursor.execute(_SETTLED.format(source), [*parameters, now, environment])
    held = _returned(cursor)
    attempts = [
        (token.number, *_attempted(settled.settlement.record))
        for token, settled in part
        if settled.settlement.record is not None and token[:2] in held
    ]
    if attempts:
        source, parameters = database.rows(_ATTEMPTING, attempts)
        cursor.execute(_ATTEMPTS + source, parameters)
    return held


def _returned(cursor: CursorWrapper) -> set[_Mine]:
    return {(token, number) for number, token in cursor.fetchall()}


def _attempted(record: AttemptRecord) -> tuple[Value, ...]:
    """Return the columns of an attempt, from its number on."""
    return (
        record.attempt,
        record.outcome.value,
        record.started_at,
        record.elapsed_seconds,
        record.status,
        record.error[:MAX_REASON_CHARACTERS],
        record.is_probe,
    )


def _columns(settled: Settled) -> tuple[Value, ...]:
    """Return the columns of the settled row, from state to status."""
    after, settlement = settled.after(), settled.settlement
    delivery, record = settlement.delivery, settlement.record
    return (
        after.state.value,
        after.due_at,
        after.reason[:MAX_REASON_CHARACTERS],
        delivery.attempt,
        delivery.spent_seconds,
        delivery.planned_wait_seconds,
        delivery.slow_retries,
        delivery.sent_before,
        None if record is None else record.outcome.value,
        None if record is None else record.status,
    )
