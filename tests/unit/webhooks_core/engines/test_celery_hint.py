"""A hint to Celery: what is published, and what a broker that is away costs. No broker, no network."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import InvalidTaskError

from rollout.testing import ManualClock
from webhooks_core.engines.celery import CeleryHint, queue_name, strategy
from webhooks_core.events import HintFailed
from webhooks_core.testing.observer import RecordingObserver

PATIENCE = 10.0


class FakeApp:
    """An app that notes what is sent, and fails where a test says so."""

    def __init__(self, *errors: Exception | None, gate: threading.Event | None = None) -> None:
        self.conf = SimpleNamespace(task_always_eager=False)
        self.amqp = SimpleNamespace(Producer=lambda connection: SimpleNamespace(connection=connection))
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.connections: list[dict[str, Any]] = []
        self.released = 0
        self._errors = list(errors)
        self._gate = gate

    def connection_for_write(self, **options: Any) -> Any:
        self.connections.append(options)
        return SimpleNamespace(release=self._release)

    def send_task(self, task: str, **options: Any) -> None:
        if self._gate is not None:
            assert self._gate.wait(PATIENCE)
        error = self._errors.pop(0) if self._errors else None
        if error is not None:
            raise error
        self.sent.append((task, options))

    def _release(self) -> None:
        self.released += 1
        raise ConnectionError("already gone")


def hint_to(app: FakeApp, **more: Any) -> CeleryHint:
    """A hint with a long patience."""
    return CeleryHint(app, queue="test.webhooks", **{"wait_seconds": PATIENCE, **more})


def test_a_message_is_an_id_in_json_and_nothing_else() -> None:
    """No eta, no countdown, no retry, no result; on a connection that does not wait long."""
    app = FakeApp()

    hint_to(app)(["a"])

    ((task, options),) = app.sent
    producer = options.pop("producer")
    assert producer is not None
    assert task == "webhooks.deliver"
    assert options == {
        "args": ["a"],
        "queue": "test.webhooks",
        "expires": None,
        "serializer": "json",
        "delivery_mode": 1,
        "retry": False,
        "ignore_result": True,
        "add_to_parent": False,
    }
    assert app.connections[0]["connect_timeout"] == PATIENCE
    assert app.connections[0]["transport_options"]["max_retries"] == 1


def test_without_ids_a_sweep_is_asked_for() -> None:
    """It expires: nobody needs yesterday's."""
    app = FakeApp()

    hint_to(app)(())

    assert [(task, options["args"], options["expires"]) for task, options in app.sent] == [
        ("webhooks.sweep", [], 30.0)
    ]


def test_many_rows_are_one_message_for_each_batch() -> None:
    """A worker that is awake goes on until nothing is due."""
    app = FakeApp()

    hint_to(app)([str(number) for number in range(130)])

    assert [options["args"] for _, options in app.sent] == [["0"], ["64"], ["128"]]


def test_the_connection_is_kept() -> None:
    """One for all calls."""
    app = FakeApp()
    hint = hint_to(app)

    hint(["a"])
    hint(["b"])

    assert len(app.connections) == 1
    assert len(app.sent) == 2


def test_a_line_that_was_closed_meanwhile_is_opened_again() -> None:
    """The broker restarted: the message goes out on a new connection, and nobody is told."""
    app, seen = FakeApp(None, ConnectionResetError()), RecordingObserver()
    hint = hint_to(app, observer=seen)
    hint(["a"])

    hint(["b"])

    assert [options["args"] for _, options in app.sent] == [["a"], ["b"]]
    assert (len(app.connections), app.released, seen.facts) == (2, 1, [])


def test_a_broker_that_is_away_is_told_once_and_left_alone_for_a_while(clock: ManualClock) -> None:
    """The call returns; for five seconds nothing is tried; then it is."""
    app, seen = FakeApp(OSError("refused"), OSError("refused")), RecordingObserver()
    hint = hint_to(app, observer=seen, monotonic=clock)

    hint(["a"])
    hint(["b"])
    clock.advance(5.0)
    hint(["c"])
    clock.advance(5.0)
    hint(["d"])

    assert seen.facts == [HintFailed(engine="celery", error="OSError", retry_seconds=5.0)] * 2
    assert [options["args"] for _, options in app.sent] == [["d"]]


def test_a_broker_that_does_not_answer_costs_a_bounded_time() -> None:
    """The caller goes on; the thread with the connection is the one that waits."""
    gate = threading.Event()
    app, seen = FakeApp(gate=gate), RecordingObserver()
    hint = hint_to(app, observer=seen, wait_seconds=0.01)

    hint(["a"])
    hint(["b"])
    gate.set()
    hint.close()

    assert seen.facts == [HintFailed(engine="celery", error="TimeoutError", retry_seconds=5.0)]


def test_in_an_event_loop_nobody_waits() -> None:
    """The loop goes on at once, and the message is sent."""
    gate, app = threading.Event(), FakeApp()
    app._gate = gate
    hint = hint_to(app)

    async def main() -> int:
        hint(["a"])
        return len(app.sent)

    sent_before = asyncio.run(main())
    gate.set()
    hint(["b"])

    assert sent_before == 0
    assert len(app.sent) == 2


def test_an_eager_app_is_told_nothing() -> None:
    """Else the request would send webhooks itself, or a message that nobody asked for."""
    app = FakeApp()
    app.conf.task_always_eager = True

    hint_to(app)(["a"])

    assert (app.sent, app.connections) == ([], [])


def test_closing_lets_go_of_the_connection() -> None:
    """And a hint that was never used closes, too."""
    app = FakeApp()
    hint, unused = hint_to(app), hint_to(FakeApp())
    hint(["a"])

    hint.close()
    unused.close()
    hint._thread.shutdown(wait=True)

    assert app.released == 1


def test_a_hint_at_the_end_of_the_process_is_lost_and_no_error() -> None:
    """The line is closed by then: told as any other failure."""
    seen = RecordingObserver()
    hint = hint_to(FakeApp(), observer=seen)
    hint.close()

    hint(["a"])

    assert seen.facts == [HintFailed(engine="celery", error="RuntimeError", retry_seconds=5.0)]


def test_a_queue_is_named_after_its_environment() -> None:
    """Contract §1: the environment prefixes every queue."""
    assert (queue_name("production"), queue_name("")) == ("production.webhooks", "webhooks")


def test_a_message_that_cannot_be_read_is_refused_and_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery takes `InvalidTaskError` for "log it, throw it away", and anything else for its own end."""

    def default(task: str, app: str, consumer: str, **options: object) -> Any:
        def handle(message: str) -> str:
            return f"{task} {app} {consumer} {options['more']}: {message}" if message else str(1 / 0)

        return handle

    monkeypatch.setattr("celery.worker.strategy.default", default)
    handle = strategy("task", "app", "consumer", more=1)

    read = handle("good")
    with pytest.raises(InvalidTaskError, match="not a message of ours: ZeroDivisionError"):
        handle("")

    assert read == "task app consumer 1: good"
