"""`manage.py webhooks send-test` without a network: what it refuses, and what a test sees of it."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.integration.django.project import SECRET, URL, Override
from webhooks_core.errors import ConnectFailed
from webhooks_core.testing import FakeTransport, outbox


def run(*arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed, to either stream."""
    out = StringIO()
    try:
        call_command("webhooks", *arguments, stdout=out, stderr=out, no_color=True)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_a_test_captures_it_like_everything_else(sends: None) -> None:
    """No test reaches a network unless it says so."""
    code, text = run("send-test")

    assert code == 0
    assert "Captured by webhooks_core.testing.outbox" in text
    assert [(captured.event, captured.data, captured.decision) for captured in outbox] == [
        ("test", {"test": "canary"}, None)
    ]


def test_what_came_of_it_is_printed_without_url_and_secret(sends: None, wire: FakeTransport) -> None:
    """Status, latency, the beginning of the signature."""
    code, text = run("send-test")

    signature = wire.sent[0].headers["X-Webhook-Signature"]
    assert code == 0
    assert text.startswith("Delivered: test to default, status 200, success, ")
    assert f"signature {signature[:14]}..., scheme timestamped" in text
    for hidden in (URL, SECRET, signature):
        assert hidden not in text


def test_a_failure_is_said_with_exit_code_1(sends: None, wire: FakeTransport) -> None:
    """One attempt, whatever `WEBHOOK_MAX_RETRIES` says."""
    wire._script = iter([ConnectFailed("refused"), 500])

    code, text = run("send-test")

    assert code == 1
    assert text.startswith("Not delivered: test to default, ")
    assert "connection_error" in text
    assert len(wire.sent) == 1


def test_failed_tests_do_not_open_the_breaker_in_force(sends: None, wire: FakeTransport) -> None:
    """Test sends are no evidence."""
    wire._script = iter([500] * 8)

    codes = [run("send-test")[0] for _ in range(9)]

    assert codes == [1] * 8 + [0]


@pytest.mark.parametrize(
    ("changes", "arguments", "code", "says"),
    [
        ({}, ["--endpoint", "eu"], 3, 'there is no endpoint "eu"; known are: default'),
        ({"WEBHOOK_ENDPOINT": None}, [], 3, "known are: none"),
        ({}, ["--event", "Not A Name"], 2, "an event's name is"),
        ({"WEBHOOK_TIMEOUT": 0}, [], 4, "WEBHOOK_TIMEOUT: must be a number above 0"),
        ({"WEBHOOK_SECRET": None}, [], 4, "WEBHOOK_SECRET: is not set"),
        ({"ROLLOUT": {"KILL_FILE": "/"}}, [], 5, "kill switch: nothing was sent"),
    ],
)
def test_what_cannot_be_sent_is_said_with_its_exit_code(
    using: Override, wire: FakeTransport, changes: dict[str, Any], arguments: list[str], code: int, says: str
) -> None:
    """And nothing is sent."""
    with using(**changes):
        found, text = run("send-test", *arguments)

    assert found == code
    assert says in text
    assert wire.sent == []


def test_json_is_one_object(sends: None, wire: FakeTransport) -> None:
    """With the exit code in it."""
    said = json.loads(run("send-test", "--json", "--event", "match_started")[1])

    assert said["ok"] is True
    assert (said["endpoint"], said["event"], said["status"], said["scheme"]) == (
        "default",
        "match_started",
        200,
        "timestamped",
    )
    assert set(said) >= {"webhook_id", "latency_ms", "signature", "outcome", "error", "exit_code"}


def test_the_scheme_standard_is_sent_and_its_signature_shown(using: Override, wire: FakeTransport) -> None:
    """Its headers have other names."""
    with using(WEBHOOKS={"SCHEME": "standard"}, WEBHOOK_SECRET="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"):
        code, text = run("send-test")

    signature = wire.sent[0].headers["webhook-signature"]
    assert code == 0
    assert f"signature {signature[:14]}..., scheme standard" in text


def test_without_the_rollout_app_it_still_works(using: Override, wire: FakeTransport) -> None:
    """`webhooks_core` does not need `rollout`."""
    with using(INSTALLED_APPS=["webhooks_core.django"]):
        assert run("send-test")[0] == 0
    assert len(wire.sent) == 1


def test_a_command_that_is_incomplete_is_a_usage_error() -> None:
    """As argparse says it."""
    for arguments in ([], ["nonsense"]):
        with pytest.raises(CommandError):
            call_command("webhooks", *arguments)
