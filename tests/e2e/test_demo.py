"""The demo measures what it claims, prints it calmly, and ends well."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from example_process import EXAMPLE, environment

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture(scope="module")
def demo() -> subprocess.CompletedProcess[str]:
    """One run of the short form."""
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "demo.py"), "--quick", "--json"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_expectation_of_the_demo_holds(demo: subprocess.CompletedProcess[str]) -> None:
    """Exit status 0, and the last line is one JSON object that says the same."""
    found = json.loads(demo.stdout.splitlines()[-1])

    assert [expectation for expectation in found["expectations"] if not expectation["ok"]] == []
    assert (found["ok"], demo.returncode, demo.stderr) == (True, 0, "")
    assert all(
        set(expectation) == {"name", "ok", "measured", "wanted"} for expectation in found["expectations"]
    )


def test_the_demo_measures_each_thing_it_shows(demo: subprocess.CompletedProcess[str]) -> None:
    """Steps, faults, outage, replays, stopping, personal data: each has its claims."""
    names = " | ".join(
        expectation["name"] for expectation in json.loads(demo.stdout.splitlines()[-1])["expectations"]
    )

    for word in (
        "100 %",
        "503",
        "400",
        "silence",
        "breaker",
        "replay",
        "kill file",
        "master switch",
        "personal data",
    ):
        assert word in names, word


def test_the_demo_says_which_times_are_shortened(demo: subprocess.CompletedProcess[str]) -> None:
    """Each beside its default."""
    for text in ("WEBHOOK_TIMEOUT = 1 (default 10)", "WEBHOOK_CB_OPEN_SECONDS = 2 (default 60)"):
        assert text in demo.stdout


def test_no_line_for_people_is_longer_than_a_terminal(demo: subprocess.CompletedProcess[str]) -> None:
    """At most 100 columns; only the JSON is for programs."""
    assert [line for line in demo.stdout.splitlines()[:-1] if len(line) > 100] == []
