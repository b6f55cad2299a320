"""A worker: what claims deliveries from an outbox, has them attempted, and settles what came of them.

The contents page; each name is imported from its own module when it is first used. Explained in
docs/explanation/outbox.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhooks_core.worker.claiming import Claiming as Claiming
    from webhooks_core.worker.plan import Phase as Phase
    from webhooks_core.worker.policy import WorkerPolicy as WorkerPolicy
    from webhooks_core.worker.service import Worker as Worker
    from webhooks_core.worker.service import WorkerStatus as WorkerStatus

_HOMES = {
    "Claiming": "claiming",
    "Phase": "plan",
    "Worker": "service",
    "WorkerPolicy": "policy",
    "WorkerStatus": "service",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 (a list; the names stand above)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
