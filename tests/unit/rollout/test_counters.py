"""Counts: columns that are known, whole numbers that only grow, and a sum that has no order."""

from __future__ import annotations

import pytest

from rollout.counters import COLUMNS, FAILURES, Counts
from rollout.errors import ConfigError
from rollout.latency import DISPATCH, LATENCY


def test_every_bucket_and_every_class_of_failure_is_a_column() -> None:
    """The table is whole, says what each counts, and its names fit a database."""
    assert set(LATENCY.columns) | set(DISPATCH.columns) | set(FAILURES.values()) < set(COLUMNS)
    assert all(COLUMNS.values())
    assert all(name.isidentifier() and len(name) <= 40 for name in COLUMNS)


def test_the_columns_keep_their_names() -> None:
    """They stand in databases: one may be added, none may go."""
    assert [name for name in COLUMNS if not name.startswith(("latency_", "dispatch_"))] == [
        *("ok", "failed_client_error", "failed_server_error", "failed_timeout", "failed_connection_error"),
        *("failed_tls_error", "failed_redirect", "failed_blocked_address", "failed_signature_rejected"),
        *("failed_duplicate_unconfirmed", "retried", "met_5xx", "recovered", "expired", "attempts"),
        *("unanswered", "refused", "openings", "open_seconds", "envelopes", "pii", "pii_free_text"),
    ]


@pytest.mark.parametrize(
    "counts", [{"oks": 1}, {"ok": -1}, {"ok": 1.0}, {"ok": True}, {"x" * 999: 1}], ids=range(5)
)
def test_what_is_no_count_is_refused(counts: dict[str, int]) -> None:
    """An unknown column and a number that cannot be counted are errors that name the column, cut short."""
    with pytest.raises(ConfigError) as caught:
        Counts(counts)

    assert len(str(caught.value)) < 200


def test_a_column_that_was_not_counted_is_nought_and_takes_no_room() -> None:
    """Zeros are not kept, so that rows with and without them are equal."""
    counts = Counts({"ok": 0, "attempts": 2})

    assert counts == Counts({"attempts": 2})
    assert (counts.get("ok"), counts.as_dict()) == (0, {"attempts": 2})
    assert (bool(counts), bool(Counts())) == (True, False)


def test_counts_are_values() -> None:
    """Equal ones hash alike, and are not equal to a dictionary."""
    counts = Counts({"ok": 1})

    assert hash(counts) == hash(Counts({"ok": 1}))
    assert counts != {"ok": 1}
    assert repr(counts) == "Counts({'ok': 1})"


def test_a_database_row_is_read_by_its_columns() -> None:
    """Other fields and NULL are left alone."""
    row = {"id": 7, "minute": 29_383_334, "endpoint": "default", "ok": 3, "retried": None, "attempts": 4}

    assert Counts.of_row(row) == Counts({"ok": 3, "attempts": 4})


def test_what_was_added_can_be_taken_away() -> None:
    """The window gives back what has become too old."""
    old, new = Counts({"ok": 3, "refused": 1}), Counts({"ok": 2})

    assert (old + new).without([old]) == new
    assert (old + new).without([old, new]) == Counts()


def test_failures_are_told_apart() -> None:
    """What ended, what failed, what found nobody there, and what ended in a 4xx."""
    counts = Counts(dict.fromkeys(FAILURES.values(), 1) | {"ok": 10})

    assert (counts.ended, counts.failed) == (19, 9)
    assert counts.unanswered_failures == 3
    assert counts.ended_4xx == 3


def test_what_is_beyond_an_earlier_count_is_never_below_nought() -> None:
    """Also where a later reading is lower, as of a breaker that has closed since."""
    later, before = Counts({"ok": 5, "openings": 1, "open_seconds": 3}), Counts({"ok": 2, "open_seconds": 9})

    assert later.beyond(before) == Counts({"ok": 3, "openings": 1})
    assert (later.beyond(later), later.beyond(Counts())) == (Counts(), later)
