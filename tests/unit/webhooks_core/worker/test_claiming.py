"""How much of each endpoint a worker asks for."""

from __future__ import annotations

import math

from tests.unit.webhooks_core.worker.bench import BOOT, NOW, A, B, Bench, C, policy_of
from webhooks_core.breaker import Admit, BreakerState, Failed, Force, ForcedMode
from webhooks_core.endpoint import EndpointId
from webhooks_core.rate import RatePolicy
from webhooks_core.stores.breakers import BreakerStore
from webhooks_core.worker.claiming import Claiming, no_rate
from webhooks_core.worker.desk import Desk


def open_breaker(bench: Bench, name: str = "a") -> None:
    """Let five deliveries of an endpoint fail."""
    for _ in range(5):
        ticket = bench.breakers.apply(name, Admit(), now=NOW).answer
        bench.breakers.apply(name, Failed(ticket=ticket), now=NOW)  # type: ignore[arg-type]


class Counted:
    """A store of breakers that writes down who was asked for."""

    def __init__(self, breakers: BreakerStore) -> None:
        self.policy = breakers.policy
        self.apply = breakers.apply
        self.names: list[str] = []
        self._breakers = breakers

    def state(self, endpoint_id: str, *, now: float) -> BreakerState:
        """Count and ask."""
        self.names.append(endpoint_id)
        return self._breakers.state(endpoint_id, now=now)


def empty_desk(*, is_alone: bool = False) -> Desk:
    """A desk of four threads and a batch of eight."""
    return Desk(policy_of(), is_alone=is_alone)


def test_asks_for_every_endpoint_and_begins_with_another_each_time() -> None:
    """Half of the threads and a batch for each; the order goes round."""
    claiming = Bench(endpoints="abc").claiming

    orders = [list(claiming.wishes(empty_desk(), now=BOOT).rooms) for _ in range(4)]

    assert orders == [[A, B, C], [B, C, A], [C, A, B], [A, B, C]]
    assert set(claiming.wishes(empty_desk(), now=BOOT).rooms.values()) == {10}


def test_asks_nothing_of_an_open_breaker_before_its_time() -> None:
    """And says when: a minute from now, by its own clock's distance."""
    bench = Bench(endpoints="ab")
    open_breaker(bench)

    wishes = bench.claiming.wishes(empty_desk(), now=BOOT)

    assert dict(wishes.rooms) == {A: 0, B: 10}
    assert wishes.again_at == BOOT + 60
    assert wishes.capped == frozenset()


def test_a_breaker_that_is_closed_is_asked_every_five_seconds() -> None:
    """One that is open, at each claim: whoever closes it is seen at once."""
    bench = Bench(endpoints="ab")
    open_breaker(bench)
    asked = Counted(bench.breakers)
    claiming = Claiming(bench.endpoints, asked, policy_of(), clock=lambda: NOW)

    for seconds in (0.0, 0.5, 4.9, 5.0):
        claiming.wishes(empty_desk(), now=BOOT + seconds)

    assert (asked.names.count("a"), asked.names.count("b")) == (4, 2)


def test_a_breaker_is_asked_again_after_an_attempt_that_did_not_deliver() -> None:
    """It may have opened just now."""
    bench = Bench(endpoints="ab")
    bench.claiming.wishes(empty_desk(), now=BOOT)
    open_breaker(bench)

    sure = bench.claiming.wishes(empty_desk(), now=BOOT)
    bench.claiming.heard(A, is_delivered=False, now=BOOT)
    doubtful = bench.claiming.wishes(empty_desk(), now=BOOT)

    assert (sure.rooms[A], doubtful.rooms[A]) == (10, 0)


def test_a_breaker_that_lets_deliveries_through_is_not_asked() -> None:
    """Each of them says that it is closed; one that was never asked is, all the same."""
    bench = Bench(endpoints="ab")
    asked = Counted(bench.breakers)
    claiming = Claiming(bench.endpoints, asked, policy_of(), clock=lambda: NOW)
    claiming.heard(A, is_delivered=True, now=BOOT)
    claiming.wishes(empty_desk(), now=BOOT)

    claiming.heard(A, is_delivered=True, now=BOOT + 4)
    claiming.wishes(empty_desk(), now=BOOT + 6)

    assert asked.names == ["a", "b", "b"]


def test_an_endpoint_whose_share_is_full_is_capped_and_not_refused() -> None:
    """There is room when one of its jobs comes back."""
    bench = Bench(policy=policy_of(batch=1))
    desk = Desk(policy_of(batch=1, threads=1), is_alone=False)
    for number in range(2):
        bench.add(number)
    desk.take_in(bench.outbox.claim(worker="w", limit=9, lease_seconds=15, endpoints={A: 9}), until=BOOT + 15)

    wishes = Claiming(bench.endpoints, bench.breakers, desk.policy, clock=lambda: NOW).wishes(desk, now=BOOT)

    assert dict(wishes.rooms) == {A: 0}
    assert wishes.capped == {A}
    assert wishes.again_at == math.inf


def test_a_rate_cuts_the_wish_and_says_when_to_come_again_only_where_nothing_is_left() -> None:
    """Three of ten; then none, and the next in two seconds."""
    rate = RatePolicy(per_second=0.5, burst=3.0)
    bench = Bench(rate_of=lambda _: rate)

    first = bench.claiming.wishes(empty_desk(), now=BOOT)
    second = bench.claiming.wishes(empty_desk(), now=BOOT)

    assert (dict(first.rooms), first.again_at) == ({A: 3}, math.inf)
    assert (dict(second.rooms), second.again_at) == ({A: 0}, BOOT + 2)
    assert dict(second.rates) == {A: rate}


def test_what_was_not_taken_goes_back_to_the_bucket() -> None:
    """Of three granted one row was there."""
    bench = Bench(rate_of=lambda _: RatePolicy(per_second=0.5, burst=3.0))
    wishes = bench.claiming.wishes(empty_desk(), now=BOOT)

    bench.claiming.unused(wishes, {A: 1})

    assert dict(bench.claiming.wishes(empty_desk(), now=BOOT).rooms) == {A: 2}


def test_a_moment_that_has_passed_by_another_clock_is_no_reason_to_spin() -> None:
    """The store that said it is ahead of us: at least a twentieth of a second."""
    bench = Bench(rate_of=lambda _: RatePolicy(per_second=1_000.0, burst=1.0))
    bench.claiming.wishes(empty_desk(), now=BOOT)

    assert bench.claiming.wishes(empty_desk(), now=BOOT).again_at == BOOT + 0.05


def test_tells_unknown_endpoints_and_refused_ones() -> None:
    """What a sweep looks for."""
    bench = Bench(endpoints="abc")
    open_breaker(bench)
    word = Force(mode=ForcedMode.FORCED_OPEN, actor="a", reason="r", until=NOW + 9)
    bench.breakers.apply("c", word, now=NOW)
    names = {A, B, EndpointId("gone")}

    assert bench.claiming.unknown(names) == {EndpointId("gone")}
    assert bench.claiming.refused(names) == [A]


def test_without_a_rate_nobody_is_capped() -> None:
    """The default."""
    assert no_rate(A) is None  # type: ignore[func-returns-value]
