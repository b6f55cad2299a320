"""Counts that no settle carries: in memory first, written later, seen by the guard all the same."""

from __future__ import annotations

import time

import pytest
from django.db import transaction

from rollout.counters import Counts
from rollout.django import driving
from rollout.django.tally import FLUSH_SECONDS, Tally
from rollout.evidence import Row, settled_until
from rollout.increments import of_dispatch, of_envelope
from rollout.testing import ManualClock
from tests.conftest import NOW
from tests.integration.outbox.conftest import World

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("rollout_project")]


def rows() -> list[Row]:
    """Everything that was written."""
    table = driving.evidence()
    assert table is not None
    return table.read(since_minute=0, until_minute=2**40)


def test_it_writes_only_when_it_is_time_to() -> None:
    """Five seconds of counts are one statement."""
    clock = ManualClock(NOW)
    tally = Tally(monotonic=clock)
    tally.count(of_dispatch(0.001))
    tally.flush_soon()
    early = rows()
    clock.advance(FLUSH_SECONDS)
    tally.flush_soon()

    assert early == []
    assert [row.counts for row in rows()] == [of_dispatch(0.001)]


def test_what_waited_for_long_counts_in_a_minute_that_the_runner_has_not_folded() -> None:
    """A quiet process writes an hour later: the guard still sees it."""
    then = time.time() - 3_600
    tally = Tally(clock=lambda: then)
    tally.count(of_envelope(3))

    tally.flush_soon(at_once=True)

    ((minute, _, counts),) = rows()
    assert counts == of_envelope(3)
    assert minute >= settled_until(time.time()) - 1


def test_inside_a_transaction_it_waits_for_the_commit(world: World) -> None:
    """Nothing of ours is written in it."""
    tally = Tally()
    tally.count(of_envelope())

    with transaction.atomic(using=world.alias):
        tally.flush_soon(at_once=True)
        inside = rows()

    assert (inside, len(rows())) == ([], 1)


def test_where_the_caller_commits_by_hand_it_waits_for_another_time(world: World) -> None:
    """His rollback would take the counts along, and nobody is told when he commits."""
    tally = Tally()
    tally.count(of_envelope())
    transaction.set_autocommit(False, using=world.alias)

    tally.flush_soon(at_once=True)
    transaction.rollback(using=world.alias)
    transaction.set_autocommit(True, using=world.alias)
    lost = rows()
    tally.flush_soon(at_once=True)

    assert (lost, len(rows())) == ([], 1)


def test_a_write_that_fails_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts are there for the next time."""
    tally = Tally()
    tally.count(of_envelope())
    with monkeypatch.context() as broken:
        broken.setattr(Counts, "as_dict", lambda _self: {"no_such_column": 1})
        tally.flush_soon(at_once=True)
    tally.count(of_envelope())

    tally.flush_soon(at_once=True)

    assert Counts.sum(row.counts for row in rows()) == of_envelope(2)
