"""Worker processes as a project runs them: built from its settings, logging at INFO to a file of their own.

Each is a process with nothing else in it, told by a pipe when to work; `manage.py webhooks worker` builds the
very same shell. `after` may change a shell before it runs, for what no project would do.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webhooks_core.engines.worker import WorkerShell

_PATIENCE_SECONDS = 600.0
_LINE = "%(asctime)s %(levelname)s %(message)s"


def log_to(path: Path, *names: str) -> Callable[[], None]:
    """Have loggers write INFO to a file, as all that is measured does; return what ends it."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter(_LINE))
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)

    def end() -> None:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()

    return end


class Crew:
    """The parent's end of some worker processes."""

    def __init__(self, pipes: list[Connection], pids: list[int]) -> None:
        self.pids = pids
        self._pipes = pipes

    def run(self) -> float:
        """Have all of them work until nothing is due; return the seconds until the last one is idle."""
        begun = time.perf_counter()
        self.start(until_idle=True)
        self.wait()
        return time.perf_counter() - begun

    def start(self, *, until_idle: bool = False) -> None:
        """Have all of them begin."""
        for pipe in self._pipes:
            pipe.send(until_idle)

    def wait(self) -> None:
        """Wait until all of them have ended a run."""
        for pipe in self._pipes:
            if not pipe.poll(_PATIENCE_SECONDS):
                raise TimeoutError("a worker does not come to an end")
            problem = pipe.recv()
            if problem is not None:
                raise RuntimeError(f"a worker failed: {problem}")


@contextmanager
def crew(
    aliases: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
    *,
    directory: Path,
    workers: int = 1,
    policy: Mapping[str, Any] | None = None,
    after: Callable[[WorkerShell], None] | None = None,
) -> Iterator[Crew]:
    """Start worker processes that wait for `run`.

    Args:
        aliases: What stands in `DATABASES`.
        settings: Django's others.
        directory: Where the logs go.
        workers: How many.
        policy: Arguments of `WorkerPolicy`; what is missing is its default.
        after: A function of a module, called with each shell before it runs.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pipes, pids = [], []
        for number in range(workers):
            ours, theirs = context.Pipe()
            log = directory / f"worker-{time.monotonic_ns()}-{number}.log"
            world = (dict(aliases), dict(settings), dict(policy or {}), log, after)
            process = context.Process(target=_work, args=(theirs, *world), daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.terminate)
            theirs.close()
            pipes.append(ours)
            pids.append(process.pid or 0)
        for pipe in pipes:
            pipe.recv()
        yield Crew(pipes, pids)


def _work(
    pipe: Connection,
    aliases: dict[str, Any],
    settings: dict[str, Any],
    policy: dict[str, Any],
    log: Path,
    after: Callable[[WorkerShell], None] | None,
) -> None:
    from databases import configure

    configure(aliases, **settings)
    log_to(log, "webhooks")
    from webhooks_core.django import working
    from webhooks_core.worker import WorkerPolicy

    whole = WorkerPolicy(**policy)
    working.shell(whole)  # everything is imported, and its part of the settings read
    pipe.send(None)
    while True:
        try:
            until_idle = pipe.recv()
        except EOFError:
            return
        shell = working.shell(whole)
        if after is not None:
            after(shell)
        left = shell.run(until_idle=until_idle)
        pipe.send(f"{left} deliveries are left in hand" if left else None)
