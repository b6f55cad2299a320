"""A worker process: the real `Worker` with the real `Sender`, its threads as callbacks on the loop.

What `engines/worker.py` does with threads and queues, this does with events: step, hand out, begin, attempt,
came back. It can die, be paused, be told to drain, and have its wall clock set. Invariants: after its death
it does nothing, to no store; a paused process does everything later, and nothing meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from tests.simulation.journal import Crashed, Journal, Suspended
from tests.simulation.judge import LEASE
from tests.simulation.store import SimBreakers, SimOutbox, SimRates
from tests.simulation.stores import hits
from webhooks_core.delivery import Delivery, Permit, PermitVerdict, Sender
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.outbox.base import Settled
from webhooks_core.transport.base import Request, Response
from webhooks_core.worker.claiming import Claiming
from webhooks_core.worker.desk import Job
from webhooks_core.worker.service import Worker

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")
TICK = 0.001  # a step takes a moment: nothing happens twice at one and the same


class Process:
    """One worker process. *name* is what it calls itself; *label* tells it from others of the same name."""

    def __init__(self, world: World, name: str, label: str) -> None:
        self.world = world
        self.name = name
        self.label = label
        self.is_dead = False
        self.is_paused_until = 0.0
        self.clock_ahead = 0.0
        self.journal: Journal | None = None
        self._todo: deque[Job] = deque()
        self._busy = 0
        self._turn_at = float("inf")
        self._turn = 0
        self._loop = world.loop
        self._booted = world.rng.random() * 1000 - world.start
        breakers = SimBreakers(self)
        sender = Sender(
            _Wire(self),
            breakers,
            world.retry,
            permit=self._permit,
            max_age_seconds=world.policy.max_age_seconds,
            clock=self._clock,
            monotonic=self._monotonic,
            rng=lambda: self.ask("rng", world.rng.random, 0.0),
        )
        endpoints = _Endpoints(self, world.endpoints)
        self.worker = Worker(
            SimOutbox(self, world.outbox),
            sender,
            endpoints,
            breakers=breakers,
            name=name,
            policy=world.policy,
            claiming=Claiming(
                endpoints,
                breakers,
                world.policy,
                clock=self.wall,
                rates=SimRates(self),
                rate_of=world.rate_of,
            ),
            monotonic=self._monotonic,
        )
        self.wake()

    # --- clocks and ports -------------------------------------------------------------------------------

    def wall(self) -> float:
        """The wall clock of this process's machine."""
        return self._loop.now + self.clock_ahead

    def monotonic(self) -> float:
        """Seconds since some boot."""
        return self._loop.now + self._booted

    def ask(self, name: str, live: Callable[[], T], void: T) -> T:
        """Ask a port that changes the world: once, and not at all by a process that is dead or suspended."""
        journal = self.journal
        if self.is_dead or (journal is not None and journal.is_void):
            return void
        if journal is not None and journal.is_replaying:
            return journal.ask(name, live)
        self.maybe_crash()
        answer = live() if journal is None else journal.ask(name, live)
        self.maybe_crash()
        return answer

    def maybe_crash(self) -> None:
        """Die here, perhaps."""
        crash = self.world.faults.crash
        if crash and self.world.rng.random() < crash:
            self.crash()

    def crash(self) -> NoReturn:
        """Die here."""
        self.die()
        raise Crashed

    def _clock(self) -> float:
        journal = self.journal
        if journal is None or journal.is_void:
            return self._loop.now + self.clock_ahead
        return journal.ask("clock", self.wall)

    def _monotonic(self) -> float:
        journal = self.journal
        if journal is None or journal.is_void:
            return self._loop.now + self._booted
        return journal.ask("monotonic", self.monotonic)

    def _permit(self, delivery: Delivery) -> Permit:
        return self.ask("permit", self.world.permit, Permit(verdict=PermitVerdict.WAIT))

    # --- life -------------------------------------------------------------------------------------------

    def wake(self, seconds: float = 0.0) -> None:
        """Step after so many seconds, if not earlier."""
        when = self.world.loop.now + max(seconds, TICK)
        if self.is_dead or when >= self._turn_at:
            return
        self._turn_at = when
        self._turn += 1
        turn = self._turn
        self.world.loop.at(when, lambda: self.act(lambda: self._step(turn)))

    def act(self, action: Callable[[], None]) -> None:
        """Do something as this process: not if dead, later if paused, and perhaps to die of it."""
        if self.is_dead:
            return
        if self.world.loop.now < self.is_paused_until:
            self.world.loop.at(self.is_paused_until, lambda: self.act(action))
            return
        try:
            action()
        except Crashed:
            self.world.crashed(self)

    def hint(self) -> None:
        """Somebody says that there are new rows."""
        self.act(self._hinted)

    def _hinted(self) -> None:
        self.worker.hint()
        self.wake()

    def drain(self) -> None:
        """Be asked to stop, as by SIGTERM."""
        self.worker.drain()
        self.wake()

    def die(self) -> None:
        """Die at once, as by `kill -9`."""
        self.is_dead = True
        self.world.note(f"{self.label} dies")

    def _step(self, turn: int) -> None:
        if turn != self._turn:
            return
        self._turn_at = float("inf")
        if self.worker.is_finished():
            self.world.finished(self)
            return
        wake_at = self.worker.step()
        self._todo.extend(self.worker.hand_out())
        self._begin_what_can()
        self.wake(wake_at - self.monotonic())

    def _begin_what_can(self) -> None:
        """Give jobs to idle threads: they wait for none but each other."""
        while self._todo and self._busy < self.worker.policy.threads:
            self._begin(self._todo.popleft())

    def _begin(self, job: Job) -> None:
        if not self.worker.begin(job):
            self._came_back(job, None)
            return
        self._busy += 1
        self.world.judge.begun(job.claimed.delivery.webhook_id, self, now=self.world.loop.now)
        self._attempt(job, Journal())

    def _attempt(self, job: Job, journal: Journal) -> None:
        self.journal = journal
        try:
            settled = self.worker.attempt(job)
        except Suspended:
            self._send(job, journal)
            return
        finally:
            self.journal = None
        self._busy -= 1
        self.world.judge.attempted(settled, now=self.world.loop.now, ticket=journal.ticket)
        self._came_back(job, settled)
        self._begin_what_can()

    def _send(self, job: Job, journal: Journal) -> None:
        request, delivery = journal.request, job.claimed.delivery
        assert request is not None
        world = self.world
        world.judge.sent(
            delivery, request, wall=self.wall(), is_killed=world.is_killed, ticket=journal.ticket
        )

        def resume(result: Response | Exception) -> None:
            world.note(f"{self.label} got {_shown(result)} for {delivery.webhook_id[:4]}")
            journal.again(result)
            self._attempt(job, journal)

        fate = world.network.send(journal, lambda result: self.act(lambda: resume(result)))
        world.note(f"{self.label} sends {delivery.webhook_id[:4]} attempt {delivery.attempt} {fate}")
        if self._todo and hits(world.faults.pause / 2, world.rng.random):
            # Frozen with jobs in hand that no thread has begun: half of their lease may pass.
            self.is_paused_until = world.loop.now + world.rng.random() * LEASE
            world.note(f"{self.label} pauses")
        self.maybe_crash()

    def _came_back(self, job: Job, settled: Settled | None) -> None:
        self.worker.came_back(job, settled)
        self.wake()


class _Wire:
    """The transport of one process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def send(self, request: Request) -> Response:
        journal = self._process.journal
        assert journal is not None
        return journal.send(request)

    def close(self) -> None:
        """Nothing to close."""


class _Endpoints(dict[EndpointId, Endpoint]):
    """Endpoints whose secrets come from somewhere that may be away."""

    def __init__(self, process: Process, endpoints: dict[EndpointId, Endpoint]) -> None:
        super().__init__(endpoints)
        self._process = process

    def __getitem__(self, name: EndpointId) -> Endpoint:
        away = self._process.ask("provider", self._process.world.provider_is_away, False)
        if away:
            raise ConnectionError("no secrets today")
        return super().__getitem__(name)


def _shown(result: Response | Exception) -> str:
    return type(result).__name__ if isinstance(result, Exception) else str(result.status)
