"""What a worker does at its outbox: claim, renew, settle, sweep, beat; each over a guarded line.

No thread and no decision of when: `service.py` asks `plan.py` for that. Invariants: a lease is counted from
before it was asked for; a settlement that cannot be written never keeps the others; where a call failed,
everything in hand stays in hand. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from webhooks_core.endpoint import EndpointId
from webhooks_core.outbox.base import Claimed, Outbox, Settled
from webhooks_core.settlement import Delivered
from webhooks_core.worker.claiming import Claiming, Wishes
from webhooks_core.worker.desk import Desk
from webhooks_core.worker.events import ClaimLost, ClockOff, ForeignRows, WorkerFact
from webhooks_core.worker.link import Link
from webhooks_core.worker.policy import WorkerPolicy


def clock_off(
    store_ahead: float | None, *, clock: Callable[[], float], monotonic: Callable[[], float]
) -> float:
    """Return the store's clock minus *clock*, told by how far the store's is ahead of *monotonic*.

    A wall clock that is set while an attempt runs is seen here; nothing that was planned by it goes astray.
    """
    return 0.0 if store_ahead is None else monotonic() + store_ahead - clock()


class Errands:
    """Go to the outbox for a worker.

    Args:
        worker: Its name.
        outbox: Where to go.
        desk: What it holds.
        policy: How much at a time.
        claiming: How much of each endpoint.
        clock: The sender's, epoch seconds.
        monotonic: Seconds for measuring.
        tell: Told of what happens.
    """

    def __init__(
        self,
        worker: str,
        outbox: Outbox,
        desk: Desk,
        *,
        policy: WorkerPolicy,
        claiming: Claiming,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        tell: Callable[[WorkerFact], None],
    ) -> None:
        self.link = Link(worker, policy, tell=tell, monotonic=monotonic)
        self._worker = worker
        self._outbox = outbox
        self._desk = desk
        self._policy = policy
        self._claiming = claiming
        self._clock = clock
        self._monotonic = monotonic
        self._tell = tell
        self._settle_most = policy.batch
        self._capped: frozenset[EndpointId] = frozenset()
        self.store_ahead: float | None = None  # the store's clock minus our monotonic one
        self.is_rationed = False  # rows are due that a rate keeps back

    def heard(self, settled: Settled, *, now: float) -> None:
        """Note what came of an attempt: it says something of the endpoint's breaker."""
        is_delivered = isinstance(settled.settlement, Delivered)
        self._claiming.heard(settled.claimed.delivery.endpoint_id, is_delivered=is_delivered, now=now)

    def is_capped(self, name: EndpointId) -> bool:
        """Return whether the last claim took all of an endpoint that there was room for."""
        return name in self._capped

    def clock_off(self) -> float:
        """Return the store's clock minus the sender's, as last measured; 0 before the first claim."""
        return clock_off(self.store_ahead, clock=self._clock, monotonic=self._monotonic)

    def settle(self) -> float:
        """Write the oldest settlements, one batch; return when (monotonic) the first is due again."""
        desk = self._desk
        batch = list(islice(desk.unsettled, self._settle_most))
        answers = self.link.ask("settle", lambda: self._outbox.settle(batch))
        if answers is None:
            # One that cannot be written must not keep the others: from here on one by one, in turn.
            if len(batch) == 1:
                desk.unsettled.rotate(-1)
            self._settle_most = 1
            return math.inf
        now = self._monotonic()
        self._settle_most = min(self._policy.batch, self._settle_most * 2)
        desk.settled(batch, now=now)
        soonest = math.inf
        for settled, is_ours in zip(batch, answers, strict=True):
            due_at = settled.after().due_at
            if not is_ours:
                self._tell_lost(settled.claimed)
            elif due_at is not None:
                soonest = min(soonest, due_at)
        return now + max(0.0, soonest - self._store_now())

    def renew(self) -> None:
        """Renew the leases that need it; what is another's by now is let go."""
        asked_at = self._monotonic()
        jobs = self._desk.to_renew(now=asked_at)
        claims = [job.claimed for job in jobs]
        lease = self._policy.lease
        kept = self.link.ask("renew", lambda: self._outbox.renew(claims, lease_seconds=lease.seconds))
        if kept is None:
            return
        for job in jobs:
            if job.claimed.token in kept:
                self._desk.renewed(job, until=lease.until(asked_at))
            else:
                self._tell_lost(job.claimed)
                self._desk.lose(job)

    def claim(self, most: int) -> float:
        """Claim up to *most* rows and return when (monotonic) to claim again."""
        now = self._monotonic()
        wishes = self.link.ask("rates", lambda: self._claiming.wishes(self._desk, now=now), is_proof=False)
        if wishes is None:
            return now
        caps = {name: count for name, count in wishes.rooms.items() if count > 0}
        claims = self._claimed(most, caps) if caps else ()
        taken: dict[EndpointId, int] = {}
        for claimed in claims or ():
            name = claimed.delivery.endpoint_id
            taken[name] = taken.get(name, 0) + 1
        if not self._gave_back(wishes, taken) or claims is None:
            return now
        full = {name for name, count in caps.items() if taken.get(name) == count}
        self._capped = frozenset(full | wishes.capped)
        if full or len(claims) == most:
            return now
        ready = self.link.ask("ready_endpoints", self._outbox.ready_endpoints) if wishes.rationed else None
        self.is_rationed = bool(ready and ready & wishes.rationed)
        return self._look_again_at(wishes, caps, now=now)

    def _gave_back(self, wishes: Wishes, taken: Mapping[EndpointId, int]) -> bool:
        def given_back() -> bool:
            self._claiming.unused(wishes, taken)
            return True

        # Tokens that cannot be given back are lost, which costs nobody a delivery.
        return self.link.ask("rates", given_back, is_proof=False) is not None

    def sweep(self) -> bool:
        """Look for what no claim finds (no such endpoint, too old, foreign); True where it was claimed."""
        for environment, count in (self.link.ask("foreign", self._outbox.foreign) or {}).items():
            self._tell(ForeignRows(worker=self._worker, environment=environment, count=count))
        store_now = self._measured()
        ready = self.link.ask("ready_endpoints", self._outbox.ready_endpoints)
        if store_now is None or ready is None:
            return False
        if abs(self.clock_off()) > self._policy.say_off_seconds:
            self._tell(ClockOff(worker=self._worker, seconds=self.clock_off()))
        batch = self._policy.batch
        unknown = dict.fromkeys(sorted(self._claiming.unknown(ready)), batch)
        refused = dict.fromkeys(self._claiming.refused(ready), batch)
        found = self._claimed(batch, unknown) if unknown else ()
        before = store_now - self._policy.max_age_seconds
        aged = self._claimed(batch, refused, waiting_before=before) if refused else ()
        return bool(found or aged)

    def _look_again_at(self, wishes: Wishes, caps: Mapping[EndpointId, int], *, now: float) -> float:
        """Return the earliest of: the poll, what a breaker or a rate said, the next row that is due."""
        moments = [now + self._policy.poll_seconds, wishes.again_at]
        due = self.link.ask("next_due", lambda: (self._outbox.next_due(),)) if caps else None
        if due is not None and due[0] is not None:
            wait = due[0] - self._store_now()
            if wait <= 0 and self._measured() is not None:  # due, and not claimed: was that clock set?
                wait = due[0] - self._store_now()
            moments.append(now + max(0.0, wait))
        return min(moments)

    def _store_now(self) -> float:
        return self._clock() + self.clock_off()

    def _measured(self) -> float | None:
        """Ask the store for its clock, and remember how far it is ahead of ours."""
        asked_at = self._monotonic()
        store_now = self.link.ask("now", self._outbox.now)
        if store_now is not None:
            self.store_ahead = store_now - (asked_at + self._monotonic()) / 2
        return store_now

    def _claimed(
        self, most: int, caps: Mapping[EndpointId, int], *, waiting_before: float | None = None
    ) -> Sequence[Claimed] | None:
        lease = self._policy.lease
        asked_at = self._monotonic()
        claims = self.link.ask(
            "claim",
            lambda: self._outbox.claim(
                worker=self._worker,
                limit=most,
                lease_seconds=lease.seconds,
                endpoints=caps,
                waiting_before=waiting_before,
            ),
        )
        if claims:
            # Half-way between asking and hearing, the store's clock stood at the lease's beginning.
            middle = (asked_at + self._monotonic()) / 2
            self.store_ahead = claims[0].lease_until - lease.seconds - middle
            self._desk.take_in(claims, until=lease.until(asked_at))
        return claims

    def _tell_lost(self, claimed: Claimed) -> None:
        delivery = claimed.delivery
        self._tell(
            ClaimLost(worker=self._worker, endpoint=delivery.endpoint_id, webhook_id=delivery.webhook_id)
        )
