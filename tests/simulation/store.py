"""The shared stores as one process sees them: real ones, behind calls that fail, and watched by the judge.

A call may raise before it is carried out, in the middle, or after (commit unknown), or the store be down for
a while; the process may die at any of these moments (`stores.py`, `orm.py`). Invariant: what the judge is
told is what the store did, whatever the process was told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from tests.simulation.journal import Crashed
from tests.simulation.judge import Moved
from webhooks_core.breaker import BreakerState, Command, Force, Release, Step, Ticket
from webhooks_core.endpoint import EndpointId
from webhooks_core.outbox.base import Claimed, Outbox, Settled
from webhooks_core.rate import Grant, RatePolicy
from webhooks_core.settlement import Delivery

if TYPE_CHECKING:
    from tests.simulation.process import Process

T = TypeVar("T")


class SimOutbox:
    """One process's door to the shared outbox."""

    def __init__(self, process: Process, real: Outbox) -> None:
        self._process = process
        self._world = process.world
        self._real = real

    def now(self) -> float:
        return self._carried("now", self._real.now)

    def add(
        self, delivery: Delivery, *, ordering_key: str | None = None, due_at: float | None = None
    ) -> None:
        raise NotImplementedError("events are committed by the world")

    def claim(
        self,
        *,
        worker: str,
        limit: int,
        lease_seconds: float,
        endpoints: Mapping[EndpointId, int],
        waiting_before: float | None = None,
    ) -> Sequence[Claimed]:
        def real() -> Sequence[Claimed]:
            claims = self._real.claim(
                worker=worker,
                limit=limit,
                lease_seconds=lease_seconds,
                endpoints=endpoints,
                waiting_before=waiting_before,
            )
            if claims:
                self._world.judge.claimed(
                    list(claims),
                    self._process,
                    self._world.stores.states,
                    now=self._world.loop.now,
                    store_now=self._world.store_clock(),
                )
                self._note("claim", [claimed.delivery.webhook_id[:4] for claimed in claims])
            return claims

        return self._carried("claim", real)

    def renew(self, claims: Sequence[Claimed], *, lease_seconds: float) -> frozenset[str]:
        def real() -> frozenset[str]:
            kept = self._real.renew(claims, lease_seconds=lease_seconds)
            ours = [claimed for claimed in claims if claimed.token in kept]
            until = self._world.store_clock() + lease_seconds
            self._world.judge.renewed(ours, self._process, now=self._world.loop.now, until=until)
            self._note("renew", [claimed.delivery.webhook_id[:4] for claimed in ours])
            return kept

        return self._carried("renew", real)

    def settle(self, settlements: Sequence[Settled]) -> Sequence[bool]:
        def real() -> Sequence[bool]:
            answers = self._real.settle(settlements)
            store_now = self._world.store_clock()
            for settled, taken in zip(settlements, answers, strict=True):
                webhook_id = settled.claimed.delivery.webhook_id
                self._note("settle", [webhook_id[:4], settled.settlement.kind.value, taken])
                if taken:
                    row = self._world.row(webhook_id)
                    self._world.judge.settled(settled, self._process, row, store_now=store_now)
            return answers

        return self._carried("settle", real)

    def next_due(self) -> float | None:
        return self._carried("next_due", self._real.next_due)

    def ready_endpoints(self) -> frozenset[EndpointId]:
        return self._carried("ready_endpoints", self._real.ready_endpoints)

    def foreign(self) -> Mapping[str, int]:
        return self._carried("foreign", self._real.foreign)

    def _carried(self, name: str, real: Callable[[], T]) -> T:
        return self._world.stores.carried(self._process, name, real)

    def _note(self, what: str, details: list[object]) -> None:
        if self._world.trace is not None:
            self._world.note(f"{self._process.label} {what} {' '.join(map(str, details))}")


class SimBreakers:
    """The shared breaker store, as one process sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._real = process.world.stores.breakers_of(process)
        self.policy = self._real.policy

    def apply(self, endpoint_id: str, command: Command, *, now: float, jitter_value: float = 0.0) -> Step:
        return self._process.ask(
            "breaker",
            lambda: self._apply(endpoint_id, command, now, jitter_value),
            Step(state=BreakerState()),
        )

    def state(self, endpoint_id: str, *, now: float) -> BreakerState:
        return self._real.state(endpoint_id, now=now)

    def _apply(self, endpoint_id: str, command: Command, now: float, jitter_value: float) -> Step:
        world = self._world
        before = world.stores.breaker(endpoint_id)
        try:
            step = self._real.apply(endpoint_id, command, now=now, jitter_value=jitter_value)
        except Crashed:
            world.judge.died_telling(endpoint_id, command, world.stores.breaker(endpoint_id))
            raise
        after = world.stores.breaker(endpoint_id)
        moved = Moved(before=before, step=step, after=after, was_away=self._real.was_away)
        world.judge.breaker(endpoint_id, command, moved, store_now=world.store_clock())
        journal = self._process.journal
        if journal is not None and not isinstance(command, (Force, Release)):
            journal.ticket = step.answer if isinstance(step.answer, Ticket) else None
        if step.changes and world.trace is not None:
            world.note(f"breaker {endpoint_id} {' '.join(change.cause for change in step.changes)}")
        return step


class SimRates:
    """The shared rate store, as one process sees it; its world counts what is granted."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._real = process.world.stores.rates()

    def take(self, endpoint_id: EndpointId, wanted: int, *, policy: RatePolicy, now: float) -> Grant:
        def real() -> Grant:
            grant = self._real.take(endpoint_id, wanted, policy=policy, now=now)
            self._world.granted(endpoint_id, grant.count)
            return grant

        return self._world.stores.carried(self._process, "take", real)

    def give_back(self, endpoint_id: EndpointId, unused: int, *, policy: RatePolicy, now: float) -> None:
        def real() -> None:
            self._real.give_back(endpoint_id, unused, policy=policy, now=now)
            self._world.granted(endpoint_id, -unused)

        self._world.stores.carried(self._process, "give_back", real)
