"""How many rows of each endpoint a worker asks for: its share of the threads, its breaker, its rate.

Invariants: nothing is claimed for an endpoint whose breaker would refuse, as far as is known (a closed one is
asked for again after 5 s in which nothing was delivered, or when an attempt did not deliver: a store may be a
round trip away); of a half-open one at most a probe; tokens that were taken and not needed go back. Explained
in docs/explanation/outbox.md.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.rate import RatePolicy
from webhooks_core.stores.breakers import BreakerStore
from webhooks_core.stores.rates import MemoryRateStore, RateStore
from webhooks_core.worker.desk import Desk
from webhooks_core.worker.plan import Admission, admission, room
from webhooks_core.worker.policy import WorkerPolicy

LEAST_WAIT_SECONDS = 0.05  # moments of a store whose clock is not ours must not make us spin
SURE_SECONDS = 5.0  # another worker may have opened a breaker; a batch that it refuses waits, unattempted

RateOf = Callable[[EndpointId], RatePolicy | None]


def no_rate(endpoint_id: EndpointId) -> None:
    """Cap nobody's rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What to claim.

    `rooms` has every endpoint in the order of this claim; `capped` are those whose share of this worker is
    full: when a job of theirs comes back there is room. `again_at` (monotonic) is when a breaker or a rate
    may let more through. `rates` are the policies by which tokens were taken, `rationed` the endpoints whose
    rate granted none.
    """

    rooms: Mapping[EndpointId, int]
    capped: frozenset[EndpointId] = frozenset()
    again_at: float = math.inf
    rationed: frozenset[EndpointId] = frozenset()
    rates: Mapping[EndpointId, RatePolicy] = field(default_factory=dict)


class Claiming:
    """Say how much of each endpoint to claim.

    Args:
        endpoints: Those that are known.
        breakers: Asked for states, never for tickets.
        policy: The shares.
        rates: Where token buckets are kept.
        rate_of: The rate of an endpoint at this moment; None is uncapped.
        clock: Epoch seconds, as the sender's.
    """

    def __init__(
        self,
        endpoints: Mapping[EndpointId, Endpoint],
        breakers: BreakerStore,
        policy: WorkerPolicy,
        *,
        clock: Callable[[], float],
        rates: RateStore | None = None,
        rate_of: RateOf = no_rate,
    ) -> None:
        self._order = deque(endpoints)
        self._breakers = breakers
        self._policy = policy
        self._clock = clock
        self._rates = MemoryRateStore() if rates is None else rates
        self._rate_of = rate_of
        self._sure_until: dict[EndpointId, float] = {}  # monotonic; of breakers that were closed when asked

    def wishes(self, desk: Desk, *, now: float) -> Wishes:
        """Return what to claim at *now* (monotonic), given what is on the *desk*."""
        wall = self._clock()
        rooms: dict[EndpointId, int] = {}
        rates: dict[EndpointId, RatePolicy] = {}
        capped, rationed, retry_ats = set(), set(), [math.inf]
        for name in self._order:
            admits = self._admits(name, wall, now=now)
            wanted = room(
                self._policy,
                held=desk.held_for(name),
                is_slow=desk.is_slow(name, now=now),
                is_alone=desk.is_alone,
                most=admits.most,
            )
            if wanted == 0 and admits.most != 0:
                capped.add(name)
            if admits.retry_at is not None:
                retry_ats.append(admits.retry_at)
            rate = self._rate_of(name) if wanted else None
            if rate is not None:
                grant = self._rates.take(name, wanted, policy=rate, now=wall)
                wanted, rates[name] = grant.count, rate
                if grant.retry_at is not None and not wanted:
                    rationed.add(name)
                    retry_ats.append(grant.retry_at)
            rooms[name] = wanted
        self._order.rotate(-1)
        again_at = now + max(LEAST_WAIT_SECONDS, min(retry_ats) - wall)
        return Wishes(
            rooms=rooms,
            capped=frozenset(capped),
            again_at=again_at,
            rationed=frozenset(rationed),
            rates=rates,
        )

    def unused(self, wishes: Wishes, taken: Mapping[EndpointId, int]) -> None:
        """Give back the tokens of rows that were not there."""
        for name, rate in wishes.rates.items():
            left = wishes.rooms[name] - taken.get(name, 0)
            if left > 0:
                self._rates.give_back(name, left, policy=rate, now=self._clock())

    def unknown(self, names: Collection[EndpointId]) -> frozenset[EndpointId]:
        """Return those of *names* that are no endpoint's."""
        return frozenset(names) - frozenset(self._order)

    def refused(self, names: Collection[EndpointId]) -> list[EndpointId]:
        """Return those of *names* whose breaker lets nothing through."""
        wall = self._clock()
        return [name for name in self._order if name in names and self._admission(name, wall).most == 0]

    def heard(self, name: EndpointId, *, is_delivered: bool, now: float) -> None:
        """Note what came of an attempt: its breaker let it through, or is to be asked at the next claim."""
        if not is_delivered:
            self._sure_until.pop(name, None)
        elif name in self._sure_until:
            self._sure_until[name] = now + SURE_SECONDS

    def _admits(self, name: EndpointId, wall: float, *, now: float) -> Admission:
        if now < self._sure_until.get(name, -math.inf):
            return Admission(most=None)
        admits = self._admission(name, wall)
        if admits.most is None:
            self._sure_until[name] = now + SURE_SECONDS
        return admits

    def _admission(self, name: EndpointId, wall: float) -> Admission:
        return admission(self._breakers.policy, self._breakers.state(name, now=wall), now=wall)
