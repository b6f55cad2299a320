"""Other providers as a test sees them: say what they answer, and have them stop."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Protocol

from ld_openfeature import LaunchDarklyProvider
from ldclient.config import Config
from ldclient.integrations.test_data import TestData
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.provider import AbstractProvider

FLAG = "their-flag"


class Peer(Protocol):
    """One of them."""

    provider: AbstractProvider

    def says(self, value: bool) -> None:
        """Answer *value* to everybody from now on."""

    def disables(self) -> None:
        """Have the flag off as that provider knows it."""


class Flagd:
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
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"flags": {FLAG: flag}}))
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


class LaunchDarkly:
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


def close() -> None:
    """Take every provider away; the watcher thread of flagd ends by itself."""
    api.shutdown()
