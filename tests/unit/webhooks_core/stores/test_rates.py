"""The rate store in memory: one bucket for each endpoint, shared by threads."""

from __future__ import annotations

from webhooks_core.endpoint import EndpointId
from webhooks_core.rate import RatePolicy
from webhooks_core.stores.rates import MemoryRateStore
from webhooks_core.testing.contracts.threads import in_threads

NOW = 1_763_000_000.0
A, B = EndpointId("a"), EndpointId("b")
POLICY = RatePolicy(per_second=1.0, burst=100.0)


def test_endpoints_have_buckets_of_their_own() -> None:
    """Emptying one leaves the other full."""
    store = MemoryRateStore()
    store.take(A, 100, policy=POLICY, now=NOW)

    assert store.take(A, 1, policy=POLICY, now=NOW).count == 0
    assert store.take(B, 1, policy=POLICY, now=NOW).count == 1


def test_what_goes_back_can_be_taken_again() -> None:
    """And giving back to a bucket that nobody used changes nothing."""
    store = MemoryRateStore()
    store.give_back(A, 50, policy=POLICY, now=NOW)
    store.take(A, 100, policy=POLICY, now=NOW)
    store.give_back(A, 30, policy=POLICY, now=NOW)

    assert store.take(A, 100, policy=POLICY, now=NOW).count == 30


def test_threads_get_no_more_than_there_is() -> None:
    """Eight threads want forty each: a hundred in all."""
    store = MemoryRateStore()

    counts = in_threads(lambda _: sum(store.take(A, 1, policy=POLICY, now=NOW).count for _ in range(40)))

    assert sum(counts) == 100
