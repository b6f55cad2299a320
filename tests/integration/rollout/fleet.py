"""Four real workers on one database, kept busy: what the tests of every kill switch need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import Start
from rollout.django import driving
from tests.integration.outbox.conftest import World
from tests.integration.rollout import processes
from tests.integration.rollout.conftest import settings_of
from tests.waiting import until

WORKERS = 4
#: How often a switch is flipped; where somebody says how often, the bounds are strict.
FLIPS = int(os.environ.get("ROLLOUT_TEST_FLIPS", "50"))
BY_HAND = "ROLLOUT_TEST_FLIPS" in os.environ
#: A request that had started may still arrive after its sender has stopped.
ARRIVING_SECONDS = 0.15
ANNA = Actor(name="user:17", authenticated=True)


class Feed(Thread):
    """Record events as fast as four workers send them, and a little faster, past the gate."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self._world = world
        self.ended = Event()

    def run(self) -> None:
        """Add rows until told to end."""
        while not self.ended.wait(0.1):
            self._world.add(40)
        self._world.outbox.database.connection.close()


@contextmanager
def busy_fleet(world: World, kill_file: Path, **changes: Any) -> Iterator[World]:
    """The workers, started and fed; *changes* are their settings, and `world.database` is where they look."""
    with override_settings(**settings_of(world, kill_file)):
        driving.runner().obey(Start(by=ANNA, reason="begin"))
        for number in range(WORKERS):
            name = f"w{number}"
            processes.start(
                world, kill_file, "webhooks", "worker", "--name", name, LOGGING=processes.SILENT, **changes
            )
        feed = Feed(world)
        feed.start()
        until(lambda: len(driving.store().senders(driving.driving().flag)) == WORKERS)
        try:
            yield world
        finally:
            feed.ended.set()
            feed.join()


def wait_until_busy(world: World) -> None:
    """Wait until each worker can have sent something again."""
    before = world.receiver.requests
    until(lambda: world.receiver.requests > before + 5 * WORKERS)
