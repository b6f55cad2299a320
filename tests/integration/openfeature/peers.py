"""Other providers as a test sees them: say what they answer, and have them stop."""

from __future__ import annotations

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from ld_openfeature import LaunchDarklyProvider
from ldclient.config import Config
from ldclient.integrations.test_data import TestData
from ldclient.interfaces import DataSourceState
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider import AbstractProvider
from unleash_openfeature_python_provider import UnleashFlagProvider

FLAG = "their-flag"


class Peer(Protocol):
    """One of them."""

    provider: AbstractProvider

    def says(self, value: bool) -> None:
        """Answer *value* to everybody from now on."""

    def disables(self) -> None:
        """Have the flag off as that provider knows it."""

    def close(self) -> None:
        """End what is the peer's own."""


class Flagd(Peer):
    """Flagd's provider in file mode: a watcher thread reads the file again when its time changes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "flagd.json"
        self.moment = time.time()
        self._write(value=True)
        self.provider = FlagdProvider(
            resolver_type=ResolverType.FILE, offline_flag_source_path=str(self.path), deadline_ms=10
        )

    def _write(self, *, value: bool, state: str = "ENABLED") -> None:
        flag: dict[str, Any] = {
            "state": state,
            "variants": {"yes": True, "no": False},
            "defaultVariant": "yes" if value else "no",
        }
        self.writes(json.dumps({"flags": {FLAG: flag}}))

    def writes(self, text: str) -> None:
        """Put *text* in the file's place, in one step; it is read soon."""
        new = self.path.with_suffix(".new")
        new.write_text(text)
        self.moment += 1  # the watcher looks at nothing but the time
        os.utime(new, (self.moment, self.moment))
        os.replace(new, self.path)

    def says(self, value: bool) -> None:
        """Write the file, and wait until it was read."""
        self._write(value=value)
        self._until("STATIC", value)

    def disables(self) -> None:
        """Flagd answers the caller's default then."""
        self._write(value=True, state="DISABLED")
        self._until("DISABLED", False)

    def _until(self, reason: str, value: bool) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            details = self.provider.resolve_boolean_details(FLAG, False)
            if (details.reason, details.value) == (reason, value):
                return
            time.sleep(0.005)
        raise AssertionError(f"flagd did not read its file: {details}")


class LaunchDarkly(Peer):
    """LaunchDarkly's provider over its own test data: no network."""

    def __init__(self, _folder: Path) -> None:
        self.data = TestData.data_source()
        self.says(True)
        config = Config("sdk-key", update_processor_class=self.data, send_events=False)
        self.provider = LaunchDarklyProvider(config)

    def says(self, value: bool) -> None:
        """Update the flag."""
        flag = self.data.flag(FLAG).boolean_flag().on(True)
        self.data.update(flag.fallthrough_variation(value))

    def disables(self) -> None:
        """Turn the flag off: its off variation is false."""
        self.data.update(self.data.flag(FLAG).on(False))

    def lives(self, state: DataSourceState) -> None:
        """Say how its connection is, as its own client would."""
        self.provider.client._config.data_source_update_sink.update_status(state, None)


class Unleash(Peer):
    """Unleash's client over a server of the test's own, which it asks every second, the least there is."""

    def __init__(self, folder: Path) -> None:
        from UnleashClient.cache import FileCache

        self.body = b""
        self._serve(share=100)
        peer = self

        class Server(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(peer.body)))
                self.end_headers()
                self.wfile.write(peer.body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.provider = UnleashFlagProvider(
            f"http://127.0.0.1:{self.server.server_port}/api",
            "test",
            cache=FileCache("test", directory=str(folder / "unleash")),
            refresh_interval=1,
            request_retries=0,
            disable_metrics=True,
            disable_registration=True,
        )

    def _serve(self, *, share: int, enabled: bool = True) -> None:
        parameters = {"rollout": str(share), "stickiness": "userId", "groupId": FLAG}
        strategy = {"name": "flexibleRollout", "parameters": parameters}
        feature = {"name": FLAG, "enabled": enabled, "strategies": [strategy]}
        self.body = json.dumps({"version": 2, "features": [feature]}).encode()

    def says(self, value: bool) -> None:
        """Have the server say so, and wait until it was asked."""
        self._serve(share=100 if value else 0)
        self._until(value)

    def disables(self) -> None:
        """Disable the feature."""
        self._serve(share=100, enabled=False)
        self._until(False)

    def _until(self, value: bool) -> None:
        until = time.monotonic() + 10
        while self.provider.resolve_boolean_details(FLAG, False, EvaluationContext("1")).value is not value:
            assert time.monotonic() < until, "Unleash did not ask its server"
            time.sleep(0.01)

    def close(self) -> None:
        """End the server."""
        self.server.shutdown()
        self.server.server_close()
