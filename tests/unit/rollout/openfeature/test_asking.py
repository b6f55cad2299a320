"""Asking something that may hang: the caller waits its time and no longer, and threads are not piled up."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from rollout import asking
from rollout.asking import Asker, Crew, Hanging

WHO: ContextVar[str] = ContextVar("who", default="nobody")


def test_an_answer_comes_back_from_another_thread() -> None:
    """With the caller's context variables; the thread is used again."""
    ask = Asker(5, crew=Crew())
    WHO.set("caller")

    first = ask(lambda: (WHO.get(), threading.current_thread()))
    second = ask(threading.current_thread)

    assert first[0] == "caller"
    assert first[1] is second is not threading.current_thread()
    assert second.daemon


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        pytest.param(ValueError("wrong"), ValueError, id="exception"),
        pytest.param(SystemExit(3), RuntimeError, id="exit"),
    ],
)
def test_what_it_raises_comes_out(raised: BaseException, expected: type[Exception]) -> None:
    """Where that is no Exception, one in its place: the caller must go on."""

    def fail() -> None:
        raise raised

    with pytest.raises(expected):
        Asker(5)(fail)


def test_what_hangs_costs_its_time_and_a_thread_until_none_is_left() -> None:
    """Then the next fails at once; when one comes back, asking goes on."""
    crew, gate, back = Crew(most=2), threading.Event(), threading.Semaphore(0)
    ask = Asker(0.01, crew=crew)

    def hang() -> None:
        gate.wait(10)
        back.release()

    for _ in range(2):
        with pytest.raises(Hanging, match=r"no answer within 0\.01 s"):
            ask(hang)
    with pytest.raises(Hanging, match="2 calls before have not come back"):
        ask(lambda: 1)
    gate.set()
    assert back.acquire(timeout=5)
    assert back.acquire(timeout=5)
    while crew._lost:
        pass

    assert Asker(5, crew=crew)(lambda: 1) == 1
    assert crew._lost == 0


def test_a_call_that_nobody_waits_for_is_not_begun() -> None:
    """It waited in the queue behind one that hung."""
    crew, gate, begun = Crew(most=1), threading.Event(), []
    ask = Asker(0.01, crew=crew)

    with pytest.raises(Hanging):
        ask(lambda: gate.wait(10))
    crew._lost = 0  # as if the one before had hung a moment later than the next was asked
    with pytest.raises(Hanging):
        ask(lambda: begun.append(1))
    crew._lost = 1
    gate.set()
    while crew._lost or crew._waiting:
        pass

    assert begun == []


def test_who_asks_shares_the_threads_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, and however often they are made anew."""
    monkeypatch.setattr(asking, "_shared", Crew())  # whatever other tests have started
    first, second = Asker(5), Asker(1)

    threads = {first(threading.current_thread), second(threading.current_thread)}

    assert len(threads) == 1


def test_many_first_questions_start_no_more_threads_than_there_may_be() -> None:
    """All at once: each that starts a thread has been counted before."""
    crew, gate, seen = Crew(most=3), threading.Event(), set()
    ask = Asker(5, crew=crew)

    def question() -> None:
        gate.wait(5)
        seen.add(threading.current_thread())

    callers = [threading.Thread(target=ask, args=(question,)) for _ in range(32)]
    for caller in callers:
        caller.start()
    gate.set()
    for caller in callers:
        caller.join(5)

    assert 1 <= len(seen) <= 3
    assert crew._threads <= 3


def test_a_thread_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as there may be threads, and once more: nothing is used up by it, nothing waits for it."""
    crew = Crew(most=2)
    ask, begun = Asker(5, crew=crew), []

    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", no_more)
        for _ in range(3):
            with pytest.raises(Hanging, match="no thread can be started"):
                ask(lambda: begun.append(1))

    assert ask(lambda: 1) == 1
    assert begun == []


def test_where_one_thread_is_there_the_question_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one cannot be started."""
    crew = Crew(most=2)
    ask = Asker(5, crew=crew)
    only = ask(threading.current_thread)

    monkeypatch.setattr(crew, "_running", {object()})  # as if it were busy
    monkeypatch.setattr(threading.Thread, "start", no_more)

    assert ask(threading.current_thread) is only


def test_after_a_fork_there_are_new_threads() -> None:
    """Those of the parent are not there any more, and its lock may be held for ever."""
    ask = Asker(5)
    before = ask(threading.current_thread)
    asking._shared._lock.acquire()

    asking._renew()

    assert ask(threading.current_thread) is not before


def no_more(_thread: threading.Thread) -> None:
    """Be a system at its limit."""
    raise RuntimeError("can't start new thread")
