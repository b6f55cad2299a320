"""A breaker around any call hands every ticket back, and lets errors through unchanged."""

from __future__ import annotations

import pytest

from rollout.testing import ManualClock
from webhooks_core.breaker import BreakerPolicy, BreakerState, Command, State, Step
from webhooks_core.circuit import CircuitBreaker
from webhooks_core.errors import BreakerOpen
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.testing.observer import RecordingObserver

NOW = 1_763_000_000.0


class Away:
    """A store that is not the memory store: it keeps one all the same."""

    def __init__(self) -> None:
        self._inner = MemoryBreakerStore()
        self.policy = self._inner.policy

    def apply(self, endpoint_id: str, command: Command, *, now: float, jitter_value: float = 0.0) -> Step:
        return self._inner.apply(endpoint_id, command, now=now, jitter_value=jitter_value)

    def state(self, endpoint_id: str, *, now: float) -> BreakerState:
        return self._inner.state(endpoint_id, now=now)


def breaking() -> None:
    raise ConnectionError("away")


@pytest.fixture
def breaker(clock: ManualClock) -> CircuitBreaker:
    """A breaker that opens at the second failure."""
    store = MemoryBreakerStore(BreakerPolicy(max_fails=2))
    return CircuitBreaker("a", store, clock=clock, rng=lambda: 0.0, fails_on=(ConnectionError,))


def state_of(breaker: CircuitBreaker) -> BreakerState:
    """Return the state of the breaker's endpoint."""
    return breaker.store.state(breaker.endpoint_id, now=NOW)


def test_the_result_comes_back(breaker: CircuitBreaker) -> None:
    """Arguments go in, the value comes out, and the success is counted."""
    assert breaker.call(divmod, 7, 2) == (3, 1)
    assert breaker.call(dict, a=1) == {"a": 1}
    assert sum(cell.successes for cell in state_of(breaker).cells) == 2


def test_failures_open_and_then_nothing_is_called(breaker: CircuitBreaker) -> None:
    """Two failures; the third call raises BreakerOpen with endpoint and time, and calls nothing."""
    for _ in range(2):
        with pytest.raises(ConnectionError, match="away"):
            breaker.call(breaking)
    called: list[int] = []

    with pytest.raises(BreakerOpen) as caught:
        breaker.call(called.append, 1)

    assert called == []
    assert (caught.value.endpoint, caught.value.retry_at) == ("a", NOW + 60)


def test_a_probe_closes_it_again(breaker: CircuitBreaker, clock: ManualClock) -> None:
    """After the open time one call goes through, and its success closes."""
    for _ in range(2):
        with pytest.raises(ConnectionError):
            breaker.call(breaking)
    clock.advance(60)

    assert breaker.call(lambda: "alive") == "alive"
    assert state_of(breaker).state is State.CLOSED


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_other_errors_say_nothing(breaker: CircuitBreaker, error: type[BaseException]) -> None:
    """An error that is not of `fails_on`, or an interrupt, gives the ticket back."""

    def other() -> None:
        raise error

    for _ in range(3):
        with pytest.raises(error):
            breaker.call(other)

    assert state_of(breaker) == BreakerState()


def test_the_context_manager_does_the_same(breaker: CircuitBreaker, clock: ManualClock) -> None:
    """Success, failure, refusal and probe through `with`."""
    for _ in range(2):
        with breaker.admitted():
            pass
    for _ in range(2):
        with pytest.raises(ConnectionError), breaker.admitted():
            breaking()
    with pytest.raises(BreakerOpen), breaker.admitted():
        raise AssertionError("not reached")
    clock.advance(60)
    with breaker.admitted():
        pass

    assert state_of(breaker).state is State.CLOSED


def test_an_admission_is_ended_once(breaker: CircuitBreaker) -> None:
    """Leaving a second time tells nothing."""
    admission = breaker.admitted()
    with admission:
        pass

    admission.__exit__(None, None, None)

    assert sum(cell.successes for cell in state_of(breaker).cells) == 1


def test_observers_hear_of_changes(clock: ManualClock) -> None:
    """Opening, half opening, closing."""
    seen = RecordingObserver()
    store = MemoryBreakerStore(BreakerPolicy(max_fails=1))
    breaker = CircuitBreaker("a", store, clock=clock, observer=seen)

    with pytest.raises(ConnectionError):
        breaker.call(breaking)
    clock.advance(60)
    breaker.call(lambda: None)

    assert seen.kinds() == ["BreakerOpened", "BreakerHalfOpened", "BreakerClosed"]


def test_any_store_will_do(clock: ManualClock) -> None:
    """Without the memory store's fast path every call goes through `apply`."""
    breaker = CircuitBreaker("a", Away(), clock=clock)

    assert breaker.call(lambda: 1) == 1
    with breaker.admitted():
        pass

    assert sum(cell.successes for cell in state_of(breaker).cells) == 2


def test_by_default_it_stands_alone() -> None:
    """A store of its own, every Exception a failure, the real clock."""
    breaker = CircuitBreaker()

    for _ in range(5):
        with pytest.raises(ConnectionError):
            breaker.call(breaking)

    with pytest.raises(BreakerOpen, match="default"):
        breaker.call(lambda: None)
