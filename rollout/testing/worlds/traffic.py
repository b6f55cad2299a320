"""What happens in a simulated world: deliveries to its receivers, minute by minute.

A receiver to which nothing happens is simulated by the counts of its minute; around a fault or a restart it
is simulated delivery by delivery, behind its breaker. The invariant: the same world and seed give the same
traffic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import NamedTuple

from rollout.testing.worlds.chance import Chance
from rollout.testing.worlds.receiver import FAST_TIER_SECONDS, Clump, Health, Receiver

__all__ = ["Ended", "Fault", "Texture", "Traffic", "World"]

#: Failures of a clump, on average.
CLUMP = 2.0
# A receiver is simulated delivery by delivery from so long before anything happens to it, so that its breaker
# knows its last two minutes.
_LEAD_MINUTES = 3
# Of the failures that are no fault's: three of four are answers.
_ANSWERED = 0.75
_RESTART_SECONDS = (10.0, 40.0)


class Texture(StrEnum):
    """How the failures of a world lie in time; on average they are as many."""

    #: Each delivery for itself.
    INDEPENDENT = "independent"
    #: Half of them in restarts of 10 to 40 s, in which a receiver does not answer.
    BURSTY = "bursty"
    #: The success rate of all receivers moves together from hour to hour, up and down by the world's *wave*.
    CORRELATED = "correlated"
    #: They come in clumps of one receiver, two at a time on average, often more.
    CLUMPED = "clumped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that happens to the first *endpoints* of a world (None: to all).

    It begins at *begins*, and up to a minute later: nothing says that a fault begins with a minute. Times in
    seconds since the world began.
    """

    health: Health
    begins: float = 7_200.0
    lasts: float = inf
    endpoints: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Deliveries at *per_minute* (0 to 700), over all *endpoints* together, for *hours*.

    `wave` is for the correlated texture: how far the success rate goes up and down from hour to hour.
    """

    name: str
    per_minute: float
    hours: float = 120.0
    endpoints: int = 1
    success: float = 0.96
    texture: Texture = Texture.INDEPENDENT
    wave: float = 0.01
    fault: Fault | None = None
    has_breaker: bool = True


class Ended(NamedTuple):
    """Something that ended: when (seconds), at which endpoint, and what it adds to its row."""

    at: float
    endpoint: str
    counts: Mapping[str, int]


class Traffic:
    """One world under way. Ask for its minutes in order."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._chance = Chance(f"{world.name}:{seed}")
        self._rate = world.per_minute / world.endpoints
        shared = Clump()
        self._receivers = [Receiver(self._chance, world.has_breaker, shared) for _ in range(world.endpoints)]
        self._restarts = [self._restart_times() for _ in range(world.endpoints)]
        self._restart = [next(times) for times in self._restarts]
        self._success = world.success
        #: When the fault begins, seconds; infinity where there is none.
        self.fault_at = world.fault.begins + self._chance.between(0.0, 60.0) if world.fault else inf

    def minute(self, minute: int) -> list[Ended]:
        """Return what ended in *minute*; in a quiet one, all of it at its beginning."""
        if self._world.texture is Texture.CORRELATED and minute % 60 == 0:
            self._success = self._world.success + self._chance.between(-self._world.wave, self._world.wave)
        watched = [number for number in range(len(self._receivers)) if self._is_watched(number, minute)]
        ended = list(self._one_by_one(watched, minute))
        for number, receiver in enumerate(self._receivers):
            if number not in watched and (counts := self._at_once()):
                ended.append(Ended(minute * 60.0, f"e{number}", counts))
            if receiver.is_open:
                ended.append(Ended(minute * 60.0 + 59.0, f"e{number}", {"open_seconds": 60}))
        return ended

    def _is_watched(self, number: int, minute: int) -> bool:
        soon, past = (minute + _LEAD_MINUTES) * 60.0, (minute - _LEAD_MINUTES) * 60.0
        if self._world.fault and self.fault_at <= soon and past <= self.fault_at + self._world.fault.lasts:
            return True
        if self._restart[number][1] < past:
            self._restart[number] = next(self._restarts[number])
        return self._restart[number][0] <= soon or self._receivers[number].is_open

    def _restart_times(self) -> Iterator[tuple[float, float]]:
        """Give (begin, end) of one endpoint's restarts, in seconds."""
        begin, mean = 0.0, sum(_RESTART_SECONDS) / 2 - FAST_TIER_SECONDS
        while self._world.texture is Texture.BURSTY:
            # A restart costs what arrives in it but for its last 6 s; half of all failures are theirs.
            begin += self._chance.wait(1.0) * mean / ((1.0 - self._world.success) / 2)
            yield begin, begin + self._chance.between(*_RESTART_SECONDS)
        while True:
            yield inf, inf

    def _at_once(self) -> dict[str, int]:
        failing = self._rate * (1.0 - self._quiet_success())
        ok, answered = self._chance.count(self._rate - failing), self._failures(failing * _ANSWERED)
        lost = self._failures(failing * (1.0 - _ANSWERED))
        failed = answered + lost
        if not (ok or failed):
            return {}
        return {"ok": ok, "latency_28": ok, "attempts": ok + 3 * failed, "unanswered": 3 * lost,
                "failed_server_error": answered, "failed_connection_error": lost, "met_5xx": answered,
                "retried": failed, "dispatch_04": ok + failed, "envelopes": ok + failed}  # fmt: skip

    def _failures(self, mean: float) -> int:
        if self._world.texture is not Texture.CLUMPED:
            return self._chance.count(mean)
        clumps = failures = self._chance.count(mean / CLUMP)
        for _ in range(clumps):
            while self._chance.happens(1.0 - 1.0 / CLUMP):
                failures += 1
        return failures

    def _quiet_success(self) -> float:
        """Return the success rate beside restarts."""
        bursty = self._world.texture is Texture.BURSTY
        return (1.0 + self._success) / 2 if bursty else self._success

    def _one_by_one(self, watched: Sequence[int], minute: int) -> Iterator[Ended]:
        """Send the deliveries of these receivers in the order of time."""
        start = minute * 60.0
        arrivals = [
            (start + 60.0 * self._chance.share(), number)
            for number in watched
            for _ in range(self._chance.count(self._rate))
        ]
        for at, number in sorted(arrivals):
            for when, counts in self._receivers[number].send(at, self._health(number, at)):
                yield Ended(when, f"e{number}", counts)
        for number in watched:
            for when, counts in self._receivers[number].end(start + 60.0):
                yield Ended(when, f"e{number}", counts)

    def _health(self, number: int, at: float) -> Health:
        fault, (begin, end) = self._world.fault, self._restart[number]
        hit = fault is not None and (fault.endpoints is None or number < fault.endpoints)
        if fault and hit and self.fault_at <= at < self.fault_at + fault.lasts - FAST_TIER_SECONDS:
            return fault.health
        if begin <= at < end - FAST_TIER_SECONDS:
            return Health(success=0.0, is_answering=False)
        clump = CLUMP if self._world.texture is Texture.CLUMPED else 1.0
        return Health(
            success=self._quiet_success(), is_answering=self._chance.happens(_ANSWERED), clump=clump
        )
