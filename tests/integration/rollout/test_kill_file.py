"""The kill file against a fleet: real workers that are busy, with everything at hand and with nothing.

Measured from the return of `rolloutctl kill` to the last request at the receiver. The gate's machine runs
other tests on the same two cores meanwhile: there one pull of five may take up to twice the bound; by hand
(ROLLOUT_TEST_FLIPS), none may.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fault_proxy import FaultProxy, fault_proxy
from tests.integration.outbox.conftest import ON_POSTGRES, World
from tests.integration.rollout.conftest import settings_of
from tests.integration.rollout.fleet import (
    ARRIVING_SECONDS,
    BY_HAND,
    FLIPS,
    busy_fleet,
    wait_until_busy,
)
from tests.redis_server import own_server
from tests.waiting import until

#: Contract §10: the last decision to start an attempt after the command's return, p100. What is seen is the
#: arrival of its request, so that `late_by` takes off what one may need to arrive: 1.15 s to the arrival.
BOUND_SECONDS = 1.0
#: The same with the database and Redis away.
CUT_OFF_SECONDS = 2.0
PULLS = FLIPS if BY_HAND else 5
pytestmark = [pytest.mark.network, pytest.mark.slow]


@dataclass(frozen=True)
class Cut:
    """The ways of the workers to what they share."""

    world: World
    ways: tuple[FaultProxy, FaultProxy]


def rolloutctl(verb: str, kill_file: Path, *, reason: str = "on") -> float:
    """Run it as a person does; return when it was done."""
    command = [sys.executable, "-m", "rollout.cli", verb, "--file", str(kill_file), "--reason", reason]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return time.monotonic()


def late_by(world: World, returned: float, *, listen_seconds: float) -> float:
    """How long after *returned* the last request came, having listened for so long."""
    until(lambda: time.monotonic() > returned + listen_seconds)
    return world.receiver.last_at - returned - ARRIVING_SECONDS


def test_each_pull_of_the_file_stops_every_busy_worker_within_a_second(
    world: World, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each looks there before each attempt; removed, all go on by themselves."""
    kill_file, late = tmp_path / "kill", []

    with busy_fleet(world, kill_file):
        for number in range(PULLS):
            wait_until_busy(world)
            returned = rolloutctl("kill", kill_file, reason=f"pull {number}")
            late.append(late_by(world, returned, listen_seconds=BOUND_SECONDS * 2.5))
            rolloutctl("unkill", kill_file)
        wait_until_busy(world)

    late.sort()
    record_property("last arrival after the kill file", f"{late[-1]:.2f} s of {PULLS}")
    assert late[-1] <= BOUND_SECONDS * (1 if BY_HAND else 2), late
    assert all(each <= BOUND_SECONDS for each in late[:-1]), late


@pytest.fixture
def cut(world: World, tmp_path: Path) -> Iterator[Cut]:
    """Four busy workers whose ways to PostgreSQL and to Redis can be cut; the test itself has its own."""
    with ExitStack() as stack:
        redis = stack.enter_context(own_server())
        to_database = stack.enter_context(fault_proxy(int(world.database["PORT"])))
        to_redis = stack.enter_context(fault_proxy(redis.port))
        sending = {**settings_of(world, tmp_path / "kill")["WEBHOOKS"], "DATABASE": "default"}
        world.database = {**world.database, "HOST": "127.0.0.1", "PORT": str(to_database.port)}
        webhooks = {**sending, "REDIS": to_redis.url, "BREAKER_STORE": "redis"}
        stack.enter_context(busy_fleet(world, tmp_path / "kill", WEBHOOKS=webhooks))
        yield Cut(world, (to_database, to_redis))


@pytest.mark.redis
@ON_POSTGRES
def test_with_database_and_redis_cut_off_the_file_stops_all_within_two_seconds(
    cut: Cut, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Black holes, as a broken network makes them; and once they are gone, the file still holds all back."""
    world, kill_file = cut.world, tmp_path / "kill"
    wait_until_busy(world)
    assert all(way.accepted for way in cut.ways)

    for way in cut.ways:
        way.silent = True
    returned = rolloutctl("kill", kill_file, reason="everything is broken")
    late = late_by(world, returned, listen_seconds=CUT_OFF_SECONDS * 2)
    for way in cut.ways:
        way.heal()
    after_all = late_by(world, returned, listen_seconds=CUT_OFF_SECONDS * 4)
    rolloutctl("unkill", kill_file)
    wait_until_busy(world)

    record_property("last arrival, cut off", f"{late:.2f} s")
    assert late <= CUT_OFF_SECONDS
    assert after_all == late
