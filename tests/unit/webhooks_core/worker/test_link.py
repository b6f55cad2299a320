"""The line to the outbox: guarded, backed off from, recovered."""

from __future__ import annotations

import pytest

from webhooks_core.worker.events import OutboxFailed, OutboxRecovered, WorkerFact
from webhooks_core.worker.link import Call, Link
from webhooks_core.worker.policy import WorkerPolicy


class Line:
    """A link with a clock that a test moves, and what it told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.facts: list[WorkerFact] = []
        self.link = Link("w1", WorkerPolicy(), tell=self.facts.append, monotonic=lambda: self.now)

    def fail(self) -> None:
        """One call that raises."""

        def broken() -> int:
            raise ConnectionError("host=db.internal password=x")

        assert self.link.ask("claim", broken) is None


def test_a_call_that_works_returns_its_answer_and_tells_nothing() -> None:
    """And nothing is to be waited for."""
    line = Line()

    assert line.link.ask("claim", lambda: 7) == 7
    assert line.facts == []
    assert not line.link.is_down


def test_waits_twice_as_long_after_each_failure_up_to_a_cap() -> None:
    """A quarter second, then doubled, at most five; the error's text stays out."""
    line = Line()
    waits = []
    for _ in range(8):
        line.fail()
        waits.append(line.link.retry_at - line.now)

    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert line.facts[0] == OutboxFailed(
        worker="w1", operation="claim", error="ConnectionError", retry_seconds=0.25
    )
    assert "password" not in repr(line.facts)


def test_tells_once_that_the_outbox_is_back() -> None:
    """With the number of calls that failed; then the back-off begins anew."""
    line = Line()
    line.fail()
    line.fail()
    line.link.ask("claim", lambda: 1)
    line.link.ask("claim", lambda: 1)
    line.fail()

    assert [fact for fact in line.facts if isinstance(fact, OutboxRecovered)] == [
        OutboxRecovered(worker="w1", failures=2)
    ]
    assert line.link.retry_at == line.now + 0.25


def test_an_answer_that_proves_nothing_leaves_the_back_off_as_it_is() -> None:
    """A rate that is known by heart says nothing about the outbox."""
    line = Line()
    line.fail()
    retry_at = line.link.retry_at

    answer = line.link.ask("rates", lambda: 1, is_proof=False)

    assert answer == 1
    assert line.link.is_down
    assert line.link.retry_at == retry_at
    assert not any(isinstance(fact, OutboxRecovered) for fact in line.facts)


def test_shows_which_call_has_not_come_back() -> None:
    """For whoever watches from another thread; nothing when it has, raised or not."""
    line = Line()

    during = line.link.ask("settle", lambda: line.link.call)
    line.fail()

    assert during == Call("settle", 100.0)
    assert line.link.call is None


def test_an_interrupt_goes_through() -> None:
    """Only errors are backed off from."""
    line = Line()

    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        line.link.ask("claim", interrupted)
    assert line.link.call is None
