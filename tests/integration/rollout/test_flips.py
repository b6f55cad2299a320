"""The kill switch against a fleet: real workers that are busy, killed and started again and again.

50 flips on PostgreSQL and 10 on SQLite in the gate; ROLLOUT_TEST_FLIPS=1000 asks for more. Measured from the
return of the command: at the receiver, the last request that arrives, which is what is promised; and in the
database, the acknowledgement of every worker, which is a write of its own behind it. Whoever has acknowledged
decides to start nothing any more. The gate's machine runs other tests on the same two cores meanwhile, so
that a process may get none for a while: there one flip in ten may take up to twice either bound, and what had
started may arrive late; by hand, none may.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rollout.commands import Kill, Start, Unkill
from rollout.django import driving
from tests.integration.outbox.conftest import World
from tests.integration.rollout.fleet import ANNA, ARRIVING_SECONDS, BY_HAND, FLIPS, busy_fleet
from tests.waiting import until
from webhooks_core.django.models import Attempt

#: Contract §10: from the command's return to the last decision to start an attempt.
BOUND_SECONDS = 1.0
#: An acknowledgement waits for the worker's step and for a commit: well within the lease of three seconds.
ACKNOWLEDGED_SECONDS = 2.0
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture
def fleet(world: World, tmp_path: Path) -> Iterator[World]:
    """Four workers on the database, and a feed of events."""
    with busy_fleet(world, tmp_path / "kill"):
        yield world


def acknowledged() -> bool:
    """Whether every live worker obeys the newest epoch."""
    store, flag = driving.store(), driving.driving().flag
    epoch = store.load(flag).epoch
    return all(sender.epoch >= epoch for sender in store.senders(flag))


def started_between(world: World, pauses: list[tuple[float, float]]) -> list[float]:
    """When attempts were started that began in one of *pauses* (epoch seconds, one clock: one machine)."""
    started = sorted(Attempt.objects.using(world.alias).values_list("started_at", flat=True))
    return [
        at
        for first, last in pauses
        for at in started[bisect_right(started, first) : bisect_left(started, last)]
    ]


def test_every_flip_reaches_every_worker_within_a_second(
    fleet: World, record_property: Callable[[str, object], None]
) -> None:
    """p100 of all flips; and silence from the acknowledgement to the next start."""
    runner = driving.runner()
    took, last, pauses, arrived_late = [], [], [], 0
    flips = FLIPS if fleet.outbox.database.is_postgres else FLIPS // 5
    for number in range(flips):
        before = fleet.receiver.requests
        until(lambda: fleet.receiver.requests > before)  # noqa: B023 - asked at once
        runner.obey(Kill(by=ANNA, reason=f"flip {number}"))
        returned = time.monotonic()
        until(acknowledged)
        took.append(time.monotonic() - returned)
        acknowledged_at = time.time()
        time.sleep(ARRIVING_SECONDS)
        seen = fleet.receiver.requests
        time.sleep(0.1)
        arrived_late += fleet.receiver.requests - seen
        last.append(fleet.receiver.last_at - returned)
        pauses.append((acknowledged_at, time.time()))
        runner.tick()
        runner.obey(Unkill(by=ANNA, reason="on"))
        runner.obey(Start(by=ANNA, reason="on"))

    times = 1 if BY_HAND else 2
    took.sort()
    last.sort()
    record_property("last arrival", f"{last[-1]:.2f} s of {flips}, median {last[flips // 2]:.2f}")
    record_property("slowest acknowledgement", f"{took[-1]:.2f} s of {flips}, median {took[flips // 2]:.2f}")
    assert len(last) == flips
    assert last[-1] <= BOUND_SECONDS * times, last[-5:]
    assert last[flips * 9 // 10 - 1] <= BOUND_SECONDS, last[-5:]
    assert took[-1] <= ACKNOWLEDGED_SECONDS * times, took[-5:]
    assert took[flips * 9 // 10 - 1] <= BOUND_SECONDS, took[-5:]
    assert started_between(fleet, pauses) == []
    assert arrived_late == 0 or not BY_HAND
