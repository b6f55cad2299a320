"""The smoke tests run for real, write what the staging guide shows, and refuse where they must."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from example_process import once, script

# One worker runs them once for all of these; another would only wait for that.
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("smoke")]

PAYMENTS = "staging_smoke_payments.py"
MATCHES = "staging_smoke_matches.py"
MEMO = "staging_observation_memo.py"
EVENTS = ["match_started", "result_submitted", "result_confirmed"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one run of each script has left its files."""
    return once(tmp_path_factory, "smoke", _run)


def _run(place: Path) -> None:
    for name in (PAYMENTS, MATCHES, MEMO):
        done = script(name, cwd=place)
        assert done.returncode == 0, (name, done.stderr, done.stdout)


def artifact(folder: Path, flow: str) -> dict[str, Any]:
    """Read one of the two artifacts."""
    found: dict[str, Any] = json.loads((folder / f"staging_{flow}_output.json").read_text())
    return found


def test_the_payments_artifact_has_the_guides_fields(folder: Path) -> None:
    """Ten payments, ten webhooks, the sample with its headers and its body of ids."""
    found = artifact(folder, "payments")

    run = found["test_run"]
    counts = [
        run[name] for name in ("total_payments", "webhooks_sent", "webhooks_success", "webhooks_failed")
    ]
    assert counts == [10, 10, 10, 0]
    assert run["environment"] == "staging"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", run["timestamp"])
    sample = found["sample_payment"]
    response = sample["webhook_response"]
    assert (sample["status"], response["status_code"]) == ("verified", 200)
    assert re.fullmatch(r"[0-9a-f]{6}\.\.\.", response["headers"]["X-Webhook-Signature"])
    assert response["headers"]["X-Webhook-Event"] == response["body"]["event"] == "payment_verified"
    assert response["body"]["data"] == {"tournament_id": 1, "recipient_count": 1}
    assert {"created": 1, "email_sent": 1}.items() <= response["body"]["metadata"].items()
    assert found["ok"] is True


def test_the_matches_artifact_has_the_guides_fields(folder: Path) -> None:
    """Five matches, fifteen events, each with its status and its latency; and one dispute."""
    found = artifact(folder, "matches")

    run = found["test_run"]
    names = ("total_matches", "events_triggered", "webhooks_sent", "webhooks_success", "webhooks_failed")
    assert [run[name] for name in names] == [5, 15, 15, 15, 0]
    sample = found["sample_match"]
    assert (sample["status"], sample["events"]) == ("completed", EVENTS)
    assert [(hook["event"], hook["status_code"]) for hook in sample["webhook_responses"]] == [
        (event, 200) for event in EVENTS
    ]
    assert all(hook["latency_ms"] >= 0 for hook in sample["webhook_responses"])
    assert found["sample_dispute"]["events"][-2:] == ["dispute_created", "dispute_resolved"]


@pytest.mark.parametrize("flow", ["payments", "matches"])
def test_no_personal_data_is_found_in_what_was_sent(folder: Path, flow: str) -> None:
    """Counted over every body by the library's detectors, and over the logs by the runbook's greps."""
    check = artifact(folder, flow)["pii_check"]

    assert check["bodies_checked"] > 0
    assert {name: count for name, count in check.items() if name.endswith("_found") and count} == {}
    assert (check["log_lines_flagged"], check["status"]) == (0, "PASS")


def test_the_memo_tells_the_real_retries_in_the_guides_words(folder: Path) -> None:
    """The time line of a 503, 503, 200 with true waits; one attempt for a 400; a verdict."""
    memo = (folder / "staging_observation_memo.md").read_text()

    stamp = r"\[\d\d:\d\d:\d\d\] "
    wanted = [
        stamp + r"Attempt 1/3: HTTP 503 Service Unavailable \(0ms delay\)",
        stamp + r"Retrying in 2 seconds\.\.\.",
        stamp + r"Attempt 2/3: HTTP 503 Service Unavailable \(2\.\ds delay\)",
        stamp + r"Retrying in 4 seconds\.\.\.",
        stamp + r"Attempt 3/3: HTTP 200 OK \(4\.\ds delay\)",
        stamp + r"Webhook delivery successful",
    ]
    assert re.search("\n".join(wanted), memo), memo
    assert re.search(stamp + r"Attempt 1/3: HTTP 400 Bad Request", memo)
    assert re.search(stamp + r"Client errors \(4xx\) are not retried\n" + stamp, memo)
    assert re.search(r"Webhook delivery aborted after 1 attempt\n", memo)
    assert "**Success Rate**: 100.0% (29/29 webhooks)" in memo
    assert "APPROVED FOR PRODUCTION CANARY" in memo
    assert "so far:" in memo


@pytest.mark.parametrize("name", [PAYMENTS, MATCHES])
@pytest.mark.parametrize(
    "told",
    [
        {"ENVIRONMENT": "production"},
        {"ENVIRONMENT": "Production"},
        {"DJANGO_SETTINGS_MODULE": "deltacrown.settings.production"},
    ],
)
def test_they_refuse_to_run_in_production(name: str, told: dict[str, str], tmp_path: Path) -> None:
    """Status 2, nothing written, whichever way it is said."""
    done = script(name, cwd=tmp_path, **told)

    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "production" in done.stderr


def test_an_endpoint_needs_its_secret_and_no_option_takes_one(tmp_path: Path) -> None:
    """From the environment or a file; `--secret` is not an option."""
    endpoint = ("--endpoint", "https://staging-receiver.example/inbound")

    without = script(PAYMENTS, *endpoint, cwd=tmp_path)
    on_the_line = script(PAYMENTS, *endpoint, "--secret", "0123456789abcdef" * 4, cwd=tmp_path)

    assert (without.returncode, on_the_line.returncode) == (2, 2)
    assert "WEBHOOK_SECRET" in without.stderr
    assert "0123456789abcdef" not in without.stdout + without.stderr


def test_a_receiver_that_nobody_answers_for_is_no_success(tmp_path: Path) -> None:
    """A given endpoint where nothing listens: status 1, and the artifact says what was missed."""
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef" * 4 + "\n")

    done = script(
        MATCHES,
        *("--endpoint", "http://127.0.0.1:9/inbound", "--secret-file", str(secret), "--matches", "1"),
        cwd=tmp_path,
        WEBHOOK_MAX_RETRIES="1",
    )

    assert done.returncode == 1, done.stderr
    found = artifact(tmp_path, "matches")
    assert found["ok"] is False
    missed = {expectation["name"] for expectation in found["expectations"] if not expectation["ok"]}
    assert {"webhooks answered 2xx", "deliveries left in the outbox"} <= missed
    assert found["test_run"]["receiver"] == "given endpoint"
    assert found["sample_match"]["status"] == "completed"


def test_the_memo_needs_its_artifacts(tmp_path: Path) -> None:
    """Status 2 and a hint, rather than an empty memo."""
    done: subprocess.CompletedProcess[str] = script(MEMO, cwd=tmp_path)

    assert done.returncode == 2
    assert "run both smoke tests first" in done.stderr
