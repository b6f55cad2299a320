"""The memory store: its fast path counts what it must, and shares it in time."""

from __future__ import annotations

import tracemalloc

import pytest

from webhooks_core.breaker import (
    Admit,
    BreakerPolicy,
    BreakerState,
    Cell,
    Failed,
    Force,
    ForcedMode,
    Refused,
    State,
    Step,
    Succeeded,
    Ticket,
)
from webhooks_core.stores.breakers import MemoryBreakerStore, told

NOW = 1_763_000_000.0


def ticket(store: MemoryBreakerStore, now: float = NOW) -> Ticket:
    """Return the ticket that is given at *now*."""
    answer = store.apply("a", Admit(), now=now).answer
    assert isinstance(answer, Ticket)
    return answer


def test_the_default_policy_is_the_contracts() -> None:
    """120 s, 5 failures, 60 s."""
    assert MemoryBreakerStore().policy == BreakerPolicy()


def test_a_closed_success_makes_no_new_objects() -> None:
    """The same ticket and the same step each time within a second."""
    store = MemoryBreakerStore()
    first = ticket(store)
    store.apply("a", Succeeded(ticket=first), now=NOW)

    steps = {id(store.apply("a", Succeeded(ticket=first), now=NOW + 0.5)) for _ in range(10)}

    assert ticket(store) is first
    assert len(steps) == 1


def test_successes_reach_the_state_by_seconds() -> None:
    """Three in one second, two in the next, whenever somebody looks."""
    store = MemoryBreakerStore()
    for now in (NOW, NOW + 0.1, NOW + 0.9, NOW + 1.0, NOW + 1.9):
        store.apply("a", Succeeded(ticket=ticket(store)), now=now)

    state = store.state("a", now=NOW + 2)

    assert state.cells == (Cell(second=int(NOW), successes=3), Cell(second=int(NOW) + 1, successes=2))
    assert store.state("a", now=NOW + 2) == state


def test_waiting_successes_weigh_in_before_a_failure() -> None:
    """Six successes that were only counted keep five failures from opening."""
    store = MemoryBreakerStore()
    held = ticket(store)
    for _ in range(6):
        store.apply("a", Succeeded(ticket=held), now=NOW)

    for _ in range(5):
        store.apply("a", Failed(ticket=held), now=NOW)

    assert store.state("a", now=NOW).state is State.CLOSED


def test_many_successes_told_at_once_are_all_counted() -> None:
    """A caller may tell of a second at once, while the fast path counts in it."""
    store = MemoryBreakerStore()
    store.apply("a", Succeeded(ticket=ticket(store)), now=NOW)

    store.apply("a", Succeeded(ticket=ticket(store), count=7), now=NOW)

    assert store.state("a", now=NOW).cells == (Cell(second=int(NOW), successes=8),)


def test_the_fast_path_takes_its_own_ticket_within_its_second_only() -> None:
    """From the first moment of the second to the last; never a ticket of an older generation."""
    store = MemoryBreakerStore(BreakerPolicy(max_fails=1))
    old = ticket(store)
    store.apply("a", Failed(ticket=old), now=NOW)
    store.apply("a", Succeeded(ticket=ticket(store, NOW + 60)), now=NOW + 60.5)
    path, now = store.closed_path("a"), ticket(store, NOW + 60)

    counted = [path.count(now, NOW + later) for later in (59.999, 60.0, 60.999, 61.0)]

    assert counted == [False, True, True, False]
    assert not path.count(old, NOW + 60.5)


def test_an_equal_ticket_from_elsewhere_counts_too() -> None:
    """Only the fast path knows tickets by identity."""
    store = MemoryBreakerStore()

    store.apply("a", Succeeded(ticket=Ticket(generation=0)), now=NOW)

    assert store.state("a", now=NOW).cells == (Cell(second=int(NOW), successes=1),)


def test_a_success_that_races_with_an_opening_is_forgotten() -> None:
    """A tick that comes after the breaker opened is not counted for the next generation."""
    store = MemoryBreakerStore(BreakerPolicy(max_fails=1))
    path = store.closed_path("a")
    store.apply("a", Failed(ticket=ticket(store)), now=NOW)

    path.tick()
    store.apply("a", Succeeded(ticket=ticket(store, NOW + 60)), now=NOW + 60)

    assert path.ticket is not None
    assert store.state("a", now=NOW + 60).cells == ()


def test_there_is_no_fast_path_while_somebody_forces() -> None:
    """A word that expires must be seen to expire."""
    store = MemoryBreakerStore()
    path = store.closed_path("a")
    open_path = path.ticket

    word = Force(mode=ForcedMode.FORCED_CLOSED, actor="ops", reason="good", until=NOW + 60)
    store.apply("a", word, now=NOW)
    forced_path = path.ticket
    ticket(store, NOW + 60)

    assert open_path is not None
    assert forced_path is None
    assert path.ticket is not None


def test_a_clock_set_back_is_counted_in_its_own_second() -> None:
    """The fast path counts only within the second it is in."""
    store = MemoryBreakerStore()
    held = ticket(store)
    store.apply("a", Succeeded(ticket=held), now=NOW)

    store.apply("a", Succeeded(ticket=held), now=NOW - 10)

    assert [cell.second - int(NOW) for cell in store.state("a", now=NOW).cells] == [-10, 0]


@pytest.mark.slow
def test_a_hundred_thousand_refusals_leave_nothing() -> None:
    """Memory stays flat (at most 2 MiB are allowed)."""
    store = MemoryBreakerStore(BreakerPolicy(max_fails=1))
    store.apply("a", Failed(ticket=ticket(store)), now=NOW)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]

    for number in range(100_000):
        store.apply("a", Admit(), now=NOW + number / 100_000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert grown < 64 * 1024


def test_a_step_is_told_by_the_clock_of_whoever_asked() -> None:
    """The store's is 12 s ahead: what it lets through at 60 s, the caller may ask for at 48 s of its own."""
    state = BreakerState(state=State.OPEN, retry_at=NOW + 60)
    refused = Step(state=state, answer=Refused(retry_at=NOW + 60))
    admitted = Step(state=BreakerState(), answer=Ticket(generation=0))

    assert told(refused, ahead=12.0).answer == Refused(retry_at=NOW + 48)
    assert told(refused, ahead=12.0).state.retry_at == NOW + 48
    assert told(refused, ahead=0.0) is refused
    assert told(admitted, ahead=12.0).answer is admitted.answer
