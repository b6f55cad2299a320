"""Threads around a worker: it works, drains, stops, wakes and notices what is stuck. No sleeping: events."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from webhooks_core.delivery import Sender
from webhooks_core.endpoint import DEFAULT_ID, Endpoint
from webhooks_core.engines.worker import WorkerShell
from webhooks_core.envelope import seal
from webhooks_core.keys import KeyRing
from webhooks_core.outbox.base import State
from webhooks_core.outbox.memory import MemoryOutbox
from webhooks_core.settlement import Delivery
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.testing.observer import RecordingObserver
from webhooks_core.testing.transport import FakeTransport
from webhooks_core.transport.base import Request, Response
from webhooks_core.worker.events import OutboxStuck, WorkerStarted, WorkerStopped
from webhooks_core.worker.link import Call
from webhooks_core.worker.policy import WorkerPolicy
from webhooks_core.worker.service import Worker

SECRET = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow (tests only)
PATIENCE = 10.0  # no test waits so long unless it fails


class Yard:
    """An outbox, a worker and its shell; the real clock, since threads wait on it."""

    def __init__(
        self,
        then: Callable[[Request], Response] | int = 200,
        *,
        policy: WorkerPolicy | None = None,
        stuck_seconds: float = 20.0,
        on_stuck: Callable[[Call], None] | None = None,
    ) -> None:
        self.outbox = MemoryOutbox()
        self.transport = FakeTransport(then=then)
        self.seen = RecordingObserver()
        breakers = MemoryBreakerStore()
        endpoint = Endpoint(url="https://receiver.example/in", keys=KeyRing.of(SECRET))
        self.worker = Worker(
            self.outbox,
            Sender(self.transport, breakers),
            {DEFAULT_ID: endpoint},
            breakers=breakers,
            name="w1",
            policy=WorkerPolicy(threads=3, ahead=0) if policy is None else policy,
            observer=self.seen,
        )
        self.shell = WorkerShell(self.worker, stuck_seconds=stuck_seconds, on_stuck=on_stuck)
        self.left: list[int] = []

    def add(self, count: int = 1) -> None:
        """Commit events."""
        for number in range(count):
            webhook_id = f"00000000-0000-4000-8000-{number:012d}"
            body = seal("tested", {"number": number}, webhook_id=webhook_id).body
            self.outbox.add(
                Delivery(webhook_id=webhook_id, event="tested", body=body, created_at=self.outbox.now())
            )

    def states(self) -> set[State]:
        """Return the states of all rows."""
        return {row.state for row in self.outbox.rows()}

    def start(self) -> threading.Thread:
        """Run the shell in a thread of its own."""
        thread = threading.Thread(target=lambda: self.left.append(self.shell.run()), daemon=True)
        thread.start()
        return thread


def test_delivers_everything_and_ends_when_asked_to_end_when_idle() -> None:
    """Two hundred rows, three threads; told at the beginning and at the end."""
    yard = Yard()
    yard.add(200)

    left = yard.shell.run(until_idle=True)

    assert left == 0
    assert yard.states() == {State.DELIVERED}
    assert len(yard.transport.sent) == 200
    assert yard.seen.of(WorkerStarted) == [WorkerStarted(worker="w1", threads=3)]
    assert yard.seen.of(WorkerStopped) == [WorkerStopped(worker="w1", left=0)]


def test_an_idle_worker_that_is_to_go_on_goes_on() -> None:
    """Asked when nothing is due: rows that came meanwhile are sent by the same worker, which begins once."""
    yard = Yard()
    looks: list[int] = []

    def is_done() -> bool:
        looks.append(len(yard.transport.sent))
        if len(looks) == 1:
            yard.add(1)
            yard.shell.hint()
        return len(looks) > 1 and yard.states() == {State.DELIVERED}

    left = yard.shell.run(until_idle=True, is_done=is_done)

    assert left == 0
    assert looks[0] == 0
    assert len(yard.transport.sent) == 1
    assert len(yard.seen.of(WorkerStarted)) == 1


def test_attempts_run_side_by_side() -> None:
    """Three threads meet inside the transport; alone none of them would get on."""
    together = threading.Barrier(3, timeout=PATIENCE)

    def meet(request: Request) -> Response:
        together.wait()
        return Response(status=200)

    yard = Yard(meet)
    yard.add(3)

    yard.shell.run(until_idle=True)

    assert yard.states() == {State.DELIVERED}


def test_a_hint_wakes_a_worker_that_sleeps() -> None:
    """With a poll of ten minutes the row goes out at once."""
    arrived = threading.Event()

    def arrive(request: Request) -> Response:
        arrived.set()
        return Response(status=200)

    yard = Yard(arrive, policy=WorkerPolicy(threads=1, poll_seconds=600.0))
    thread = yard.start()
    yard.add()
    yard.shell.hint()

    assert arrived.wait(PATIENCE)
    yard.shell.stop()
    thread.join(PATIENCE)
    assert yard.left == [0]


class Hanging:
    """A transport's answer that waits until a test lets it go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, request: Request) -> Response:
        """Wait."""
        self.begun.set()
        assert self.let_go.wait(PATIENCE)
        return Response(status=200)


