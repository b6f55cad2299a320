"""The demo measures what it claims, prints it calmly, and ends well."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from example_process import EXAMPLE, environment, once

# One worker runs it once for all of them; another would only wait for that.
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one run of the short form has left what it printed, and its logs."""
    return once(tmp_path_factory, "demo", _run)


def _run(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "demo.py"), "--quick", "--json", "--folder", str(place / "run")],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    (place / "printed.json").write_text(json.dumps([done.returncode, done.stdout, done.stderr]))


@pytest.fixture(scope="module")
def folder(place: Path) -> Path:
    """Where the run left its logs."""
    return place / "run"


@pytest.fixture(scope="module")
def demo(place: Path) -> subprocess.CompletedProcess[str]:
    """What the run printed, and how it ended."""
    status, out, err = json.loads((place / "printed.json").read_text())
    return subprocess.CompletedProcess("demo.py", status, out, err)


def test_every_expectation_of_the_demo_holds(demo: subprocess.CompletedProcess[str]) -> None:
    """Exit status 0, and the last line is one JSON object that says the same."""
    found = json.loads(demo.stdout.splitlines()[-1])

    assert [expectation for expectation in found["expectations"] if not expectation["ok"]] == []
    assert (found["ok"], demo.returncode, demo.stderr) == (True, 0, "")
    assert all(
        set(expectation) == {"name", "ok", "measured", "wanted"} for expectation in found["expectations"]
    )


def test_the_demo_measures_each_thing_it_shows(demo: subprocess.CompletedProcess[str]) -> None:
    """Steps, faults, outage, crash, replays, stopping, personal data, the plan: each has its claims."""
    names = " | ".join(
        expectation["name"] for expectation in json.loads(demo.stdout.splitlines()[-1])["expectations"]
    )

    for word in (
        "100 %",
        "503",
        "400",
        "silence",
        "breaker",
        "recovered",
        "SIGTERM",
        "kill -9",
        "replay",
        "kill file",
        "held",
        "released",
        "master switch",
        "personal data",
        "trip file",
        "plan: 10 deliveries are too few",
        "plan: 5xx",
        "plan: slow receiver",
        "plan: an address",
        "plan: at the end",
    ):
        assert word in names, word


def test_the_demo_says_which_times_are_shortened(demo: subprocess.CompletedProcess[str]) -> None:
    """Each beside its default."""
    for text in (
        "WEBHOOK_TIMEOUT = 1 (default 10)",
        "WEBHOOK_CB_OPEN_SECONDS = 3 (default 60)",
        "--poll 0.1 (default 1)",
    ):
        assert text in demo.stdout


def test_the_demo_shows_why_a_plan_moved_in_numbers(
    demo: subprocess.CompletedProcess[str], folder: Path
) -> None:
    """What the journal has is counts, quantiles, the sequential test, the senders that stopped."""
    with closing(sqlite3.connect(folder / "demo.sqlite3")) as database:
        entries = [
            json.loads(content)
            for (content,) in database.execute("SELECT content FROM rollout_journalentry ORDER BY version")
        ]

    reasons = " | ".join(entry["reason"] for entry in entries)
    for numbers in (
        r"hold: success rate: 10 of 10 deliveries \(100 %\) arrived; 25 deliveries are needed",
        r"the sequential test of 80 % against 92 % stands at (9|\d\d)\.\d\d",
        r"p95 above 600 ms in [5-9] minutes in a row",
        r"personal data found: address at data\.\* in payment_verified",
        r"1 of 1 stopped, slowest \d\.\d s",
        r"advance_allowed: success rate: \d+ of \d+ deliveries \((9\d[.\d]*|100) %\) arrived;"
        r" the lower bound is 9\d\.\d %",
    ):
        assert re.search(numbers, reasons), numbers
    assert "stands at" in demo.stdout
    assert [entry["after"]["ceiling"] for entry in entries][-1] == "100"


def test_no_line_for_people_is_longer_than_a_terminal(demo: subprocess.CompletedProcess[str]) -> None:
    """At most 100 columns; only the JSON is for programs."""
    assert [line for line in demo.stdout.splitlines()[:-1] if len(line) > 100] == []


def test_the_demo_sends_from_a_worker_process_and_loses_nothing_to_kill_9(
    demo: subprocess.CompletedProcess[str], folder: Path
) -> None:
    """Four workers in turn, the second one killed: the others have stopped, and none left anything."""
    log = (folder / "deltacrown.log").read_text()
    with closing(sqlite3.connect(folder / "demo.sqlite3")) as database:
        states = dict(database.execute("SELECT state, count(*) FROM webhooks_delivery GROUP BY state"))

    assert re.findall(r"Webhook worker started: threads=8, worker=(\S+)", log) == [
        "worker-1",
        "worker-2",
        "worker-3",
        "worker-4",
    ]
    stopped = re.findall(r"Webhook worker stopped: left=0, worker=(\S+)", log)
    assert stopped == ["worker-1", "worker-3", "worker-4"]
    assert set(states) == {"delivered"}


# The greps of the runbook and of the staging guide, word for word but for the log's name.
FINDS = [
    'grep "Webhook delivered successfully" LOG',
    'grep "Webhook delivery failed after" LOG',
    r"grep 'Webhook delivered successfully' LOG | grep -oP 'latency=\K[0-9]+'",
    'grep "Circuit breaker OPENED" LOG',
    'grep -E "Circuit breaker (OPENED|HALF_OPEN|CLOSED)" LOG | tail -20',
    r"grep 'Circuit breaker OPENED' LOG | grep -oP 'endpoint=\K[^,]+' | sort | uniq -c",
    'grep "Circuit breaker" LOG | tail -1',
    'grep -i "webhook.*error" LOG | tail -10',
    r'grep "Webhook delivered" LOG | grep "$(date -u +%Y-%m-%d)"',
    'grep "Webhook delivery successful" LOG',
    'grep "Webhook delivery failed" LOG',
    'grep "Retrying in" LOG',
    'grep "Client errors (4xx) are not retried" LOG',
    'grep "X-Webhook-" RECEIVER | head -5',
    'grep "Duplicate webhook" RECEIVER',
]
FINDS_NOTHING = [
    r"grep -i webhook LOG | grep -iE '\b[A-Z0-9._%+-]+@[A-Z0-9.-]+\.[A-Z]{2,}\b'",
    "grep -i webhook LOG | grep -E '@[a-zA-Z0-9_]+'",
    r"grep -i webhook LOG | grep -oE '\b([0-9]{1,3}\.){3}[0-9]{1,3}\b'",
    r"grep -i webhook LOG | grep -iE '@|email|username|192\.168|10\.|172\.' | head -5",
    'grep -E "email|username|ip_address" LOG | grep webhook',
]


def found(command: str, folder: Path) -> str:
    """Run one of the seeds' commands against the logs of the demo."""
    told = re.sub(r"\bLOG\b", str(folder / "deltacrown.log"), command)
    told = told.replace("RECEIVER", str(folder / "receiver.log"))
    return subprocess.run(["bash", "-c", told], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("command", FINDS)
def test_a_grep_of_the_runbook_finds_what_it_is_for(
    command: str, demo: subprocess.CompletedProcess[str], folder: Path
) -> None:
    """Deliveries, failures, latencies, breaker, retries, the headers: all in a real run's logs."""
    assert found(command, folder).strip(), command


@pytest.mark.parametrize("command", FINDS_NOTHING)
def test_a_grep_for_personal_data_finds_nothing(
    command: str, demo: subprocess.CompletedProcess[str], folder: Path
) -> None:
    """Although a payload with an address in it was tried."""
    assert found(command, folder) == ""
