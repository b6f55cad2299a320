"""PostgreSQL's `NOTIFY` as a hint: rows were committed, so a worker may look at once instead of at its poll.

A hint and no more: it carries nothing, and one that is lost costs at most a poll. Sent with the INSERT itself
(`outbox/entry.py`), heard by a thread of the worker's with a connection of its own. Invariant: whatever
happens to that connection, the worker goes on by its poll. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event  # noqa: TID251 - the shell's

from django.db import connections

from webhooks_core.django.outbox.entry import channel_of
from webhooks_core.worker.events import OutboxFailed

LOOK_SECONDS = 1.0  # how soon a thread that hears nothing notices that its worker has ended
AGAIN_SECONDS = 5.0  # after a connection that failed; meanwhile there is the poll


class Ear:
    """Listen for committed rows; to be run in a thread of its own, see `WorkerShell`.

    Args:
        alias: The outbox's database, on PostgreSQL with psycopg 3.2 or later.
        environment: Whose rows.
        worker: The name to tell a failure by.
        tell: Told once of each time in which nothing can be heard.
    """

    def __init__(
        self, alias: str, environment: str, *, worker: str, tell: Callable[[OutboxFailed], None]
    ) -> None:
        self._alias = alias
        self._channel = channel_of(environment)
        self._worker = worker
        self._tell = tell
        self._is_deaf = False

    def __call__(self, hint: Callable[[], None], ended: Event) -> None:
        """Call *hint* whenever rows may have been committed, until *ended*."""
        while not ended.is_set():
            try:
                self._listen(hint, ended)
            except Exception as error:  # noqa: BLE001 - told as a fact; the poll finds what is not heard of
                if not self._is_deaf:
                    self._tell(self._failed(error))
                self._is_deaf = True
                ended.wait(AGAIN_SECONDS)
            finally:
                connections[self._alias].close()  # this thread's own

    def _listen(self, hint: Callable[[], None], ended: Event) -> None:
        connection = connections[self._alias]
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {connection.ops.quote_name(self._channel)}")
        self._is_deaf = False
        hint()  # of what was committed before anybody listened
        raw = connection.connection
        while not ended.is_set():
            if list(raw.notifies(timeout=LOOK_SECONDS, stop_after=1)):
                hint()

    def _failed(self, error: Exception) -> OutboxFailed:
        name = type(error).__name__
        return OutboxFailed(worker=self._worker, operation="listen", error=name, retry_seconds=AGAIN_SECONDS)