def test_the_first_stop_waits_for_what_is_under_way() -> None:
    """The attempt ends and is settled; the rows behind it are given back."""
    hanging = Hanging()
    yard = Yard(hanging, policy=WorkerPolicy(threads=1, ahead=0))
    yard.add(3)
    thread = yard.start()
    assert hanging.begun.wait(PATIENCE)
    yard.shell.stop()
    thread.join(0.2)
    still_there = thread.is_alive()
    hanging.let_go.set()
    thread.join(PATIENCE)

    assert still_there
    assert yard.left == [0]
    assert sorted(row.state for row in yard.outbox.rows()) == [State.DELIVERED, State.PENDING, State.PENDING]


def test_the_second_stop_waits_for_nothing() -> None:
    """What is under way is left to its lease."""
    hanging = Hanging()
    yard = Yard(hanging, policy=WorkerPolicy(threads=1, ahead=0))
    yard.add()
    thread = yard.start()
    assert hanging.begun.wait(PATIENCE)
    yard.shell.stop()
    yard.shell.stop()
    thread.join(PATIENCE)
    hanging.let_go.set()

    assert not thread.is_alive()
    assert yard.left == [1]
    assert yard.states() == {State.CLAIMED}


def test_sigterm_and_ctrl_c_stop_it_and_the_old_handlers_come_back() -> None:
    """The way a supervisor ends a worker."""
    for number in (signal.SIGTERM, signal.SIGINT):
        yard = Yard(policy=WorkerPolicy(threads=1, poll_seconds=600.0))
        before = signal.getsignal(number)
        sender = threading.Thread(target=lambda n=number: os.kill(os.getpid(), n))
        with yard.shell.handling_signals() as shell:
            sender.start()
            left = shell.run()
        sender.join()

        assert left == 0
        assert signal.getsignal(number) is before


def test_signals_are_left_alone_outside_the_main_thread() -> None:
    """Python allows handlers in the main thread only."""
    yard, before, seen = Yard(), signal.getsignal(signal.SIGTERM), []

    def inside() -> None:
        with yard.shell.handling_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join(PATIENCE)

    assert seen == [before]


def test_a_call_of_the_outbox_that_does_not_come_back_is_told_and_can_be_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hook breaks the connection: the call raises, and the worker goes on by itself."""
    broken = threading.Event()
    calls: list[Call] = []

    def on_stuck(call: Call) -> None:
        calls.append(call)
        broken.set()

    yard = Yard(stuck_seconds=0.05, on_stuck=on_stuck)
    yard.add()
    real, first = yard.outbox.claim, [True]

    def claim(**named: object) -> object:
        if first:
            first.clear()
            assert broken.wait(PATIENCE)
            raise ConnectionError("closed by the hook")
        return real(**named)  # type: ignore[arg-type]

    monkeypatch.setattr(yard.outbox, "claim", claim)

    yard.shell.run(until_idle=True)

    assert [call.operation for call in calls] == ["claim"]
    assert [fact.operation for fact in yard.seen.of(OutboxStuck)] == ["claim"]
    assert yard.states() == {State.DELIVERED}


def test_a_stuck_call_is_told_without_a_hook_too() -> None:
    """Once, however long it takes."""
    yard = Yard(stuck_seconds=0.02)
    told = threading.Event()
    yard.seen, seen = RecordingObserver(), yard.seen
    yard.worker.link.call = Call("settle", time.monotonic() - 1)

    watcher = threading.Thread(target=yard.shell._watch, daemon=True)
    watcher.start()
    for _ in range(200):
        if seen.of(OutboxStuck):
            break
        told.wait(0.01)
    told.wait(0.1)
    yard.shell._ended.set()
    watcher.join(PATIENCE)

    assert len(seen.of(OutboxStuck)) == 1


def test_an_error_of_the_worker_itself_ends_the_shell_and_its_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug is not hidden in a thread: it leaves `run`, and nothing is begun any more."""
    yard = Yard()

    def step() -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(yard.worker, "step", step)

    with pytest.raises(ZeroDivisionError):
        yard.shell.run()
    assert yard.worker.is_finished()
    assert yard.seen.of(WorkerStopped) == [WorkerStopped(worker="w1", left=0)]
