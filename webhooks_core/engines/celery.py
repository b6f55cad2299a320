"""The engine `celery`, as whoever records an event sees it: a hint to Celery that rows were committed.

A message holds one delivery's id and nothing else; it can wake a worker up and do nothing more, because what
is sent, and when, is decided by the row. The project's app is handed over, Celery not imported. Invariants: a
hint never raises and never takes longer than `wait_seconds`, whatever the broker does; no message has an
`eta`, a `countdown` or a retry of Celery's. Explained in docs/how-to/use-celery.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

from webhooks_core import event_loop
from webhooks_core.events import HintFailed, Observer, emit

DELIVER = "webhooks.deliver"  # the tasks' names are on the wire: they stay
SWEEP = "webhooks.sweep"
STRATEGY = "webhooks_core.engines.celery:strategy"
EVERY = 64  # one message for each batch that a worker claims: one that is awake goes on until nothing is due
TRANSIENT = 1  # AMQP's word: a broker need not write a hint to its disk before it confirms it
WAIT_SECONDS = 1.0  # what a broker that is away may cost a request, once in `PAUSE_SECONDS` a process
PAUSE_SECONDS = 5.0
SWEEP_EXPIRES_SECONDS = 30.0  # nobody needs yesterday's wake-ups: beat sends more of them

_Message = tuple[str, list[str], float | None]  # task, arguments, expires

# Of a connection that only says a few words and must not wait. A message is confirmed, so that one which was
# written to a line that is dead is sent again on a new one.
_BRIEF = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "read_timeout": WAIT_SECONDS,
    "write_timeout": WAIT_SECONDS,
    "confirm_publish": True,
    "socket_timeout": WAIT_SECONDS,
    "socket_connect_timeout": WAIT_SECONDS,
}


def queue_name(environment: str) -> str:
    """Return the queue of one environment: `production.webhooks`; without a name, `webhooks`."""
    return f"{environment}.webhooks" if environment else "webhooks"


class CeleryHint:
    """Tell Celery's workers that there are rows. Safe to share between threads, not between processes.

    Args:
        app: The project's `celery.Celery`.
        queue: Where the messages go.
        observer: Told where a hint could not be sent: it is lost, and a sweep finds the row.
        wait_seconds: How long a call waits for the broker. In a running event loop it does not wait.
        pause_seconds: After a failure nothing is sent for so long.
        monotonic: Seconds for measuring.
    """

    def __init__(
        self,
        app: Any,
        *,
        queue: str,
        observer: Observer | None = None,
        wait_seconds: float = WAIT_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._queue = queue
        self._observer = observer
        self._wait_seconds = wait_seconds
        self._pause_seconds = pause_seconds
        self._monotonic = monotonic
        self._not_before = float("-inf")
        # One thread has the connection, so that it is kept alive, and can be waited for.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="webhooks-hint")
        self._producer: Any = None

    def __call__(self, webhook_ids: Sequence[str]) -> None:
        """Say that the rows *webhook_ids* were committed; without any, that something may be due."""
        if self._monotonic() < self._not_before:
            return
        try:
            sent = self._thread.submit(self._tell, tuple(webhook_ids)[::EVERY])
        except RuntimeError as error:  # the interpreter ends
            self._failed(type(error).__name__)
            return
        if not event_loop.is_running() and not wait([sent], timeout=self._wait_seconds).done:
            self._failed("TimeoutError")

    def close(self) -> None:
        """Close the connection, without waiting for it."""
        self._thread.submit(self._drop)
        self._thread.shutdown(wait=False)

    def _tell(self, webhook_ids: Sequence[str]) -> None:
        is_old = self._producer is not None
        try:
            if not self._app.conf.task_always_eager:  # it would be sent here, which is not what was asked for
                self._publish(webhook_ids)
        except Exception as error:  # noqa: BLE001 - told as a fact; a hint is only a hint
            self._drop()
            if is_old:  # the broker may have closed a line that was idle: once more on a new one
                self._tell(webhook_ids)
            else:
                self._failed(type(error).__name__)

    def _publish(self, webhook_ids: Sequence[str]) -> None:
        if self._producer is None:
            connection = self._app.connection_for_write(
                connect_timeout=self._wait_seconds, heartbeat=0, transport_options=_BRIEF
            )
            self._producer = self._app.amqp.Producer(connection)
        messages: list[_Message] = [(DELIVER, [name], None) for name in webhook_ids]
        messages = messages or [(SWEEP, [], SWEEP_EXPIRES_SECONDS)]
        for task, arguments, expires in messages:
            self._app.send_task(
                task,
                args=arguments,
                producer=self._producer,
                queue=self._queue,
                expires=expires,
                serializer="json",
                delivery_mode=TRANSIENT,
                retry=False,
                ignore_result=True,
                add_to_parent=False,
            )

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(Exception):  # a line that is dead need not be closed well
            producer.connection.release()

    def _failed(self, error: str) -> None:
        now = self._monotonic()
        is_news, self._not_before = now >= self._not_before, now + self._pause_seconds
        if is_news:
            emit(
                self._observer,
                HintFailed(engine="celery", error=error, retry_seconds=self._pause_seconds),
            )


def strategy(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """Read messages as Celery does, but refuse one that is none: Celery 5.7 would end its whole worker.

    A task's `Strategy`. Raises `InvalidTaskError` while a message is read; it is then logged and thrown away.
    """
    from celery.exceptions import InvalidTaskError  # type: ignore[import-untyped]
    from celery.worker.strategy import default  # type: ignore[import-untyped]

    handle = default(task, app, consumer, **options)

    def handle_strictly(*message: Any, **more: Any) -> Any:
        try:
            return handle(*message, **more)
        except Exception as error:
            raise InvalidTaskError(f"not a message of ours: {type(error).__name__}") from error

    return handle_strictly
