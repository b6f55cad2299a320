"""Evidence in a database: added to by many at once, read by minute and endpoint."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connections

from rollout.counters import COLUMNS, Counts
from rollout.django.evidence import EvidenceTable, merged
from rollout.evidence import Row
from rollout.flags import FlagKey
from rollout.increments import of_dispatch, of_outcome
from tests import databases
from tests.conftest import NOW
from webhooks_core.django.outbox.database import Database

FLAG = FlagKey("tournament-webhooks")
MINUTE = int(NOW // 60)
pytestmark = pytest.mark.network


def table(
    database: Database, *, environment: str = "test", flag: str = FLAG, writer: int = 3
) -> EvidenceTable:
    """The evidence of one flag, as one process adds to it."""
    return EvidenceTable(database, environment=environment, flag=FlagKey(flag), writer=lambda: writer)


def everything(evidence: EvidenceTable) -> list[Row]:
    """All minutes there are."""
    return sorted(evidence.read(since_minute=0, until_minute=2**40), key=lambda row: row[:2])


def test_additions_add_up_and_what_was_never_counted_is_nothing(database: Database) -> None:
    """Two settles of one minute and endpoint are one row; another endpoint has its own."""
    evidence = table(database)
    evidence.add({"a": Counts({"ok": 2, "attempts": 2}), "b": of_outcome("timeout")}, now=NOW)
    evidence.add({"a": Counts({"ok": 1, "failed_timeout": 1}), "c": Counts()}, now=NOW + 1)

    rows = everything(evidence)

    assert rows == [
        Row(MINUTE, "a", Counts({"ok": 3, "attempts": 2, "failed_timeout": 1})),
        Row(MINUTE, "b", of_outcome("timeout")),
    ]


def test_every_column_can_be_counted(database: Database) -> None:
    """The table has a column for each name, buckets included."""
    whole = Counts(dict.fromkeys(COLUMNS, 1))
    evidence = table(database)

    evidence.add({"a": whole}, now=NOW)
    evidence.add({"a": whole}, now=NOW)

    assert everything(evidence) == [Row(MINUTE, "a", whole + whole)]


def test_minutes_flags_and_environments_are_kept_apart(database: Database) -> None:
    """A row is of one minute, flag and environment; reading stops before the last minute."""
    evidence = table(database)
    evidence.add({"a": Counts({"ok": 1})}, now=NOW)
    evidence.add({"a": Counts({"ok": 2})}, now=NOW + 60)
    table(database, flag="other").add({"a": Counts({"ok": 4})}, now=NOW)
    table(database, environment="staging").add({"a": Counts({"ok": 8})}, now=NOW)

    rows = evidence.read(since_minute=MINUTE, until_minute=MINUTE + 1)

    assert rows == [Row(MINUTE, "a", Counts({"ok": 1}))]


def test_writers_have_rows_of_their_own_and_a_reader_adds_them_up(database: Database) -> None:
    """Two processes do not wait for each other."""
    table(database, writer=1).add({"a": Counts({"ok": 1})}, now=NOW)
    table(database, writer=2).add({"a": Counts({"ok": 2})}, now=NOW)

    rows = everything(table(database))

    assert len(rows) == 2
    assert merged([{row.endpoint: row.counts} for row in rows]) == {"a": Counts({"ok": 3})}


def test_without_a_moment_the_stores_clock_says_the_minute(database: Database) -> None:
    """A worker whose clock is off counts in the right minute."""
    evidence = table(database)

    evidence.add({"": of_dispatch(0.001)})

    ((minute, _, _),) = everything(evidence)
    assert abs(minute - time.time() // 60) <= 1


def test_an_addition_goes_with_the_transaction_that_it_is_made_in(database: Database) -> None:
    """A settle that is rolled back leaves no evidence."""
    evidence = table(database)

    with pytest.raises(RuntimeError, match="back"), database.transaction():
        evidence.add({"a": Counts({"ok": 1})}, now=NOW)
        raise RuntimeError("back")

    assert everything(evidence) == []


def test_eight_threads_lose_no_addition(database: Database, alias: str) -> None:
    """The same two endpoints in opposite orders, the same writer: 8 × 25 additions, no deadlock."""
    evidence = table(database)
    errors: list[Exception] = []

    def work(number: int) -> None:
        names = ("a", "b") if number % 2 else ("b", "a")
        for _ in range(25):
            try:
                evidence.add({name: Counts({"ok": 1}) for name in names}, now=NOW)
            except Exception as error:
                errors.append(error)

    calls = [databases.close_in_threads(alias, work) for _ in range(8)]
    threads = [threading.Thread(target=call, args=(number,)) for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert [row.counts for row in everything(evidence)] == [Counts({"ok": 200}), Counts({"ok": 200})]


def test_old_minutes_are_pruned(database: Database) -> None:
    """Of this environment and flag only."""
    table(database).add({"a": Counts({"ok": 1})}, now=NOW)
    table(database).add({"a": Counts({"ok": 1})}, now=NOW + 60)
    table(database, environment="staging").add({"a": Counts({"ok": 1})}, now=NOW)

    removed = table(database).prune(before_minute=MINUTE + 1, most=10)

    assert removed == 1
    assert [row.minute for row in everything(table(database))] == [MINUTE + 1]
    assert len(everything(table(database, environment="staging"))) == 1


def test_one_batch_is_one_statement(
    database: Database, alias: str, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    """However many endpoints it has (evidence may cost at most 10 % of a settle)."""
    evidence = table(database)
    counts = {f"endpoint-{number}": Counts({"ok": number + 1}) for number in range(50)}

    with (
        database.transaction(),
        django_assert_num_queries(1, connection=connections[alias]),  # type: ignore[operator]
        connections[alias].cursor() as cursor,
    ):
        evidence.add_minutes({(MINUTE, name): each for name, each in counts.items()}, cursor)

    assert len(everything(evidence)) == 50
