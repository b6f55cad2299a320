"""The worker's line to its outbox: each call guarded, failures told, backed off from and recovered from.

Invariants: an outbox that raises never ends the worker; between two tries at least the back-off passes; what
a failed call left behind is supposed unknown. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from webhooks_core.worker.events import OutboxFailed, OutboxRecovered, WorkerFact
from webhooks_core.worker.policy import WorkerPolicy

T = TypeVar("T")


class Call(NamedTuple):
    """A call that has not come back: what it is, and since when (monotonic)."""

    operation: str
    since: float


class Link:
    """Call an outbox.

    Args:
        worker: The name to tell facts by.
        policy: How to back off.
        tell: Told of failures and of the recovery.
        monotonic: Seconds for measuring.
    """

    def __init__(
        self,
        worker: str,
        policy: WorkerPolicy,
        *,
        tell: Callable[[WorkerFact], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.retry_at = 0.0
        self.call: Call | None = None
        self._worker = worker
        self._policy = policy
        self._tell = tell
        self._monotonic = monotonic
        self._failures = 0

    @property
    def is_down(self) -> bool:
        """Whether the last call failed."""
        return self._failures > 0

    def ask(self, operation: str, call: Callable[[], T], *, is_proof: bool = True) -> T | None:
        """Return what *call* returns, or None where it raised; then nothing is to be asked for a while.

        Args:
            operation: What to tell it by.
            call: Calls the outbox, or something beside it.
            is_proof: An answer shows that the outbox is back. One that may come from memory does not.
        """
        self.call = Call(operation, self._monotonic())
        try:
            answer = call()
        except Exception as error:  # noqa: BLE001 - told as a fact; the worker goes on
            self._failed(operation, error)
            return None
        finally:
            self.call = None
        if self._failures and is_proof:
            self._tell(OutboxRecovered(worker=self._worker, failures=self._failures))
            self._failures = 0
        return answer

    def _failed(self, operation: str, error: Exception) -> None:
        wait = min(
            self._policy.max_backoff_seconds, self._policy.backoff_seconds * 2.0 ** min(self._failures, 16)
        )
        self._failures += 1
        self.retry_at = self._monotonic() + wait
        self._tell(
            OutboxFailed(
                worker=self._worker, operation=operation, error=type(error).__name__, retry_seconds=wait
            )
        )
