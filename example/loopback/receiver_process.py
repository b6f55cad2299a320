"""A real receiver in a process of its own, over real HTTP on the loopback interface.

It is `manage.py serve_receiver`, ends when this process does (its standard input closes), and can be killed
and started again on the same port. What it has verified is asked of it over HTTP, never assumed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

EXAMPLE = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the receiver answered."""

    status: int
    body: str


class ReceiverProcess:
    """The receiver of a rehearsal. Use it in a `with` statement: leaving it ends the process."""

    def __init__(self, *, secret: str, folder: Path) -> None:
        self.secret = secret
        self.log = folder / "receiver.log"
        self.port = 0
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return f"http://127.0.0.1:{self.port}/webhooks/inbound"

    def start(self) -> None:
        """Start it, on the port it had before where it had one, and wait until it says that it is ready."""
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "deltacrown.settings.receiver",
            "WEBHOOK_SECRET": self.secret,
            "RECEIVER_REHEARSAL": "1",
            "RECEIVER_LOG": str(self.log),
        }
        command = [sys.executable, str(EXAMPLE / "manage.py"), "serve_receiver", "--port", str(self.port)]
        self._child = subprocess.Popen(  # noqa: S603 (our own command, no shell)
            command, cwd=EXAMPLE, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._child.stdout is not None
        line = (
            self._child.stdout.readline()
        )  # empty when it ended before it was ready; its error is on our stderr
        if not line:
            raise RuntimeError(f"the receiver did not start (status {self._child.wait()})")
        self.port = int(json.loads(line)["port"])

    def kill(self) -> None:
        """Let it die at once, as a crash would; safe to call twice."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def plan_faults(self, *script: object) -> None:
        """Say how the next requests are answered, see `apps.receiver.faults`."""
        self._ask("POST", "/webhooks/rehearsal/faults", json.dumps(script).encode())

    def report(self, *, since: int = 0, last: int = 0) -> dict[str, object]:
        """Ask what it has counted: `requests`, `answers`, `verified_total`, `verified`, `kept`."""
        found: dict[str, object] = json.loads(
            self._ask("GET", f"/webhooks/rehearsal/report?since={since}&last={last}").body
        )
        return found

    def health(self) -> Reply:
        """Ask how it is."""
        return self._ask("GET", "/webhooks/health")

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send raw bytes to it, as somebody who captured a request would."""
        return self._ask("POST", "/webhooks/inbound", body, headers)

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(status=response.status, body=response.read().decode())
        finally:
            connection.close()

    def __enter__(self) -> ReceiverProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
