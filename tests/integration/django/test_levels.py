"""The runbook's levels of rollback 1 to 3, over a real connection; level 4 is in `test_uninstalled.py`."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import checks, mail
from django.core.management import call_command
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import override_settings

from rollout.django import dispatch
from tests.integration.django import receiving
from tests.integration.django.test_real_delivery import Configure, receiver
from webhooks_core.django import wiring

__all__ = ["receiver"]
pytestmark = [pytest.mark.network, pytest.mark.django_db(transaction=True)]
FAILURES = 8  # more than the five that open a breaker


def send() -> Any:
    """Record one event in a transaction whose e-mail goes out with its commit: not if dispatch broke it."""
    with transaction.atomic():
        transaction.on_commit(lambda: mail.send_mail("Verified", "…", "from@example.org", ["to@example.org"]))
        return dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101)


def send_test(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run `webhooks send-test`."""
    out = StringIO()
    try:
        call_command("webhooks", "send-test", *arguments, "--json", stdout=out, stderr=out)
    except SystemExit as end:
        return int(str(end.code)), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def flag_file(path: Path, *, version: int, percentage: str) -> None:
    """Write the flag file, whole or not at all."""
    flags = {"tournament-webhooks": {"percentage": percentage, "unit": "tournament_id"}}
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"schema": 1, "version": version, "flags": flags}))
    os.replace(draft, path)


def answering(status: int) -> Callable[[HttpRequest], HttpResponse]:
    """A receiver that says one thing."""
    return lambda _request: HttpResponse(status=status)


def demands_a_timestamp(request: HttpRequest) -> HttpResponse:
    """The receiver after the hardening: without a timestamp, 401."""
    return HttpResponse(status=200 if "X-Webhook-Timestamp" in request.headers else 401)


def test_level_1_the_flag_is_off_without_a_restart(receiver: Configure, tmp_path: Path) -> None:
    """One edit of a file that runs already: nothing more is sent, its caller's e-mail is, and back again."""
    flags = tmp_path / "flags.json"
    flag_file(flags, version=1, percentage="100")
    source = {"SOURCE": "file", "FILE": str(flags), "KILL_FILE": str(tmp_path / "kill"), "REFRESH_SECONDS": 0}

    with receiver(), override_settings(ROLLOUT=source):
        before = send()
        call_command("rollout", "flag", "set", "tournament-webhooks", "0", "--yes", stdout=StringIO())
        off = send()
        arrived_while_off = len(receiving.received)
        call_command("rollout", "flag", "set", "tournament-webhooks", "100", stdout=StringIO())
        again = send()

    assert [bool(each) for each in (before, off, again)] == [True, False, True]
    assert (arrived_while_off, len(receiving.received)) == (1, 2)
    assert len(mail.outbox) == 3


@pytest.mark.parametrize("value", ["false", False], ids=["text", "bool"])
def test_level_1_by_the_master_switch(receiver: Configure, value: object) -> None:
    """The other door: it takes a restart where it comes from the environment."""
    with receiver(), override_settings(NOTIFICATIONS_WEBHOOK_ENABLED=value):
        off = send()

    assert not off
    assert receiving.received == []
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(("fails", "opened"), [(5, 1), (9999, 0)], ids=["on", "level-2"])
def test_level_2_turns_off_the_breaker_and_nothing_else(
    receiver: Configure, caplog: pytest.LogCaptureFixture, fails: int, opened: int
) -> None:
    """Deliveries are still signed, sent, retried and given up; only nothing opens. A check says so."""
    caplog.set_level(logging.INFO, logger="webhooks")
    receiving.answers[:] = [answering(500)] * FAILURES

    with receiver(), override_settings(WEBHOOK_CB_MAX_FAILS=fails, WEBHOOK_MAX_RETRIES=1):
        for _ in range(FAILURES):
            send()
        warned = {message.id for message in checks.run_checks()}
        left = len(receiving.answers)
        receiving.answers.clear()
        send()

    lines = [record.getMessage() for record in caplog.records if record.name == "webhooks"]
    assert sum("Circuit breaker OPENED" in line for line in lines) == opened
    assert ("webhooks.W002" in warned) is (fails == 9999)
    assert (left == 0) is (fails == 9999)
    assert len(receiving.received) == (1 if fails == 9999 else 0)


def test_level_3_is_refused_until_the_receiver_is_seen_to_accept_it(receiver: Configure) -> None:
    """Contract §10: a receiver that demands timestamps does not; the present scheme still works there."""
    receiving.answers[:] = [demands_a_timestamp] * 2

    with receiver():
        code, said = send_test("--scheme", "body")
        present = send_test("--scheme", "timestamped")

    assert (code, said["accepted"], said["status"], said["scheme"]) == (2, False, 401, "body")
    assert (present[0], present[1]["accepted"]) == (0, True)
    assert receiving.received == []


def test_level_3_is_let_through_by_a_receiver_of_the_older_contract(receiver: Configure) -> None:
    """Tried before the setting is changed, then set together with level 2, and verified there."""
    verifies: list[bool] = []

    def verify(request: HttpRequest) -> HttpResponse:
        verifies.append("X-Webhook-Timestamp" not in request.headers)
        return HttpResponse(status=200)

    receiving.answers[:] = [verify]
    with receiver():
        code, said = send_test("--scheme", "body")
        in_force = wiring.sending().endpoints["default"].scheme
    body = {"SCHEME": "body", "BODY_ACCEPTED": [said["body_accepted"]]}
    with receiver(**body), override_settings(WEBHOOK_CB_MAX_FAILS=9999):
        sent = send()

    assert (code, said["accepted"], verifies) == (0, True, [True])
    assert in_force == "timestamped"  # a try changes nothing
    assert sent
    assert len(receiving.received) == 1


@pytest.mark.parametrize("listed", [[], ["default:0123456789abcdef"]], ids=["none", "of-another-url"])
def test_level_3_in_the_settings_alone_is_refused_by_a_check_and_sends_nothing(
    receiver: Configure, listed: list[str]
) -> None:
    """Checks do not run under WSGI: the gate is closed as well, and `send-test` says what is missing."""
    with receiver(SCHEME="body", BODY_ACCEPTED=listed):
        errors = [message for message in checks.run_checks() if message.id == "webhooks.E048"]
        sent = send()
        code, said = send_test("--scheme", "body")

    assert [message.level for message in errors] == [checks.ERROR]
    assert 'endpoint "default" was not seen to accept its scheme body at this URL' in str(errors[0])
    assert (bool(sent), sent.decision.reason) == (False, "ERROR")
    assert (code, "webhooks send-test --scheme body --endpoint default" in said["error"]) == (4, True)
    assert receiving.received == []
    assert len(mail.outbox) == 1


def test_a_scheme_cannot_be_tried_with_secrets_that_sign_no_other(receiver: Configure) -> None:
    """Of Standard Webhooks: the bytes of a whsec_ text are another key."""
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # gitleaks:allow

    with receiver(SCHEME="standard"), override_settings(WEBHOOK_SECRET=secret):
        code, said = send_test("--scheme", "body")

    assert code == 2
    assert "scheme standard" in said["error"]


def test_the_kill_switch_stops_a_try_too(receiver: Configure, tmp_path: Path) -> None:
    """5, and not "does not accept": nobody was asked."""
    (tmp_path / "kill").touch()

    with receiver(), override_settings(ROLLOUT={"KILL_FILE": str(tmp_path / "kill")}):
        code, said = send_test("--scheme", "body")

    assert (code, "accepted" in said) == (5, False)
