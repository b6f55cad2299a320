"""Run the example in processes of its own: other settings, other apps, a fresh interpreter each time."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "example"
LEFT_OUT = (
    "DJANGO_",
    "WEBHOOK",
    "NOTIFICATIONS_",
    "ROLLOUT_KILL",
    "RECEIVER_",
    "DEMO_",
    "ENVIRONMENT",
    "COVERAGE_",
)


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without what would configure the example, and with *extra*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    return {**kept, "PYTHONPATH": str(ROOT), **extra}


def manage(settings: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` with the settings module `deltacrown.settings.<settings>`."""
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "manage.py"), *arguments],
        cwd=EXAMPLE,
        env=environment(DJANGO_SETTINGS_MODULE=f"deltacrown.settings.{settings}", **extra),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder that *make* has filled: once for all workers of pytest-xdist, the others wait."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    place = base / name
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "done").exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            make(place)
            (place / "done").touch()
    return place


def script(name: str, *arguments: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run one of `scripts/` in *cwd*."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / name), *arguments],
        cwd=cwd,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
