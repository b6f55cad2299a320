"""`PerProcess`: built once, built again after a fork or when it is told to."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager

import pytest

from webhooks_core import per_process
from webhooks_core.per_process import PerProcess


def test_nothing_is_built_before_it_is_asked_for() -> None:
    """Importing anything builds nothing."""
    built: list[object] = []

    held = PerProcess(lambda: built.append(1) or object())

    assert built == []
    assert held() is held()
    assert built == [1]


def test_what_is_forgotten_is_closed_and_built_again() -> None:
    """A setting changed under a test."""
    closed: list[object] = []
    held = PerProcess(object, close=closed.append)
    first = held()

    held.forget()
    held.forget()

    assert held() is not first
    assert closed == [first]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork_the_child_builds_its_own_and_closes_nothing() -> None:
    """Connections do not survive a fork, and are the parent's to close."""
    closed: list[int] = []
    held = PerProcess(os.getpid, close=closed.append)
    parent = held()
    held._lock[1].acquire()  # another thread was building while this process forked

    child = os.fork()
    if child == 0:
        own = held()
        held.forget()
        os._exit(0 if own == os.getpid() and own != parent and closed == [own] else 1)
    held._lock[1].release()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert held() == parent


def test_threads_that_ask_at_once_get_one_object() -> None:
    """One thread builds, the others wait."""
    gate, built = threading.Barrier(8), []
    held = PerProcess(lambda: built.append(1) or object())
    got: list[object] = []

    def ask() -> None:
        gate.wait()
        got.append(held())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(map(id, got))) == 1
    assert built == [1]


def test_the_process_is_known_by_its_id() -> None:
    """No fork hook: the module asks for the id each time."""
    assert per_process.getpid is os.getpid


def test_whoever_waited_for_another_thread_takes_what_that_one_built() -> None:
    """Built between the look and the lock."""
    held = PerProcess(lambda: pytest.fail("built twice"))
    theirs = object()

    class Late(AbstractContextManager[None]):
        """A lock that another thread holds until it has built."""

        def __exit__(self, *_raised: object) -> None:
            held._held = (os.getpid(), theirs)

        __enter__ = __exit__  # type: ignore[assignment]

    held._lock = (os.getpid(), Late())  # type: ignore[assignment]

    assert held() is theirs
