"""The rate store in memory: one bucket for each endpoint, shared by threads."""

from __future__ import annotations

import pytest

from webhooks_core.endpoint import EndpointId
from webhooks_core.errors import ConfigError
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


def test_a_stage_may_cap_every_endpoint_and_lift_the_cap() -> None:
    """None until it is set."""
    store = MemoryRateStore()
    caps = [store.stage_rate()]
    for cap in (2.5, 100, None):
        store.set_stage_rate(cap)
        caps.append(store.stage_rate())

    assert caps == [None, 2.5, 100, None]


@pytest.mark.parametrize("cap", [0, -1, 100_001, float("nan"), float("inf"), True, "5"])
def test_what_is_no_cap_is_refused(cap: object) -> None:
    """A cap of nothing is the ceiling's business; the one in force stays."""
    store = MemoryRateStore()
    store.set_stage_rate(5)

    with pytest.raises(ConfigError, match="per_second"):
        store.set_stage_rate(cap)  # type: ignore[arg-type]

    assert store.stage_rate() == 5
