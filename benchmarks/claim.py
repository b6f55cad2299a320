"""What a claim of 64 rows costs with 1,000 and with 1,000,000 rows in the table.

Once where all of them are delivered and 64 are waiting, once where all of them wait for one endpoint. Each
claim is settled and as many rows are added, so that the next one finds as large a table.
Rows are of 500 units, more than are claimed at a time: on SQLite each unit in a claim is one page more to
write, in a table that is large enough for a page of the index to each; PostgreSQL leaves that to vacuum.
Takes two minutes. Run: `python benchmarks/claim.py [--rows=N] [--units=N]`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import count

from databases import databases
from load import option
from rounds import Target, interleave, report

from webhooks_core.endpoint import DEFAULT_ID
from webhooks_core.outbox.base import Claimed, Settled
from webhooks_core.outcome import Outcome
from webhooks_core.settlement import AttemptRecord, Delivered

FEW, MANY, UNITS = 1_000, option("--rows", 1_000_000), option("--units", 500)
BATCH, CLAIMS = 64, 40
NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
    " SELECT {columns} FROM n",
    "postgresql": "SELECT {columns} FROM generate_series(1, {rows}) AS n(i)",
}
COLUMNS = {
    "webhook_id": "'id-' || {offset} || '-' || i",
    "environment": "'{environment}'",
    "endpoint_id": "'default'",
    "event": "'payment_verified'",
    "body": "{body}",
    "scheme": "'timestamped'",
    "unit": "'' || (i % {units})",
    "position": "''",
    "admitted_by": "'SPLIT'",
    "state": "'{state}'",
    "lane": "1000 + i % {units}",
    "turn": "{turn}",
    "token": "''",
    "worker": "''",
    "claims": "0",
    "attempt": "1",
    "spent_seconds": "0",
    "planned_wait_seconds": "0",
    "created_at": "1763000000 + i",
    "changed_at": "1763000000 + i",
    "reason": "''",
    "last_outcome": "''",
}


def fill(alias: str, environment: str, *, state: str, rows: int, offset: int = 0) -> None:
    """Write rows in one go; pending ones with the turns that so many units would have."""
    from django.db import connections

    connection = connections[alias]
    body = "zeroblob(300)" if connection.vendor == "sqlite" else "decode(repeat('61', 300), 'hex')"
    turn = f"i / {UNITS}" if state == "pending" else "NULL"
    columns = ", ".join(
        text.format(
            offset=f"'{environment}{offset}'",
            units=UNITS,
            environment=environment,
            body=body,
            state=state,
            turn=turn,
        )
        for text in COLUMNS.values()
    )
    select = NUMBERS[connection.vendor].format(rows=rows, columns=columns)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO webhooks_delivery ({', '.join(COLUMNS)}) {select}")


def settle_down(alias: str) -> None:
    """What autovacuum does in time."""
    from django.db import connections

    with connections[alias].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connections[alias].vendor == "postgresql" else "ANALYZE")


def claims(alias: str, refill: Callable[[], None]) -> Callable[[], float]:
    """Return a case: the microseconds of one claim; what it took is settled, and *refill* adds as much."""
    from webhooks_core.django.outbox import DjangoOutbox

    outbox = DjangoOutbox(environment="bench", using=alias)

    def run() -> float:
        spent = 0.0
        for _ in range(CLAIMS):
            begun = time.perf_counter()
            found = outbox.claim(worker="bench", limit=BATCH, lease_seconds=15, endpoints={DEFAULT_ID: BATCH})
            spent += time.perf_counter() - begun
            assert len(found) == BATCH
            outbox.settle([delivered(claimed) for claimed in found])
            refill()
        return spent / CLAIMS * 1e6

    return run


def delivered(claimed: Claimed) -> Settled:
    record = AttemptRecord(
        attempt=1, outcome=Outcome.SUCCESS, started_at=1_763_000_000.0, elapsed_seconds=0.01, status=200
    )
    settlement = Delivered(
        delivery=claimed.delivery, record=record, latency_seconds=0.01, elapsed_seconds=0.01
    )
    return Settled(claimed=claimed, settlement=settlement)


def case(alias: str, state: str, rows: int) -> Callable[[], float]:
    """Fill the empty database *alias* and return what measures it."""
    fill(alias, "bench", state=state, rows=rows)
    if state != "pending":
        fill(alias, "bench", state="pending", rows=BATCH, offset=1)
    settle_down(alias)
    offsets = count(2)
    return claims(alias, lambda: fill(alias, "bench", state="pending", rows=BATCH, offset=next(offsets)))


def main() -> bool:
    every = True
    for kind in ("sqlite", "postgresql"):
        for state in ("delivered", "pending"):
            few, many = f"{FEW:,} rows", f"{MANY:,} rows"
            figures = interleave(
                {
                    few: case(f"{kind}_few_{state}", state, FEW),
                    many: case(f"{kind}_many_{state}", state, MANY),
                }
            )
            title = f"claim {BATCH}, {kind}, all {state}"
            targets = (Target(case=many, peer=few, most=1.5),)
            every &= report(title, figures, unit="µs", baseline=few, targets=targets)
    return every


if __name__ == "__main__":
    with databases(
        [
            f"{k}_{n}_{s}"
            for k in ("sqlite", "postgresql")
            for n in ("few", "many")
            for s in ("delivered", "pending")
        ]
    ):
        sys.exit(0 if main() else 1)
