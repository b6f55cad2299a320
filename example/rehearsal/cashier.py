"""Another process of the platform: verifies payments, one after the other, until its standard input closes.

Started by the chapter about stopping, because a kill switch that stops one process proves little.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

BETWEEN_SECONDS = 0.01  # payments: enough to stop something, and little to send afterwards
EXAMPLE = Path(__file__).resolve().parents[1]


@contextmanager
def cashiers(count: int) -> Iterator[None]:
    """Run *count* such processes, begun when the block begins and gone when it ends."""
    with ExitStack() as stack:
        children = [_start(stack) for _ in range(count)]
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()  # its first payment is done
        yield


def _start(stack: ExitStack) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(  # noqa: S603 (our own command, no shell)
        [
            sys.executable,
            str(EXAMPLE / "manage.py"),
            "shell",
            "-v0",
            "-c",
            "from rehearsal import cashier; cashier.work()",
        ],
        cwd=EXAMPLE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    stack.enter_context(child)
    stack.callback(child.kill)
    return child


def work() -> None:
    """Verify payments for ever; says `ready` after the first one."""
    from loopback.lifeline import end_with_parent
    from rehearsal.world import reopen

    end_with_parent()
    world = reopen()
    for number, tournament_id in enumerate(itertools.cycle(world.tournament_ids)):
        world.pay(tournament_id)
        time.sleep(BETWEEN_SECONDS)
        if number == 0:
            print("ready", flush=True)
