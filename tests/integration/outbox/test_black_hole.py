"""A database that is there and says nothing: who waits, how long, and that all goes on afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event

import pytest
from django.db import connections

from tests import databases
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.integration.outbox.conftest import ON_POSTGRES, World
from webhooks_core.breaker import Admit, BreakerPolicy, Failed, Refused, Ticket
from webhooks_core.django.stores.breakers import DatabaseBreakerStore
from webhooks_core.django.stores.line import DatabaseLine
from webhooks_core.errors import StoreUnavailable

pytestmark = [pytest.mark.network, pytest.mark.postgres]
NOW = 1_763_000_000.0
HOLED = "holed"


@pytest.fixture
def proxy(world: World) -> Iterator[FaultProxy]:
    """A way to the world's PostgreSQL that can be blocked, under the alias `holed`."""
    with (
        fault_proxy(int(world.database["PORT"])) as found,
        databases.alias(HOLED, {**world.database, "PORT": str(found.port)}),
    ):
        yield found


def asked(line: DatabaseLine) -> int:
    """One question to the database."""

    def call() -> int:
        with connections[HOLED].cursor() as cursor:
            cursor.execute("SELECT 1")
            return int(cursor.fetchone()[0])

    return line.ask(call)


@ON_POSTGRES
def test_a_line_that_hangs_is_given_up_and_another_one_answers(world: World, proxy: FaultProxy) -> None:
    """The thread that waits for a dead connection is left to itself; nobody has to restart the process."""
    moment = [0.0]
    line = DatabaseLine(HOLED, wait_seconds=2.0, give_up_seconds=20.0, monotonic=lambda: moment[0])
    before = asked(line)
    line._wait_seconds = 0.1
    proxy.silent = True
    with pytest.raises(StoreUnavailable, match="in time"):
        asked(line)
    proxy.silent = False  # what was sent meanwhile is lost: that connection never says anything again
    moment[0] += 10
    with pytest.raises(StoreUnavailable, match="in time"):
        asked(line)
    moment[0] += 11
    with pytest.raises(StoreUnavailable, match="in time"):
        asked(line)
    line._wait_seconds = 2.0
    moment[0] += 2

    after = asked(line)

    line.close()
    assert (before, after) == (1, 1)


@ON_POSTGRES
def test_a_question_whose_asker_has_gone_is_not_asked_later(world: World, proxy: FaultProxy) -> None:
    """An admission of long ago would take the probe of now."""
    line = DatabaseLine(HOLED, wait_seconds=0.1)
    release, asked_late = Event(), []
    with pytest.raises(StoreUnavailable):
        line.ask(lambda: release.wait(10))
    line._away_until = 0.0
    with pytest.raises(StoreUnavailable):
        line.ask(lambda: asked_late.append("late"))
    release.set()
    line._away_until, line._wait_seconds = 0.0, 5.0

    line.ask(lambda: asked_late.append("now"))

    line.close()
    assert asked_late == ["now"]


@pytest.mark.slow
@ON_POSTGRES
def test_breakers_are_shared_again_after_a_black_hole(world: World, proxy: FaultProxy) -> None:
    """Alone while the database says nothing, each answer within 100 ms; then what others opened is seen."""
    policy = BreakerPolicy(max_fails=1)
    ours = DatabaseBreakerStore(
        policy,
        environment="test",
        using=HOLED,
        snapshot_seconds=0.0,
        wait_seconds=5.0,
        clock=lambda now: now,
    )
    theirs = DatabaseBreakerStore(
        policy, environment="test", using=world.alias, wait_seconds=5.0, clock=lambda now: now
    )
    first = ours.apply("a", Admit(), now=NOW).answer
    ours._line._wait_seconds, ours._line._give_up_seconds = 0.1, 2.0
    proxy.silent = True
    begun = time.monotonic()
    alone = [ours.apply("a", Admit(), now=NOW).answer for _ in range(20)]
    spent = time.monotonic() - begun
    ticket = theirs.apply("a", Admit(), now=NOW).answer
    assert isinstance(ticket, Ticket)
    theirs.apply("a", Failed(ticket=ticket), now=NOW)
    proxy.silent = False

    end, last = time.monotonic() + 15, None
    while not isinstance(last, Refused) and time.monotonic() < end:
        last = ours.apply("a", Admit(), now=NOW).answer
        time.sleep(0.1)
    ours.close()
    theirs.close()

    assert isinstance(first, Ticket)
    assert all(isinstance(answer, Ticket) for answer in alone)
    assert spent < 1.0
    assert last == Refused(retry_at=NOW + 60)
