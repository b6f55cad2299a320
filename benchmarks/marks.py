"""What workers leave of their decisions: when each started an attempt last, and when it last did not.

In a page of shared memory for each process, which costs a worker no more than a write: `permit` is what
`WEBHOOKS["SEND_PERMIT"]` names, and `Fleet` reads. Moments are of the machine's monotonic clock, the same for
every process.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from webhooks_core.delivery import Permit
    from webhooks_core.settlement import Delivery

PATIENCE_SECONDS = 30.0
#: The variable that names the directory of the pages.
PLACE = "ROLLOUT_BENCH_REACH"
_MARK = struct.Struct("ddQ")


class Mark(NamedTuple):
    """What a worker leaves: when it last started an attempt, by which version, and when it last did not."""

    started_at: float
    stopped_at: float
    version: int


@cache
def _page(directory: str, pid: int) -> mmap.mmap:
    file = os.open(Path(directory, str(pid)), os.O_RDWR | os.O_CREAT)
    os.truncate(file, _MARK.size)  # and never shorter, for two threads may come here at once
    return mmap.mmap(file, _MARK.size)


def permit(delivery: Delivery) -> Permit:
    """Decide as every worker does, and leave when."""
    from rollout.django import wiring
    from rollout.django.permit import send_permit
    from webhooks_core.delivery import PermitVerdict

    page, poll = _page(os.environ[PLACE], os.getpid()), wiring.built().poll
    known = {} if poll is None else poll.look().controls
    answer = send_permit(delivery)
    now = time.monotonic()
    if answer.verdict is PermitVerdict.SEND:
        struct.pack_into("Q", page, 16, max((each.version for each in known.values()), default=0))
        struct.pack_into("d", page, 0, now)
    else:
        struct.pack_into("d", page, 8, now)
    return answer


class Fleet:
    """The workers, as their marks tell of them."""

    def __init__(self, directory: Path, *, workers: int) -> None:
        self._directory = directory
        self._workers = workers

    def marks(self) -> list[Mark]:
        """Return one for each worker that has decided anything."""
        pages = [path.read_bytes() for path in self._directory.iterdir()]
        return [Mark._make(_MARK.unpack(page)) for page in pages if len(page) == _MARK.size]

    def wait(self, holds: Callable[[Mark], bool], what: str) -> None:
        """Wait until *holds* of every worker."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not (len(marks := self.marks()) == self._workers and all(map(holds, marks))):
            if time.monotonic() > until:
                raise TimeoutError(f"in {PATIENCE_SECONDS:.0f} s not every worker {what}: {marks}")
            time.sleep(0.005)
