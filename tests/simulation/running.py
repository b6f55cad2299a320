"""Run seeds over one store or the other, in this process or in several.

Invariant: nothing here knows Django until the ORM is asked for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.stores import MemoryStores
from tests.simulation.world import Outcome, simulate

STORES = ("memory", "orm")
SHARED_MEMORY = Path("/dev/shm")  # a file there costs no disk


@dataclass(frozen=True, slots=True)
class Runner:
    """Run seeds over *store*; *folder* is where the databases of the processes are, one for each."""

    store: str
    folder: Path | None = None

    def __call__(self, seed: int, *, trace: bool = False) -> Outcome:
        """Run one seed."""
        if self.folder is None:
            return simulate(seed, trace=trace, make_stores=MemoryStores)
        from tests.simulation.database import opened

        opened(self.folder)
        from tests.simulation.orm import OrmStores

        return simulate(seed, trace=trace, make_stores=OrmStores)

    def replay(self, seed: int) -> str:
        """Return the command that runs *seed* again."""
        store = "" if self.store == STORES[0] else f" --store {self.store}"
        return f"python -m tests.simulation{store} --seed {seed} --trace"


@contextmanager
def ready(store: str) -> Iterator[Runner]:
    """Return what runs seeds over *store*; its databases are removed afterwards."""
    if store == STORES[0]:
        yield Runner(store)
        return
    where = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    from tests.simulation import database

    database.set_up()
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=where) as folder:
        yield Runner(store, Path(folder))
        database.close()
