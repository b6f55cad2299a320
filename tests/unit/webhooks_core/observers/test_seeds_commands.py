"""The commands of the runbook and of the staging guide, run as they stand over a log of ours."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.testing import ManualClock
from webhooks_core import events
from webhooks_core.breaker import BreakerPolicy
from webhooks_core.delivery import Delivery, Permit, PermitVerdict, Sender
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.engines.inline import InlineEngine
from webhooks_core.errors import AddressBlocked, ConnectFailed, TimedOut
from webhooks_core.events import emit
from webhooks_core.keys import KeyRing
from webhooks_core.observers.log import LogObserver
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.testing.transport import Answer, FakeTransport
from webhooks_core.transport.base import Request, Response

ID = "550e8400-e29b-41d4-a716-446655440000"
LOG = "/var/log/deltacrown-prod.log"

pytestmark = pytest.mark.skipif(
    not (shutil.which("grep") and shutil.which("awk")), reason="needs grep and awk"
)


class Written:
    """A log file, written by real deliveries."""

    def __init__(self, path: Path, secret: str, clock: ManualClock) -> None:
        self.path = path
        self.secret = secret
        self.clock = clock
        self.store = MemoryBreakerStore(BreakerPolicy(max_fails=2))
        self.observer = LogObserver()
        self.permit = Permit(verdict=PermitVerdict.SEND)

    def deliver(self, *script: Answer, event: str = "payment_verified", endpoint: str = "default") -> None:
        transport = FakeTransport([self._slowed(answer) for answer in script])
        sender = Sender(
            transport,
            self.store,
            permit=lambda _: self.permit,
            observer=self.observer,
            clock=self.clock,
            monotonic=self.clock,
        )
        name = EndpointId(endpoint)
        target = Endpoint(id=name, url="https://10.1.2.3/in", keys=KeyRing.of(self.secret))
        delivery = Delivery(webhook_id=ID, event=event, body=b"{}", created_at=self.clock(), endpoint_id=name)
        InlineEngine(sender, sleep=self.clock.advance).deliver(delivery, target)

    def shell(self, command: str) -> str:
        """Run *command* of a seed over this log and return what it prints."""
        command = command.replace(LOG, str(self.path)).replace(
            "/var/log/deltacrown-staging.log", str(self.path)
        )
        command = command.replace("/var/log/receiver.log", str(self.path))
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.stdout.strip()

    def _slowed(self, answer: Answer) -> Answer:
        def answered(request: Request) -> Response:
            self.clock.advance(0.142)
            if isinstance(answer, BaseException):
                raise answer
            assert isinstance(answer, int)
            return Response(status=answer)

        return answered


@pytest.fixture
def written(tmp_path: Path, secret: str, clock: ManualClock) -> Iterator[Written]:
    """A log with four deliveries that arrive, four that do not, a breaker's round, and a receiver's lines."""
    path = tmp_path / "deltacrown.log"
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] %(message)s"))
    logger = logging.getLogger("webhooks")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    log = Written(path, secret, clock)
    log.deliver(200)
    log.deliver(503, 503, 200)
    log.deliver(200, event="email_sent")
    log.deliver(400, endpoint="eu")
    log.deliver(500, TimedOut("10.0.0.1"), ConnectFailed("jane@example.com 192.168.1.1"), endpoint="eu")
    log.deliver(200, endpoint="eu")
    clock.advance(60)
    log.deliver(200, endpoint="eu")
    log.deliver(AddressBlocked("172.16.0.1", "private"))
    log.permit = Permit(verdict=PermitVerdict.HOLD, reason="kill switch")
    log.deliver(200, event="round10.done")
    for fact in (
        events.Blocked(event="test", kind="address", path="data.email"),
        events.Skipped(event="test", reason="percentage 10.5"),
        events.Received(event="payment_verified", webhook_id=ID),
        events.SignatureChecked(age_seconds=10.4),
        events.DuplicateSeen(webhook_id=ID),
        events.Rejected(reason="Invalid signature"),
        events.ReceivedHeaders(signature="a3c8f7e2d1b410" * 4, timestamp="1", webhook_id=ID, event="@x"),
        events.BreakerForced(endpoint="eu", mode="observe_only", actor="jane@example.com", reason="10.0.0.1"),
    ):
        emit(log.observer, fact)
    yield log
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    handler.close()


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        # Runbook, phase 2 A: success and failure count.
        (f'grep "Webhook delivered successfully" {LOG} | wc -l', "4"),
        (f'grep "Webhook delivery failed after" {LOG} | wc -l', "3"),
        # Staging guide, log queries.
        ('grep "Webhook delivery successful" /var/log/deltacrown-staging.log | wc -l', "4"),
        ('grep "Webhook delivery failed" /var/log/deltacrown-staging.log | wc -l', "3"),
        ('grep "Retrying in" /var/log/deltacrown-staging.log | wc -l', "4"),
        ('grep -c "Retrying in 2 seconds..." /var/log/deltacrown-staging.log', "2"),
        ('grep "Client errors (4xx) are not retried" /var/log/deltacrown-staging.log | wc -l', "1"),
        # Runbook, phase 2 C: the breaker's transitions.
        (f'grep "Circuit breaker OPENED" {LOG} | wc -l', "1"),
        (f'grep -E "Circuit breaker (OPENED|HALF_OPEN|CLOSED)" {LOG} | tail -20 | wc -l', "3"),
        # Runbook, troubleshooting: what triggers opens.
        (
            f"grep \"Circuit breaker OPENED\" {LOG} | grep -oP 'endpoint=\\K[^,]+' | sort | uniq -c | xargs",
            "1 eu",
        ),
        # Runbook, duplicates and headers at the receiver.
        ('grep "Duplicate webhook" /var/log/receiver.log | wc -l', "1"),
        ('grep "X-Webhook-" /var/log/receiver.log | head -5 | wc -l', "4"),
        # Runbook, phase 2 B: every latency is found and is a whole number.
        (
            f"grep \"Webhook delivered successfully\" {LOG} | grep -oP 'latency=\\K[0-9]+' | xargs",
            "142 426 142 142",
        ),
        (
            f"grep \"Webhook delivered successfully\" {LOG} | grep -oP 'latency=\\K[0-9]+' | "
            'awk \'{sum+=$1; count++} END {print "P95 estimate:", sum/count*1.5 "ms"}\'',
            "P95 estimate: 319.5ms",
        ),
    ],
)
def test_a_command_finds_what_it_is_for(written: Written, command: str, printed: str) -> None:
    """Counts and numbers are those of what was delivered."""
    assert written.shell(command) == printed


@pytest.mark.parametrize(
    "check",
    [
        r"""grep -i webhook LOG | grep -iE '\b[A-Z0-9._%+-]+@[A-Z0-9.-]+\.[A-Z]{2,}\b'""",
        r"""grep -i webhook LOG | grep -E '@[a-zA-Z0-9_]+'""",
        r"""grep -i webhook LOG | grep -oE '\b([0-9]{1,3}\.){3}[0-9]{1,3}\b'""",
        r"""grep -i webhook LOG | grep -iE '@|email|username|192\.168|10\.|172\.' | head -5""",
        r"""grep -E "email|username|ip_address" LOG | grep webhook""",
        r"""grep -iE '@|email|username|192\.168|10\.|172\.' LOG""",
    ],
)
def test_the_checks_for_personal_data_find_nothing(written: Written, check: str) -> None:
    """Every one of the seeds' checks, and the quick one over every line, webhook or not."""
    assert written.shell(check.replace("LOG", LOG)) == ""


