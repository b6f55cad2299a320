"""Processes of `manage.py` that drive or follow a rollout on the database of a world."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.outbox.conftest import ROOT, Process, World

PATIENCE_SECONDS = 20.0
# Of processes whose lines nobody reads: a pipe that is full would stop them.
SILENT = {"version": 1, "loggers": {"webhooks": {"level": "CRITICAL"}, "rollout": {"level": "CRITICAL"}}}


def environment(world: World, kill_file: Path, **changes: Any) -> dict[str, str]:
    """What such a process is told; *changes* are settings."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.integration.rollout.settings",
        "PYTHONPATH": str(ROOT),
        "TEST_DATABASE": json.dumps(world.database),
        "TEST_RECEIVER_PORT": str(world.receiver.port),
        "TEST_KILL_FILE": str(kill_file),
        **({"TEST_CHANGES": json.dumps(changes)} if changes else {}),
    }


def start(world: World, kill_file: Path, *arguments: str, folder: Path = ROOT, **changes: Any) -> Process:
    """Start `manage.py …` in *folder*, where it looks for packages first."""
    process = subprocess.Popen(
        [sys.executable, "-m", "django", *arguments],
        cwd=folder,
        env=environment(world, kill_file, **changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    world.processes.append(process)
    return process


def finish(process: Process) -> tuple[int, str, str]:
    """Wait for the end; return exit code, output and errors."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)
