"""The contents pages as a user's mypy and editor see them, though names are loaded when first used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("typing")]


def mypy(code: str, *, cache: Path) -> str:
    """What a strict mypy says of *code*, without a setting of ours."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--cache-dir",
        str(cache),
        "-c",
        code,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_a_name_of_the_contents_page_has_its_type_and_a_misspelt_one_is_an_error(tmp_path: Path) -> None:
    """Names come one by one or all at once; none of them is `object`, and what is not there is told."""
    code = (
        "from rollout import *; import rollout, webhooks_core;"
        "reveal_type(judge); reveal_type(rollout.Percentage.parse(5)); reveal_type(webhooks_core.seal);"
        "rollout.Percentag; webhooks_core.Sendr"
    )

    said = mypy(code, cache=tmp_path)

    assert "-> rollout.verdict.Verdict" in said
    assert '"rollout.percentage.Percentage"' in said
    assert "-> webhooks_core.envelope.Envelope" in said
    assert 'Module has no attribute "Percentag"; maybe "Percentage"' in said
    assert 'Module has no attribute "Sendr"; maybe "Sender"' in said
    assert said.count("error:") == 2
