"""A worker that works when it is woken: until nothing is due, for a while, one thread at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tests.unit.webhooks_core.engines.test_worker_shell import PATIENCE, Yard
from webhooks_core.engines.shift import Shift
from webhooks_core.outbox.base import State
from webhooks_core.transport.base import Request, Response
from webhooks_core.worker.policy import WorkerPolicy


def shift_in(yard: Yard, *, seconds: float = PATIENCE, **more: object) -> Shift:
    """A shift over the worker of *yard*."""
    return Shift(yard.worker, shift_seconds=seconds, **more)  # type: ignore[arg-type]


def until(holds: Callable[[], object]) -> None:
    """Wait for another thread."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_it_sends_all_that_is_due_and_ends() -> None:
    """Nothing is left, and the answer says so."""
    yard = Yard()
    yard.add(5)
    shift = shift_in(yard)

    may_be_left = shift.wake()

    assert not may_be_left
    assert yard.states() == {State.DELIVERED}
    shift.close()


def test_its_threads_stay_for_the_next_time() -> None:
    """A task starts none."""
    yard = Yard()
    shift = shift_in(yard)
    shift.wake()
    before = threading.active_count()
    yard.add(5)

    shift.wake()

    assert threading.active_count() == before
    assert yard.states() == {State.DELIVERED}
    shift.close()


def test_what_is_not_due_is_not_waited_for() -> None:
    """A retry is left to the next sweep."""
    yard = Yard(then=503)
    yard.add(1)
    shift = shift_in(yard)

    may_be_left = shift.wake()

    assert not may_be_left
    assert yard.states() == {State.PENDING}
    assert len(yard.transport.sent) == 1
    shift.close()


def test_a_shift_that_is_over_says_that_rows_may_be_left_and_the_next_one_goes_on() -> None:
    """It claims nothing more, gives back what is not begun, and finishes what is."""
    gate, begun = threading.Event(), threading.Event()

    def then(request: Request) -> Response:
        begun.set()
        assert gate.wait(PATIENCE)
        return Response(status=200)

    yard = Yard(then, policy=WorkerPolicy(threads=1, ahead=0, batch=4))
    yard.add(3)
    shift = shift_in(yard, seconds=0.01)
    opener = threading.Thread(target=lambda: (begun.wait(PATIENCE), time.sleep(0.05), gate.set()))
    opener.start()

    first = shift.wake()
    states = yard.states()
    shift._shift_seconds = PATIENCE
    second = shift.wake()

    opener.join()
    assert (first, second) == (True, False)
    assert states == {State.DELIVERED, State.PENDING}
    assert yard.states() == {State.DELIVERED}
    assert len(yard.transport.sent) == 3
    shift.close()


def test_who_comes_while_it_works_leaves_word_and_goes() -> None:
    """The thread that works looks again, so that the row which is told of is sent."""
    gate, begun = threading.Event(), threading.Event()

    def then(request: Request) -> Response:
        begun.set()
        assert gate.wait(PATIENCE)
        return Response(status=200)

    yard = Yard(then)
    yard.add(1)
    shift = shift_in(yard)
    working = threading.Thread(target=shift.wake)
    working.start()
    assert begun.wait(PATIENCE)

    may_be_left = shift.wake()
    is_working = working.is_alive()
    gate.set()
    working.join(PATIENCE)

    assert not may_be_left
    assert is_working
    assert not shift._woken.is_set()
    assert yard.states() == {State.DELIVERED}
    shift.close()


def test_each_shift_breaks_the_line_of_its_own_thread() -> None:
    """A call of the outbox that does not come back is broken by what `line` gave at its beginning."""
    yard = Yard()
    stuck, broken, lines = threading.Event(), threading.Event(), []

    def line() -> Callable[[], None]:
        lines.append(threading.current_thread())
        return broken.set

    claim = yard.outbox.claim

    def hanging(**words: object) -> object:
        if not stuck.is_set():
            stuck.set()
            assert broken.wait(PATIENCE)
            raise ConnectionError
        return claim(**words)  # type: ignore[arg-type]

    yard.outbox.claim = hanging  # type: ignore[method-assign, assignment]
    yard.add(1)
    shift = shift_in(yard, line=line, stuck_seconds=0.02)

    shift.wake()

    assert broken.is_set()
    assert lines == [threading.main_thread()]
    assert yard.states() == {State.DELIVERED}
    shift.close()


def test_an_outbox_that_stays_away_ends_the_shift_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue's worker must not hang in one task for ever."""
    yard = Yard(policy=WorkerPolicy(threads=1, backoff_seconds=0.01, max_backoff_seconds=0.01))

    def away(**_words: object) -> object:
        raise ConnectionError

    monkeypatch.setattr(yard.outbox, "claim", away)
    shift = shift_in(yard, seconds=0.05)

    may_be_left = shift.wake()

    assert may_be_left
    shift.close()
