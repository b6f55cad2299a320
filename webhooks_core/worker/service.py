"""A worker: `step` does what is due, `hand_out` says what to attempt; `begin`, `attempt`, then `came_back`.

A service over ports (`Outbox`, `Sender`, `BreakerStore`, `RateStore`), without a thread: `engines/worker.py`
puts threads around it, the simulation callbacks. All methods but `begin` and `attempt` belong to one thread,
and are decided by `plan.py` and kept by `desk.py`. Invariants: an attempt starts only under a lease with half
of it left; every claim ends settled, given back, or with its lease run out. Explained in
docs/explanation/outbox.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from webhooks_core.delivery import Sender
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.events import emit
from webhooks_core.outbox.base import Outbox, Settled
from webhooks_core.settlement import Waiting
from webhooks_core.stores.breakers import BreakerStore
from webhooks_core.worker.attempting import Attempter
from webhooks_core.worker.claiming import Claiming
from webhooks_core.worker.desk import Desk, Job
from webhooks_core.worker.errands import Errands, clock_off
from webhooks_core.worker.events import WorkerFact, WorkerObserver
from webhooks_core.worker.plan import Phase, View, plan
from webhooks_core.worker.policy import WorkerPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """What a heartbeat tells."""

    worker: str
    phase: Phase
    held: int
    unsettled: int


Heartbeat = Callable[[WorkerStatus], None]


class Worker:
    """Claim, attempt and settle; see the module.

    Args:
        outbox: Where deliveries are kept.
        sender: Makes the attempts, and has the clock.
        endpoints: By id; looking one up may raise, knowing the ids may not.
        breakers: Asked, before a claim, which endpoints could be sent to.
        name: For people to read: host and process, say.
        policy: How it behaves.
        claiming: How much of each endpoint to claim; by default without rate caps.
        heartbeat: Told at most every `beat_seconds`; what it raises counts as a failure of the outbox.
        observer: Told of what happens to the worker; the sender tells of deliveries.
        monotonic: Seconds for measuring.
    """

    def __init__(  # noqa: PLR0913 - its ports, and the world's defaults by keyword
        self,
        outbox: Outbox,
        sender: Sender,
        endpoints: Mapping[EndpointId, Endpoint],
        *,
        breakers: BreakerStore,
        name: str,
        policy: WorkerPolicy | None = None,
        claiming: Claiming | None = None,
        heartbeat: Heartbeat | None = None,
        observer: WorkerObserver | None = None,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - a service's default
    ) -> None:
        self.name = name
        self.policy = WorkerPolicy() if policy is None else policy
        self.phase = Phase.RUNNING
        self._sender = sender
        self._observer = observer
        self._heartbeat = heartbeat
        self._monotonic = monotonic
        self._desk = Desk(self.policy, is_alone=len(endpoints) <= 1)
        if claiming is None:
            claiming = Claiming(endpoints, breakers, self.policy, clock=sender.clock)
        self._errands = Errands(
            name,
            outbox,
            self._desk,
            policy=self.policy,
            claiming=claiming,
            clock=sender.clock,
            monotonic=monotonic,
            tell=self.tell,
        )
        self.link = self._errands.link
        self._attempter = Attempter(sender, endpoints, max_off_seconds=self.policy.max_off_seconds)
        now = monotonic()
        self._claim_at = self._sweep_at = self._beat_at = now
        self._drain_until = math.inf

    # --- what the shell calls ---------------------------------------------------------------------------

    def step(self) -> float:
        """Do what is due now, and return when to step again (monotonic) if nothing else happens."""
        todo = plan(self._view(), self.policy, now=self._monotonic())
        actions = (
            (todo.settle, self._settle),
            (todo.renew, self._errands.renew),
            (todo.claim > 0, lambda: self._claim(todo.claim)),
            (todo.sweep, self._sweep),
            (todo.beat, self._beat),
        )
        for is_due, action in actions:
            if is_due and not self._is_backing_off():
                action()
        return plan(self._view(), self.policy, now=self._monotonic()).wake_at

    def hand_out(self) -> list[Job]:
        """Return the jobs that threads should attempt now; each comes back through `came_back`."""
        return self._desk.hand_out(now=self._monotonic()) if self.phase is Phase.RUNNING else []

    def begin(self, job: Job) -> bool:
        """Return whether an attempt may start now, and if so note that it does. From any thread."""
        now = self._monotonic()
        if self.phase is not Phase.RUNNING or job.is_lost:
            return False
        if not self.policy.lease.may_start(job.until, now=now):
            return False
        job.started_at, job.store_ahead = now, self._errands.store_ahead
        return True

    def attempt(self, job: Job) -> Settled:
        """Attempt a job that was begun. From any thread; it never raises."""
        off = self._clock_off(job)
        settlement = self._attempter.settlement(job.claimed, clock_off=off)
        return Settled(claimed=job.claimed, settlement=settlement, skew_seconds=self._clock_off(job))

    def came_back(self, job: Job, settled: Settled | None) -> None:
        """Note what `attempt` returned for *job*, or None where it was not begun."""
        now = self._monotonic()
        self._desk.came_back(job, settled, now=now)
        if settled is not None:
            self._errands.heard(settled, now=now)
        if settled is None and job.is_lost:
            self._desk.forget(job)
        elif settled is None and self.phase is not Phase.RUNNING:
            self._give_back(job)
        if self._errands.is_capped(job.endpoint_id):
            self._claim_at = now

    def hint(self) -> None:
        """Look for new rows now: somebody says that there are some."""
        self._claim_at = self._monotonic()

    def drain(self) -> None:
        """Claim nothing more, give back what is not begun, and end when the attempts have ended."""
        if self.phase is not Phase.RUNNING:
            return
        self.phase = Phase.DRAINING
        self._drain_until = self._monotonic() + self.policy.drain_seconds
        for job in self._desk.queued():
            self._give_back(job)

    def resume(self) -> None:
        """Claim again, after a `drain` that has ended."""
        self.phase, self._drain_until = Phase.RUNNING, math.inf

    def stop(self) -> None:
        """End now; what is in hand is left to its leases."""
        self.phase = Phase.STOPPED

    def is_finished(self) -> bool:
        """Return whether the worker has ended: stopped, or drained, or its time to drain is over."""
        if self.phase is Phase.DRAINING:
            return not len(self._desk) or self._monotonic() >= self._drain_until
        return self.phase is Phase.STOPPED

    @property
    def left(self) -> int:
        """How many claims are in this worker's hands."""
        return len(self._desk)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in hand and the last claim found nothing that is due, or kept back by a rate."""
        looked = not self.link.is_down and self._claim_at > self._monotonic()
        return looked and not len(self._desk) and not self._errands.is_rationed

    def tell(self, fact: WorkerFact) -> None:
        """Tell the observer."""
        emit(self._observer, fact)

    # --- what is due ------------------------------------------------------------------------------------

    def _view(self) -> View:
        desk = self._desk
        return View(
            phase=self.phase,
            held=desk.held,
            unsettled=len(desk.unsettled),
            unsettled_since=desk.unsettled_since,
            renew_at=desk.renew_at(),
            claim_at=self._claim_at,
            sweep_at=self._sweep_at,
            beat_at=self._beat_at if self._heartbeat is not None else math.inf,
            retry_at=self.link.retry_at if self.link.is_down else 0.0,
            drain_until=self._drain_until,
        )

    def _clock_off(self, job: Job) -> float:
        return clock_off(job.store_ahead, clock=self._sender.clock, monotonic=self._monotonic)

    def _is_backing_off(self) -> bool:
        return self.link.is_down and self._monotonic() < self.link.retry_at

    def _settle(self) -> None:
        # A retry may be due before the moment at which the last claim meant to look again.
        self._claim_at = min(self._claim_at, self._errands.settle())

    def _claim(self, most: int) -> None:
        self._claim_at = self._errands.claim(most)

    def _sweep(self) -> None:
        found = self._errands.sweep()
        wait = self.policy.poll_seconds if found else self.policy.sweep_seconds
        self._sweep_at = self._monotonic() + wait

    def _beat(self) -> None:
        self._beat_at = self._monotonic() + self.policy.beat_seconds
        beat, desk = self._heartbeat, self._desk
        assert beat is not None  # a view without one is never due to beat
        status = WorkerStatus(
            worker=self.name, phase=self.phase, held=desk.held, unsettled=len(desk.unsettled)
        )
        self.link.ask("heartbeat", lambda: (beat(status),))

    def _give_back(self, job: Job) -> None:
        """Settle a job that was not begun as waiting for nothing: anybody may take it at once."""
        settlement = Waiting(
            delivery=job.claimed.delivery, reason="worker stops", retry_at=self._sender.clock()
        )
        settled = Settled(claimed=job.claimed, settlement=settlement, skew_seconds=self._errands.clock_off())
        self._desk.settle_unsent(job, settled, now=self._monotonic())
