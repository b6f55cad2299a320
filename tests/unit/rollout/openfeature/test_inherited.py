"""Which providers a process has from before a fork: the two steps of a fork, without one."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from openfeature import api
from openfeature.provider import AbstractProvider
from openfeature.provider._registry import provider_registry
from openfeature.provider.in_memory_provider import InMemoryProvider
from openfeature.provider.no_op_provider import NoOpProvider

from rollout import ErrorCode, Gate, Reason, inherited
from tests.unit.rollout.openfeature.provider_world import provider as ours
from tests.unit.rollout.openfeature.test_remote import DOMAIN, KEY, Scripted, flags


class Hostile(Scripted):
    """One that cannot even be asked."""

    @property
    def survives_fork(self) -> bool:
        """Fail."""
        raise OSError("hostile")


class Following(InMemoryProvider):
    """A child of a provider without threads may have one."""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is followed but what the test follows, and nothing is inherited after it."""
    monkeypatch.setattr(inherited, "_domains", {DOMAIN})
    monkeypatch.setattr(inherited, "_before_fork", ())
    monkeypatch.setattr(inherited, "_inherited", ())
    api.shutdown()
    yield
    api.shutdown()


def in_force(provider: AbstractProvider) -> AbstractProvider:
    """Set it, ready."""
    api.set_provider_and_wait(provider, DOMAIN)
    return provider


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(Scripted, True, id="anybodys"),
        pytest.param(Hostile, True, id="hostile"),
        pytest.param(lambda: Following({}), True, id="child-of-in-memory"),
        pytest.param(lambda: InMemoryProvider({}), False, id="in-memory"),
        pytest.param(NoOpProvider, False, id="no-op"),
        pytest.param(lambda: ours({}), False, id="ours"),
    ],
)
def test_a_provider_is_inherited_in_the_child_alone(made: type[AbstractProvider], expected: bool) -> None:
    """The parent goes on; in the child only what has no thread does."""
    provider = in_force(made())

    inherited._note()
    in_parent = inherited.is_inherited(provider)
    inherited._inherit()

    assert (in_parent, inherited.is_inherited(provider)) == (False, expected)


def test_the_gate_is_closed_over_what_was_set_before_the_fork() -> None:
    """With its code, so that a sender waits; until the child sets one of its own."""
    in_force(Scripted())
    gate = Gate(KEY, flags())
    before = gate(101).value

    inherited._note()
    inherited._inherit()
    closed, strict = gate(101), gate.recheck("101")
    in_force(Scripted())

    assert before
    assert (closed.value, closed.reason, closed.error_code) == (
        False,
        Reason.ERROR,
        ErrorCode.PROVIDER_NOT_READY,
    )
    assert strict == closed
    assert closed.detail == "openfeature: the provider was set before a fork, and may follow nothing"
    assert gate(101).value


def test_who_asks_follows_the_domain() -> None:
    """Without another word."""
    inherited._domains.clear()

    flags()

    assert inherited._domains == {DOMAIN}


def test_the_sdks_locks_are_free_in_the_child_whoever_held_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of the parent is not there to give them back; what goes by another name is left."""
    held = threading.RLock()
    thread = threading.Thread(target=held.acquire)
    thread.start()
    thread.join()
    monkeypatch.setattr(provider_registry, "_lock", held)
    nowhere = (("no.such", "lock"), ("openfeature", "none"))
    monkeypatch.setattr(inherited, "_LOCKS", (*nowhere, *inherited._LOCKS))
    before = held.acquire(blocking=False)

    inherited._inherit()
    after = held.acquire(blocking=False)
    held.release()

    assert (before, after) == (False, True)
