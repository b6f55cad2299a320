"""What every chapter of the demo needs: the world, the files, the receiver, the log, the expectations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection

from apps.notifications.models import Notification
from loopback import mailbox
from loopback.logbook import Logbook
from loopback.project import Project
from loopback.receiver_process import ReceiverProcess
from rehearsal.expectations import Expectations
from rehearsal.world import World
from rollout.django import gate

PICK_UP_LIMIT_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class Stage:
    """What the chapters share."""

    world: World
    project: Project
    receiver: ReceiverProcess
    expect: Expectations
    log: Logbook
    known: int = field(default=0)

    def newly_verified(self) -> list[Mapping[str, object]]:
        """Return what the receiver has verified since the last call, by its own count."""
        found = self.receiver.report(since=self.known)["verified"]
        assert isinstance(found, list)
        self.known += len(found)
        return found

    def requests(self) -> int:
        """Return how many requests have reached the receiver's inbound address since it was started."""
        total = self.receiver.report()["requests"]
        assert isinstance(total, int)
        return total

    def recorded(self) -> tuple[int, int]:
        """Return how many notifications are in the database and how many e-mails have gone out."""
        return Notification.objects.count(), len(mailbox.sent)

    def set_percentage(self, percentage: str) -> float:
        """Edit the flag file and return after how many seconds the gate of this process had picked it up."""
        version = self.project.flags.write(percentage)
        begun = time.monotonic()
        self.wait_until(lambda: gate(self.world.tournament_ids[0]).version == version)
        return time.monotonic() - begun

    def pay_in_threads(self, tournament_ids: Sequence[int]) -> list[threading.Thread]:
        """Begin to verify a payment in each tournament, all at the same time; return the threads."""

        def pay(tournament_id: int) -> None:
            try:
                self.world.pay(tournament_id)
            finally:
                connection.close()

        threads = [threading.Thread(target=pay, args=(unit,), daemon=True) for unit in tournament_ids]
        for thread in threads:
            thread.start()
        return threads

    def wait_until(self, holds: Callable[[], bool], *, seconds: float = PICK_UP_LIMIT_SECONDS) -> bool:
        """Wait until *holds* does, and return whether it did in time."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True
