"""The fixture `flag_override`: on or off for one test, gone in the next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]

PROJECT = """
from rollout import Gate, KillFile, LiveFlags, MappingSource

gate = Gate("f", LiveFlags(MappingSource({"f": {"percentage": 0}}), kill=KillFile("kill")))

def test_it_is_on(flag_override):
    flag_override("f", on=True)
    assert gate(1).value
    flag_override("f", on=False)
    flag_override("g", on=True)
    assert not gate(1).value

def test_it_is_as_configured():
    assert gate(1).detail == "percentage 0"
"""


def test_a_flag_is_overridden_for_one_test(tmp_path: Path) -> None:
    """In a pytest run of its own, with this plugin alone."""
    (tmp_path / "test_project.py").write_text(PROJECT)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "rollout.testing.pytest_plugin", "test_project.py"]
    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}

    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    assert "2 passed" in run.stdout, run.stdout
