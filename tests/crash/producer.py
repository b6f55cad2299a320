"""A process that records events: `python -m tests.crash.producer NAME SEED RATE FOLDER`, until SIGTERM.

Each transaction writes the event through `dispatch` and the application's own row (`crash_made`) together;
some are rolled back, whole or from a savepoint on. What was rolled back is noted before, what was committed
after, so that the end of the run can hold either against what the receiver has done.
"""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path
from threading import Event

import django
from django.db import connection, transaction

from tests.crash.notes import Notebook

KINDS, WEIGHTS = ("one", "three", "rolled back", "half"), (68, 10, 14, 8)
ORDERED = 0.1  # the share of events that have an ordering key
KEYS = 4
ENOUGH = "enough"  # a file of this name lets every producer pause


class RolledBack(Exception):
    """The application changed its mind."""


class NotRecorded(Exception):
    """`dispatch` could not write: the application gives its transaction up."""


class Producer:
    """Record events, and note what became of each transaction."""

    def __init__(self, name: str, chance: random.Random, notebook: Notebook) -> None:
        self.name = name
        self.chance = chance
        self.notebook = notebook
        self.count = 0

    def turn(self) -> None:
        """One transaction of the application."""
        (kind,) = self.chance.choices(KINDS, WEIGHTS)
        try:
            with transaction.atomic():
                ids = self._recorded(3 if kind == "three" else 1)
                if kind == "rolled back":
                    self.notebook.note_all("rolled-back", ids)
                    raise RolledBack
                if kind == "half":
                    self._try_another()
        except RolledBack:
            return
        except Exception as error:  # what a process sees when its database goes away
            self.notebook.note("error", type(error).__name__)
            connection.close()
            return
        self.notebook.note_all("committed", ids)

    def _try_another(self) -> None:
        """Record one more in a savepoint, and roll that back alone."""
        try:
            with transaction.atomic():
                self.notebook.note_all("rolled-back", self._recorded(1))
                raise RolledBack
        except RolledBack:
            return

    def _recorded(self, count: int) -> list[str]:
        from rollout.django import Event as Happened
        from rollout.django import dispatch_many

        events = []
        for _ in range(count):
            self.count += 1
            ordered = self.chance.random() < ORDERED
            key = f"match:{self.name}.{self.chance.randrange(KEYS)}" if ordered else None
            unit = self.chance.randrange(1, 50)
            events.append(
                Happened(
                    event="payment_verified",
                    data={"tournament_id": unit},
                    ordering_key=key,
                    context={"tournament_id": unit},
                )
            )
        answers = dispatch_many(events)
        if not all(answers):
            raise NotRecorded
        ids = [webhook_id for answer in answers for webhook_id in answer.webhook_ids]
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO crash_made (webhook_id, ordering_key, number) VALUES (%s, %s, %s)",
                [
                    (webhook_id, event.ordering_key or "", self.count - count + place)
                    for place, (webhook_id, event) in enumerate(zip(ids, events, strict=True))
                ],
            )
        return ids


def main() -> None:
    """Record until SIGTERM."""
    name, seed, rate, folder = sys.argv[1:]
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    producer = Producer(name, random.Random(int(seed)), Notebook(Path(folder) / "producers"))
    enough = Path(folder) / ENOUGH
    while not stopped.wait(producer.chance.expovariate(float(rate))):
        if not enough.exists():
            producer.turn()


if __name__ == "__main__":
    django.setup()
    main()
