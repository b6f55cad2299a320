"""Facts about a worker, beside those about deliveries in `webhooks_core.events`.

Frozen values; nothing here knows who listens. Invariant: no fact holds a body, a secret or a URL; errors are
told by the name of their kind. `observers/worker_log.py` has the lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from webhooks_core.events import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted:
    """A worker begins to claim."""

    worker: str
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopped:
    """A worker ends. `left` is how many deliveries it still held: their leases run out by themselves."""

    worker: str
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxFailed:
    """A call of the outbox raised; it may have been carried out. The next one is in `retry_seconds`."""

    worker: str
    operation: str
    error: str
    retry_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRecovered:
    """The outbox answers again, `failures` calls after it began to fail."""

    worker: str
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStuck:
    """A call of the outbox has not come back for `seconds`: a dead connection, most likely."""

    worker: str
    operation: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLost:
    """A lease was lost before its delivery was settled: somebody else sends it, perhaps once more."""

    worker: str
    endpoint: str
    webhook_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRows:
    """Rows of another environment are in the outbox; they are left alone."""

    worker: str
    environment: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOff:
    """Our clock differs from the store's; `seconds` above 0: ours is behind."""

    worker: str
    seconds: float


WorkerFact = (
    WorkerStarted
    | WorkerStopped
    | OutboxFailed
    | OutboxRecovered
    | OutboxStuck
    | ClaimLost
    | ForeignRows
    | ClockOff
)
WorkerObserver = Callable[[Fact | WorkerFact], None]
