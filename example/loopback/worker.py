"""Workers of a rehearsal: `manage.py webhooks worker` in a process of its own, or one in a thread of ours.

The process is the real command; it can be killed, or asked to stop, as any supervisor would. The thread is
for the smoke tests, which look at each request as it leaves.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

EXAMPLE = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.1  # default 1: how long a new event lies before a worker looks


class WorkerProcess:
    """One worker.

    Args:
        name: What its log lines and `manage.py webhooks list` call it.
        log: The file that the project logs to; its line `started` says that the worker works.
        options: More of the command's options.
    """

    def __init__(self, name: str, *, log: Path, options: tuple[str, ...] = ()) -> None:
        self.name = name
        self._log = log
        self._options = options
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it claims."""
        before = self._starts()
        command = [
            *(sys.executable, "-m", "loopback.lifeline", "manage.py"),
            *("webhooks", "worker", "--name", self.name, "--poll", str(POLL_SECONDS)),
            *self._options,
        ]
        # A session of its own: Ctrl-C is for the demo, which then ends its worker.
        self._child = subprocess.Popen(  # noqa: S603 (our own command, no shell)
            command,
            cwd=EXAMPLE,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._starts() == before:
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the worker {self.name} did not start")
            time.sleep(0.05)

    def _starts(self) -> int:
        """Return how often the log says that it has started."""
        told = f"worker={self.name}"
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        return sum("Webhook worker started" in line and line.endswith(told) for line in lines)

    def stop(self) -> int:
        """Ask it to stop, as `systemctl stop` does; return its exit status: 0 where nothing was left."""
        assert self._child is not None
        self._child.send_signal(signal.SIGTERM)
        status = self._child.wait(PATIENCE_SECONDS)
        self.kill()
        return status

    def kill(self) -> None:
        """`kill -9`: it ends in the middle of whatever it does."""
        if self._child is not None:
            self._child.kill()
            self._child.wait(PATIENCE_SECONDS)
            assert self._child.stdin is not None
            self._child.stdin.close()
            self._child = None


class Workers:
    """The workers of a run; leaving the `with` statement ends those that are left."""

    def __init__(self, *, log: Path) -> None:
        self._log = log
        self._all: list[WorkerProcess] = []

    def start(self, name: str, *options: str) -> WorkerProcess:
        """Start one more, and wait until it claims."""
        worker = WorkerProcess(name, log=self._log, options=options)
        self._all.append(worker)
        worker.start()
        return worker

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._all:
            worker.kill()


@contextmanager
def worker_thread() -> Iterator[None]:
    """Run a worker in a thread of this process while inside; at the end it finishes what it has begun."""
    from django.db import connections

    from webhooks_core.django import working
    from webhooks_core.worker import WorkerPolicy

    shells = []
    is_built = threading.Event()

    def work() -> None:
        try:
            # In the thread that runs it: its connection to the database is that thread's.
            shells.append(working.shell(WorkerPolicy(poll_seconds=POLL_SECONDS)))
            is_built.set()
            shells[0].run()
        finally:
            is_built.set()
            connections.close_all()

    thread = threading.Thread(target=work, name="webhooks-worker", daemon=True)
    thread.start()
    is_built.wait()
    try:
        yield
    finally:
        for shell in shells:
            shell.stop()
        thread.join(PATIENCE_SECONDS)
