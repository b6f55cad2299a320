"""Many processes on one database: no lock error surfaces, no update is lost, each id takes effect once.

The gate records 8 × 2,000 events on SQLite, whole; 8 × 100 on PostgreSQL and 16 × 200 ids on either are a
part. By hand: `OUTBOX_TRANSACTIONS=2000 OUTBOX_IDS=10000`, some minutes (docs/contributing/crash.md).
"""

from __future__ import annotations

import os

import pytest
from django.db import connections

from tests.integration.outbox.conftest import World

pytestmark = [pytest.mark.network, pytest.mark.slow]
TRANSACTIONS = {"sqlite": 2_000, "postgresql": 100}
ASKED = os.environ.get("OUTBOX_TRANSACTIONS")
IDS = int(os.environ.get("OUTBOX_IDS", "200"))


def together(world: World, part: str, *, processes: int, count: int) -> None:
    """Run a crowd to its end; fail with the first error of one."""
    crowd = [
        world.spawn("tests.integration.outbox.crowd", part, str(count), str(seed))
        for seed in range(processes)
    ]
    for process in crowd:
        _, err = process.communicate(timeout=550)
        assert process.returncode == 0, err


def number(world: World, query: str) -> int:
    """One number from the database."""
    with connections[world.alias].cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])


def run(world: World, statement: str) -> None:
    """One statement."""
    with connections[world.alias].cursor() as cursor:
        cursor.execute(statement)


def test_eight_processes_record_events_and_lose_no_update(world: World) -> None:
    """Read, record, write: every transaction commits, and every event is there, once."""
    run(world, "CREATE TABLE counter (number integer)")
    run(world, "INSERT INTO counter VALUES (0)")

    count = int(ASKED or TRANSACTIONS[connections[world.alias].vendor])

    together(world, "record", processes=8, count=count)

    assert number(world, "SELECT number FROM counter") == 8 * count
    assert number(world, "SELECT count(*) FROM webhooks_delivery") == 8 * count


def test_sixteen_processes_claim_the_same_ids_and_each_takes_effect_once(world: World) -> None:
    """The effect commits with its claim: as many effects as ids."""
    run(world, "CREATE TABLE effects (webhook_id varchar(64))")

    together(world, "receive", processes=16, count=IDS)

    assert number(world, "SELECT count(*) FROM effects") == IDS
    assert number(world, "SELECT count(DISTINCT webhook_id) FROM effects") == IDS
