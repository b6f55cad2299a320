"""End to end over a real connection: dispatched, signed, sent, received, verified, by the shipped wiring.

With the engine `inline`, in one process; `tests/integration/outbox` has the same with workers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.http import HttpResponse
from django.test import override_settings
from pytest_django.live_server_helper import LiveServer

from rollout.django import dispatch
from tests.integration.django import receiving
from tests.integration.django.project import project
from webhooks_core.testing import outbox, real_delivery

pytestmark = [pytest.mark.network, pytest.mark.django_db(transaction=True)]

# The runbook's checks: neither may find anything in a line about webhooks.
QUICK = re.compile(r"@|email|username|192\.168|10\.|172\.", re.IGNORECASE)
ADDRESS = re.compile(r"\b([0-9]{1,3}\.){3}[0-9]{1,3}\b")

Configure = Callable[..., Any]


@pytest.fixture
def receiver(live_server: LiveServer) -> Iterator[Configure]:
    """A receiver on the loopback interface, and the settings of a project that sends to it."""
    port = live_server.url.rpartition(":")[2]
    receiving.received.clear()
    receiving.answers.clear()

    def configure(percentage: object = 100, **webhooks: Any) -> Any:
        around = {
            "ENGINE": "inline",
            "ALLOW_HTTP": True,
            "ALLOW_NETWORKS": [f"127.0.0.1/32:{port}"],
            "RETRY_BASE_SECONDS": 0.05,
            **webhooks,
        }
        return override_settings(
            **project(
                percentage, WEBHOOKS=around, WEBHOOK_ENDPOINT=f"http://127.0.0.1:{port}/webhooks/inbound"
            ),
            ROOT_URLCONF="tests.integration.django.receiving",
        )

    with real_delivery():
        yield configure


def webhook_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged about webhooks."""
    return [record.getMessage() for record in caplog.records if record.name == "webhooks"]


def test_an_event_is_signed_sent_and_verified(receiver: Configure, caplog: pytest.LogCaptureFixture) -> None:
    """The whole way, after the commit; its lines pass the runbook's checks for personal data."""
    caplog.set_level(logging.INFO, logger="webhooks")

    with receiver(), transaction.atomic():
        dispatched = dispatch(
            "payment_verified",
            {"tournament_id": 101, "recipient_count": 1},
            metadata={"created": 1, "email_sent": 1},
            tournament_id=101,
        )
        assert receiving.received == []

    (verified,) = receiving.received
    assert (verified.event, verified.webhook_id) == ("payment_verified", dispatched.webhook_ids[0])
    assert json.loads(verified.body)["data"] == {"tournament_id": 101, "recipient_count": 1}
    assert outbox == []
    text = webhook_lines(caplog)
    assert any(line.startswith("Attempting webhook delivery (attempt 1/3)") for line in text)
    assert any(
        line.startswith("Webhook delivered successfully: event=payment_verified, status=200") for line in text
    )
    assert any(line == "Signature valid: True" for line in text)
    assert not [line for line in text if QUICK.search(line) or ADDRESS.search(line)]


def test_a_transaction_that_is_rolled_back_reaches_nobody(receiver: Configure) -> None:
    """No payment, no webhook."""
    with receiver(), pytest.raises(ZeroDivisionError), transaction.atomic():
        dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101)
        raise ZeroDivisionError

    assert receiving.received == []


def test_503_twice_and_then_200_arrives_once(receiver: Configure, caplog: pytest.LogCaptureFixture) -> None:
    """Three attempts, one id, a timestamp of its own for each."""
    caplog.set_level(logging.INFO, logger="webhooks")
    seen: list[tuple[str, str]] = []

    def unavailable(request: Any) -> HttpResponse:
        seen.append((request.headers["X-Webhook-Id"], request.headers["X-Webhook-Timestamp"]))
        return HttpResponse(status=503)

    receiving.answers[:] = [unavailable, unavailable]
    with receiver():
        dispatched = dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101)

    assert [verified.webhook_id for verified in receiving.received] == list(dispatched.webhook_ids)
    assert {webhook_id for webhook_id, _ in seen} == set(dispatched.webhook_ids)
    assert len({timestamp for _, timestamp in seen}) == 2
    assert len([line for line in webhook_lines(caplog) if line.startswith("Retrying in ")]) == 2