def test_the_recent_errors_are_found(written: Written) -> None:
    """`grep -i "webhook.*error"` shows failed attempts and failed deliveries."""
    found = written.shell(f'grep -i "webhook.*error" {LOG} | tail -10')

    assert "Webhook delivery failed after 3 attempts" in found
    assert "Webhook delivery failed after 1 attempts" in found


def test_the_last_breaker_line_is_its_state(written: Written) -> None:
    """`grep "Circuit breaker" | tail -1`, a person's word included."""
    assert "Circuit breaker FORCED: endpoint=eu" in written.shell(f'grep "Circuit breaker" {LOG} | tail -1')


def test_the_on_call_rate_needs_another_pattern(written: Written) -> None:
    """The runbook's awk counts /failed/ among "Webhook delivered" lines, of which none has failed.

    docs/reference/log-lines.md and docs/runbook/what-changed.md give the pattern that counts both.
    """
    count = '/successfully/{s++} /failed/{f++} END{print "Success:",s,"Failed:",f,"Rate:",s/(s+f)*100"%"}'
    awk = f"awk '{count}'"

    as_it_stands = written.shell(f'grep "Webhook delivered" {LOG} | {awk}')
    corrected = written.shell(f'grep -E "Webhook deliver(ed|y failed)" {LOG} | {awk}')

    assert as_it_stands == "Success: 4 Failed:  Rate: 100%"
    assert corrected == "Success: 4 Failed: 3 Rate: 57.1429%"


def test_the_expected_lines_of_the_runbook_are_there(written: Written) -> None:
    """Phase 1: what `tail -f | grep -i webhook` is to show, at the sender and at the receiver."""
    text = written.path.read_text(encoding="utf-8")

    assert "[INFO] Webhook delivered successfully: event=payment_verified, status=200" in text
    assert "[INFO] Attempting webhook delivery (attempt 1/3)" in text
    assert f"[INFO] Received webhook: event=payment_verified, webhook_id={ID}" in text
    assert "[INFO] Signature valid: True" in text
    assert "[INFO] Timestamp age: 10s (fresh)" in text
