"""Asking something that may hang: the caller waits its time and no longer, and threads are not piled up."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from rollout.asking import Asker, Hanging

WHO: ContextVar[str] = ContextVar("who", default="nobody")


def test_an_answer_comes_back_from_another_thread() -> None:
    """With the caller's context variables; the thread is used again."""
    ask = Asker(5)
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
    ask, gate, back = Asker(0.01, most=2), threading.Event(), threading.Semaphore(0)

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
    crew = ask._crew
    assert crew is not None
    while crew._lost:
        pass

    assert Asker(5, most=2)(lambda: 1) == 1
    assert crew._lost == 0


def test_a_call_that_nobody_waits_for_is_not_begun() -> None:
    """It waited in the queue behind one that hung."""
    ask, gate, begun = Asker(0.01, most=1), threading.Event(), []

    with pytest.raises(Hanging):
        ask(lambda: gate.wait(10))
    crew = ask._crew
    assert crew is not None
    crew._lost = 0  # as if the one before had hung a moment later than the next was asked
    with pytest.raises(Hanging):
        ask(lambda: begun.append(1))
    crew._lost = 1
    gate.set()
    while crew._lost or crew._waiting:
        pass

    assert begun == []


def test_after_a_fork_there_are_new_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the parent are not there any more."""
    ask = Asker(5)
    ask(lambda: 1)
    before = ask._crew

    monkeypatch.setattr("os.getpid", lambda: -1)

    assert ask(lambda: 2) == 2
    assert ask._crew is not before