def test_400_is_not_tried_again(receiver: Configure, caplog: pytest.LogCaptureFixture) -> None:
    """And the caller never notices."""
    receiving.answers[:] = [lambda _request: HttpResponse(status=400)]

    with receiver():
        assert dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101)

    assert receiving.received == []
    assert any(line.startswith("Webhook delivery failed after 1 attempts") for line in webhook_lines(caplog))


def test_a_receiver_that_is_not_there_does_not_touch_the_caller(
    receiver: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """Connection refused, three times."""
    with (
        receiver(ALLOW_NETWORKS=["127.0.0.1/32:1"]),
        override_settings(WEBHOOK_ENDPOINT="http://127.0.0.1:1/in"),
    ):
        assert dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101)

    failed = [
        line for line in webhook_lines(caplog) if line.startswith("Webhook delivery failed after 3 attempts")
    ]
    assert len(failed) == 1
    assert "outcome=connection_error" in failed[0]


def test_a_name_that_resolves_to_loopback_is_blocked(
    receiver: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """A check cannot know it: names are judged when they are resolved."""
    with receiver(ALLOW_NETWORKS=[]), override_settings(WEBHOOK_ENDPOINT="http://localhost:9/in"):
        dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101)

    assert any("outcome=blocked_address" in line for line in webhook_lines(caplog))


def test_from_a_running_loop_it_arrives_without_blocking_it(receiver: Configure) -> None:
    """The dispatch returns at once; a thread does the rest."""
    has_returned = threading.Event()

    def slow(request: Any) -> HttpResponse:
        has_returned.wait(5)
        return receiving.inbound(request)

    async def main() -> float:
        begun = time.monotonic()
        dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101)
        return time.monotonic() - begun

    receiving.answers[:] = [slow]
    with receiver():
        took = asyncio.run(main())
        has_returned.set()
        with receiving.arrived:
            assert receiving.arrived.wait_for(lambda: bool(receiving.received), timeout=5)

    assert took < 2.5  # five seconds, if it waited for the answer


def send_test(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run `manage.py webhooks send-test --json`; return its exit code and its object."""
    out = StringIO()
    try:
        call_command("webhooks", "send-test", "--json", *arguments, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def test_a_test_send_verifies_the_receiver_before_anything_is_on(receiver: Configure) -> None:
    """Neither master switch nor percentage are asked: it is an operator's explicit act."""
    with receiver(0), override_settings(NOTIFICATIONS_WEBHOOK_ENABLED=False):
        code, said = send_test()

    (verified,) = receiving.received
    assert (code, said["ok"], said["status"], said["outcome"]) == (0, True, 200, "success")
    assert said["webhook_id"] == verified.webhook_id
    assert verified.signature.startswith(said["signature"])
    assert len(said["signature"]) == 14
    assert verified.payload["data"] == {"test": "canary"}


def test_a_test_send_is_one_attempt_and_says_what_came_back(receiver: Configure) -> None:
    """Exit code 1 where the receiver did not accept it."""
    receiving.answers[:] = [lambda _request: HttpResponse(status=503)] * 3

    with receiver():
        code, said = send_test("--event", "match_started")

    assert (code, said["ok"], said["status"], said["outcome"]) == (1, False, 503, "server_error")
    assert said["event"] == "match_started"
    assert len(receiving.answers) == 2


def test_the_kill_switch_stops_a_test_send(receiver: Configure, tmp_path: Any) -> None:
    """Nothing else does."""
    (tmp_path / "kill").touch()

    with receiver(), override_settings(ROLLOUT={"KILL_FILE": str(tmp_path / "kill")}):
        code, said = send_test()

    assert (code, said["ok"]) == (5, False)
    assert receiving.received == []
