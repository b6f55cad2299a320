"""Idle connections: the last used first, none too old, none too many."""

from __future__ import annotations

import pytest

from rollout.testing import ManualClock
from webhooks_core.transport import idle
from webhooks_core.transport.idle import MAX_AGE_SECONDS, MAX_IDLE_SECONDS, IdleConnections, Stack


class FakeConnection:
    """As much of a connection as the store looks at."""

    def __init__(self, born: float = 0.0) -> None:
        self.born = born
        self.idle_since = born
        self.is_connected = True
        self.closed = False

    def close(self) -> None:
        """Remember it."""
        self.closed = True


@pytest.fixture
def store(clock: ManualClock) -> IdleConnections:
    """A store that keeps two connections a route."""
    return IdleConnections(per_route=2, monotonic=clock)


def keep(store: IdleConnections, stack: Stack, clock: ManualClock, *, count: int = 1) -> list[FakeConnection]:
    """Give *count* new connections to the store."""
    connections = [FakeConnection(clock()) for _ in range(count)]
    for connection in connections:
        store.give(connection, stack)  # type: ignore[arg-type]
    return connections


def test_nothing_kept_is_nothing_taken(store: IdleConnections) -> None:
    """The first attempt opens its own."""
    assert store.take([]) is None


def test_the_last_used_connection_comes_back_first_and_once(
    store: IdleConnections, clock: ManualClock
) -> None:
    """The warm one is taken; no connection serves two attempts at a time."""
    stack: Stack = []
    first, second = keep(store, stack, clock, count=2)

    assert [store.take(stack), store.take(stack), store.take(stack)] == [second, first, None]


def test_a_connection_comes_back_to_its_own_route_only(store: IdleConnections, clock: ManualClock) -> None:
    """Another host, policy or certificate has another stack."""
    mine: Stack = []
    keep(store, mine, clock)

    assert store.take([]) is None


@pytest.mark.parametrize(("idle_for", "taken"), [(MAX_IDLE_SECONDS, True), (MAX_IDLE_SECONDS + 0.001, False)])
def test_a_connection_that_rested_too_long_is_closed(
    store: IdleConnections, clock: ManualClock, idle_for: float, taken: bool
) -> None:
    """A load balancer may have forgotten it without a word."""
    stack: Stack = []
    (connection,) = keep(store, stack, clock)
    clock.advance(idle_for)

    assert (store.take(stack) is connection) is taken
    assert connection.closed is not taken


def test_a_connection_that_lived_too_long_is_closed(store: IdleConnections, clock: ManualClock) -> None:
    """In use all the time or not: the name is resolved and judged anew."""
    stack: Stack = []
    (connection,) = keep(store, stack, clock)
    for _ in range(int(MAX_AGE_SECONDS / MAX_IDLE_SECONDS)):
        clock.advance(MAX_IDLE_SECONDS)
        assert store.take(stack) is connection
        store.give(connection, stack)  # type: ignore[arg-type]
    clock.advance(1)

    assert store.take(stack) is None
    assert connection.closed


def test_a_connection_on_which_something_arrived_is_closed(
    store: IdleConnections, clock: ManualClock
) -> None:
    """The peer's farewell, or bytes that would be read as the next answer."""
    stack: Stack = []
    good, bad = keep(store, stack, clock, count=2)
    bad.is_connected = False

    assert store.take(stack) is good
    assert bad.closed


def test_one_route_keeps_no_more_than_its_share(store: IdleConnections, clock: ManualClock) -> None:
    """A burst of threads leaves two connections behind, not a hundred."""
    stack: Stack = []

    first, second, third = keep(store, stack, clock, count=3)

    assert [first.closed, second.closed, third.closed] == [False, False, True]
    assert stack == [first, second]


def test_all_routes_together_keep_no_more_than_a_process_can_open(
    store: IdleConnections, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that rested longest goes, whoever it belongs to."""
    monkeypatch.setattr(idle, "MAX_KEPT", 3)
    stacks: list[Stack] = [[] for _ in range(5)]

    connections = [keep(store, stack, clock)[0] for stack in stacks]

    assert [connection.closed for connection in connections] == [True, True, False, False, False]
    assert [len(stack) for stack in stacks] == [0, 0, 1, 1, 1]


def test_closing_closes_what_is_kept_and_what_is_still_to_come(
    store: IdleConnections, clock: ManualClock
) -> None:
    """An attempt under way when the store closes leaves no descriptor behind."""
    stack: Stack = []
    kept = keep(store, stack, clock, count=2)

    store.close()
    late = keep(store, stack, clock)

    assert all(connection.closed for connection in [*kept, *late])
    assert stack == []
    assert store.take(stack) is None
