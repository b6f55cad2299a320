"""What one worker holds: the rows it has claimed, which of them are handed out, and what is not settled yet.

Bookkeeping without I/O; one thread owns it. Invariants: a job is queued, handed out, or waiting to be
settled, and in no two of them; jobs are handed out one endpoint after the other; slow endpoints together
never hold more than their share of the threads. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from webhooks_core.endpoint import EndpointId
from webhooks_core.outbox.base import Claimed, Settled
from webhooks_core.worker.policy import AHEAD_SECONDS, WorkerPolicy

SOON_SHARE = 0.1  # leases that would be renewed within a tenth of one share a call
PACE_SHARE = 1 / 16  # of the last attempt, in what an attempt takes


class Job:
    """One claim in a worker's hands; times are the worker's monotonic clock.

    `until` is when the lease ends, `started_at` when a thread began the attempt, `store_ahead` the store's
    clock minus the monotonic one as known then, `is_lost` that somebody else owns the row by now. They are
    written by one thread and read by another; each is a single value.
    """

    __slots__ = ("claimed", "is_lost", "started_at", "store_ahead", "until")

    def __init__(self, claimed: Claimed, *, until: float) -> None:
        self.claimed = claimed
        self.until = until
        self.started_at: float | None = None
        self.store_ahead: float | None = None
        self.is_lost = False

    @property
    def endpoint_id(self) -> EndpointId:
        """Where it goes."""
        return self.claimed.delivery.endpoint_id


class Desk:
    """Keep jobs by endpoint.

    Args:
        policy: How many may be handed out.
        is_alone: There is only one endpoint.
    """

    def __init__(self, policy: WorkerPolicy, *, is_alone: bool) -> None:
        self.policy = policy
        self.is_alone = is_alone
        self.unsettled: deque[Settled] = deque()
        self.unsettled_since = 0.0
        self._jobs: dict[str, Job] = {}
        self._leases: Counter[float] = Counter()  # how many jobs end when: a claim's all end at once
        self._queues: dict[EndpointId, deque[Job]] = {}
        self._out: dict[EndpointId, list[Job]] = {}
        self._slow: set[EndpointId] = set()
        self._out_count = 0
        self._pace = AHEAD_SECONDS  # what an attempt takes; before the first one as many ahead as threads

    @property
    def held(self) -> int:
        """Jobs that are queued or handed out."""
        return len(self._jobs) - len(self.unsettled)

    def __len__(self) -> int:
        """Return how many claims are in this worker's hands, the unsettled ones included."""
        return len(self._jobs)

    def held_for(self, name: EndpointId) -> int:
        """Return how many jobs of one endpoint are queued or handed out."""
        return len(self._queues.get(name, ())) + len(self._out.get(name, ()))

    def is_slow(self, name: EndpointId, *, now: float) -> bool:
        """Return whether an attempt at the endpoint took, or takes, longer than `slow_seconds`."""
        limit = now - self.policy.slow_seconds
        out = self._out.get(name, ())
        return name in self._slow or any(job.started_at is not None and job.started_at < limit for job in out)

    def renew_at(self) -> float | None:
        """Return when the first lease is to be renewed."""
        return self.policy.lease.renew_at(min(self._leases)) if self._leases else None

    def to_renew(self, *, now: float) -> list[Job]:
        """Return the jobs whose leases are to be renewed, and those that would be within a moment."""
        lease = self.policy.lease
        soon = now + lease.seconds * SOON_SHARE
        return [job for job in self._jobs.values() if not job.is_lost and lease.renew_at(job.until) <= soon]

    def renewed(self, job: Job, *, until: float) -> None:
        """Note that the lease of *job* ends later now."""
        if not job.is_lost:
            self._leave(job)
            self._leases[until] += 1
        job.until = until

    def lose(self, job: Job) -> None:
        """Note that somebody else owns the row of *job*; where no thread has it, it is forgotten."""
        self._leave(job)
        job.is_lost = True
        if job in self._queues.get(job.endpoint_id, ()):
            self.forget(job)

    def take_in(self, claims: Iterable[Claimed], *, until: float) -> None:
        """Queue fresh claims whose leases end at *until*."""
        for claimed in claims:
            job = Job(claimed, until=until)
            self._jobs[claimed.token] = job
            self._leases[until] += 1
            self._queues.setdefault(job.endpoint_id, deque()).append(job)

    def hand_out(self, *, now: float) -> list[Job]:
        """Return the jobs that threads should begin now, one endpoint after the other."""
        handed: list[Job] = []
        slots = self.policy.slots_for(self._pace)
        # Of an endpoint that is alone it does not matter, and it may have many jobs to look at.
        slow = set() if self.is_alone else {name for name in self._out if self.is_slow(name, now=now)}
        busy_slow = sum(len(self._out[name]) for name in slow)
        waiting = [name for name, queue in self._queues.items() if queue]
        while waiting and self._out_count < slots:
            still_waiting = []
            for name in waiting:
                is_slow = name in slow
                job = self._next_of(name, is_slow=is_slow, busy_slow=busy_slow, now=now)
                if job is None:
                    continue
                handed.append(job)
                busy_slow += is_slow
                still_waiting.append(name)
                if self._out_count >= slots:
                    break
            waiting = still_waiting
        self._rotate()
        return handed

    def came_back(self, job: Job, settled: Settled | None, *, now: float) -> None:
        """Take a job back from its thread: settled, or (None) not begun, which queues it again."""
        name = job.endpoint_id
        self._out[name].remove(job)
        self._out_count -= 1
        if job.started_at is not None:
            took = now - job.started_at
            is_quick = took <= self.policy.slow_seconds
            self._pace += (took - self._pace) * PACE_SHARE
            (self._slow.discard if is_quick else self._slow.add)(name)
        if settled is None:
            self._queues.setdefault(name, deque()).appendleft(job)
        else:
            self._add_unsettled(settled, now=now)

    def settle_unsent(self, job: Job, settled: Settled, *, now: float) -> None:
        """Settle a queued job without an attempt."""
        self._queues[job.endpoint_id].remove(job)
        self._add_unsettled(settled, now=now)

    def queued(self) -> list[Job]:
        """Return the jobs that are not handed out."""
        return [job for queue in self._queues.values() for job in queue]

    def forget(self, job: Job) -> None:
        """Let go of a queued job: its lease is lost."""
        self._queues[job.endpoint_id].remove(job)
        self._leave(job)
        del self._jobs[job.claimed.token]

    def settled(self, written: Iterable[Settled], *, now: float) -> None:
        """Forget what was written: the first of `unsettled`."""
        for settled in written:
            self.unsettled.popleft()
            job = self._jobs.pop(settled.claimed.token, None)
            if job is not None:
                self._leave(job)
        self.unsettled_since = now

    def _add_unsettled(self, settled: Settled, *, now: float) -> None:
        if not self.unsettled:
            self.unsettled_since = now
        self.unsettled.append(settled)

    def _next_of(self, name: EndpointId, *, is_slow: bool, busy_slow: int, now: float) -> Job | None:
        """Take the first job of an endpoint off its queue, where the endpoint's share and a lease allow."""
        out = self._out.setdefault(name, [])
        if len(out) >= self.policy.cap(is_slow=is_slow, is_alone=self.is_alone):
            return None
        if is_slow and busy_slow >= self.policy.slow_cap:
            return None
        queue = self._queues[name]
        if not queue or not self.policy.lease.may_start(queue[0].until, now=now):
            return None
        job = queue.popleft()
        out.append(job)
        self._out_count += 1
        return job

    def _leave(self, job: Job) -> None:
        """Count the lease of *job* no longer, unless it was lost before."""
        if job.is_lost:
            return
        self._leases[job.until] -= 1
        if not self._leases[job.until]:
            del self._leases[job.until]

    def _rotate(self) -> None:
        """Begin with another endpoint next time."""
        if self._queues:
            first = next(iter(self._queues))
            self._queues[first] = self._queues.pop(first)
