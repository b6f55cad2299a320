"""A PostgreSQL of a test's own, made with `initdb`: stopped as by a power cut, and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.crash.scene import free_port

USER = "postgres"


def binaries() -> Path:
    """The folder of `initdb` and `pg_ctl`: the newest of Debian's packages, or that of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("pg_ctl")
    if not found and on_path is None:
        raise FileNotFoundError("pg_ctl: install the package postgresql, not only its client")
    return (found[-1] if found else Path(on_path or "")).parent


class PostgresServer:
    """A cluster in a temporary folder, on a free port, open to this machine alone and without a password.

    It never flushes to the disk (`fsync = off`): what an immediate stop loses, it loses with that as well as
    without, because the operating system lives on.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._binaries = binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="rollout-postgres-"))
        self._data = self._folder / "data"
        if os.geteuid() == 0:  # the server refuses to run as root
            user = pwd.getpwnam(USER)
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        self._run("initdb", "--username", USER, "--auth", "trust", "--no-sync", "--pgdata", str(self._data))

    def settings(self, name: str = "postgres", *, port: int | None = None) -> dict[str, Any]:
        """Django's settings of one of its databases; *port* is another one to reach it by."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": USER,
            "HOST": "127.0.0.1",
            "PORT": str(port or self.port),
        }

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(self._folder / "log")
        self._run(
            "pg_ctl", "--wait", "--silent", "--pgdata", str(self._data), "-l", log, "-o", options, "start"
        )

    def stop_immediately(self) -> None:
        """End every process of it at once; the next start recovers from its log."""
        self._run("pg_ctl", "--wait", "--silent", "--pgdata", str(self._data), "-m", "immediate", "stop")

    def create(self, name: str) -> None:
        """Create a database."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, name)

    def close(self) -> None:
        """Stop it and remove its folder."""
        if (self._data / "postmaster.pid").exists():
            self.stop_immediately()
        shutil.rmtree(self._folder)

    def _run(self, command: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*as_user, str(self._binaries / command), *arguments],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout.decode()[-500:]}")


@contextmanager
def own_postgres() -> Iterator[PostgresServer]:
    """A server for one test."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()
