"""What every chapter of the demo needs: the world, the files, the receiver, the log, the expectations."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice

from apps.notifications.models import Notification
from loopback import mailbox, outbox
from loopback.logbook import Logbook
from loopback.project import Project
from loopback.receiver_process import ReceiverProcess
from loopback.worker import WorkerProcess, Workers
from rehearsal.expectations import Expectations
from rehearsal.world import World
from rollout.django import gate

PICK_UP_LIMIT_SECONDS = 5.0
SENT_LIMIT_SECONDS = 30.0  # several times what any chapter needs


@dataclass(slots=True, kw_only=True)
class Stage:
    """What the chapters share; *worker* is the one that sends at the moment."""

    world: World
    project: Project
    receiver: ReceiverProcess
    workers: Workers
    worker: WorkerProcess
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

    def pay(self, payments: int) -> None:
        """Verify *payments* payments, one tournament after the other and round again."""
        for tournament_id in islice(cycle(self.world.tournament_ids), payments):
            self.world.pay(tournament_id)

    def pay_and_count(self, payments: int) -> tuple[int, int]:
        """Verify payments; return how many the receiver verified and how many were notified."""
        self.newly_verified()
        before, _ = self.recorded()
        self.pay(payments)
        self.wait_until_sent()
        return len(self.newly_verified()), self.recorded()[0] - before

    def wait_until_sent(self, meanwhile: Callable[[], object] | None = None) -> bool:
        """Wait until nothing in the outbox is on its way."""
        return outbox.wait_until_sent(seconds=SENT_LIMIT_SECONDS, meanwhile=meanwhile)

    def wait_until(self, holds: Callable[[], bool], *, seconds: float = PICK_UP_LIMIT_SECONDS) -> bool:
        """Wait until *holds* does, and return whether it did in time."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True
