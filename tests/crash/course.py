"""The course of a crash run: cycles of load and `kill -9`, and what came of them.

The seed says whom to kill, after how long, and what the producers do; when the processes come to what they do
is the machine's, so that a run cannot be repeated exactly.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

from tests.crash.scene import Actor, Scene, scene, waited
from tests.crash.verdict import Facts, Figures, Victim, figures, problems

END_SECONDS = 60.0  # after the last kill all must be delivered within it
BACKLOG = 100  # rows on their way: a queue would be measured, and not how workers recover
OTHERS = 0.25  # how often a cycle kills a producer too, and how often the receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a run goes; `rate` is transactions a second of each producer."""

    cycles: int
    seed: int = 1
    lease_seconds: float = 2.0
    poll_seconds: float = 0.1
    workers: int = 3
    producers: int = 2
    rate: float = 25.0
    has_breaker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a run came to."""

    course: Course
    database: str
    seconds: float
    facts: Facts
    problems: list[str]
    figures: Figures

    @property
    def report(self) -> str:
        """For people: one paragraph."""
        found = self.figures
        kills = ", ".join(f"{found.kills.get(victim, 0)} of a {victim}" for victim in Victim)
        redelivery = "none"
        if found.redeliveries:
            middle = found.redeliveries[len(found.redeliveries) // 2]
            redelivery = f"median {middle:.1f} s, slowest {found.slowest:.1f} s of {len(found.redeliveries)}"
        return "\n".join(
            (
                f"{self.database}: {self.course.cycles} cycles in {self.seconds:.0f} s,"
                f" {found.events} events, {sum(found.kills.values())} kills ({kills})",
                f"  {found.hits} kills met a worker with claimed rows, {found.orphans} rows in all",
                f"  double sends before the guard: {found.known} of {found.events} events"
                f" ({found.double_rate:.2%}); answered busy: {found.busy}",
                f"  redelivery after a crash: {redelivery}; lease + poll is"
                f" {self.course.lease_seconds + self.course.poll_seconds:.1f} s",
                *(f"  FAILED {problem}" for problem in self.problems),
            )
        )


class Director:
    """Start everybody, kill by the seed, and replace whoever was killed."""

    def __init__(self, played: Scene, course: Course) -> None:
        self.scene = played
        self.course = course
        self.chance = random.Random(course.seed)
        self._count = 0

    def play(self) -> None:
        """All cycles, then the end: everything that was committed is delivered."""
        for victim, count in (
            (Victim.RECEIVER, 1),
            (Victim.WORKER, self.course.workers),
            (Victim.PRODUCER, self.course.producers),
        ):
            for _ in range(count):
                self._start(victim)
        for _ in range(self.course.cycles):
            self._cycle()
        self.scene.stop(Victim.PRODUCER)
        waited(lambda: not self.scene.unsent(), seconds=END_SECONDS)  # what is left is named by the verdict
        self.scene.stop(Victim.WORKER)

    def _cycle(self) -> None:
        self.scene.spare_producers(above=BACKLOG)
        self._replace(self._loaded_worker())
        for victim in (Victim.PRODUCER, Victim.RECEIVER):
            if self.chance.random() < OTHERS:
                time.sleep(self.chance.uniform(0.0, 0.2))
                self._replace(self.chance.choice(self.scene.living(victim)))
        self.scene.until(self.scene.is_served, what="the receiver")
        time.sleep(self.chance.uniform(0.2, 0.6))

    def _loaded_worker(self) -> Actor:
        """A worker that has rows in its hands, a moment later; which moment is the seed's."""
        order = self.chance.random()
        found: list[Actor] = []

        def somebody_has_rows() -> bool:
            claimed = self.scene.claimed()
            found[:] = [actor for actor in self.scene.living(Victim.WORKER) if actor.name in claimed]
            return bool(found)

        self.scene.until(somebody_has_rows, what="a worker with claimed rows")
        time.sleep(self.chance.uniform(0.0, 0.05))
        return found[int(order * len(found))]

    def _replace(self, actor: Actor) -> None:
        self.scene.kill(actor)
        self._start(actor.victim)

    def _start(self, victim: Victim) -> None:
        self._count += 1
        name, seed = f"{victim}-{self._count}", self.course.seed * 1_000 + self._count
        if victim is Victim.WORKER:
            self.scene.worker(name)
        elif victim is Victim.PRODUCER:
            self.scene.producer(name, seed=seed, rate=self.course.rate)
        else:
            self.scene.receiver(name, seed=seed)


def run(course: Course, *, database: str, folder: Path) -> Ran:
    """Run *course* on *database*: `sqlite` or `postgres`."""
    begun = time.monotonic()
    with scene(
        database,
        folder,
        lease_seconds=course.lease_seconds,
        poll_seconds=course.poll_seconds,
        has_breaker=course.has_breaker,
    ) as played:
        Director(played, course).play()
        facts = played.facts()
    return Ran(
        course=course,
        database=database,
        seconds=time.monotonic() - begun,
        facts=facts,
        problems=problems(facts),
        figures=figures(facts),
    )
