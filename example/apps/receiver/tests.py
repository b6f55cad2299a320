"""The receiver takes what was signed, and shows its rehearsal tools only in a rehearsal."""

from __future__ import annotations

import json
import time

from django.conf import settings
from django.test import SimpleTestCase, TestCase, override_settings

from apps.receiver.faults import Faults
from apps.receiver.views import receiver
from webhooks_core import KeyRing, seal
from webhooks_core.signer import sign

WEBHOOK_ID = "550e8400-e29b-41d4-a716-446655440000"


class ReceiverTests(TestCase):
    """`/webhooks/inbound` and `/webhooks/health`, through Django's test client; ids are in the database."""

    def test_it_says_that_it_is_healthy(self) -> None:
        """The pre-flight's expected answer."""
        response = self.client.get("/webhooks/health")

        self.assertEqual((response.status_code, response.json()), (200, {"status": "healthy"}))

    def test_what_was_signed_is_taken_and_a_second_time_is_a_duplicate(self) -> None:
        """200 both times, and the second one says duplicate."""
        body, headers = _signed(webhook_id=WEBHOOK_ID)

        with self.assertLogs("webhooks", "INFO") as logs:
            answers = [self._post(body, headers) for _ in range(2)]

        self.assertEqual([status for status, _ in answers], [200, 200])
        self.assertEqual(answers[1][1], {"status": "duplicate"})
        self.assertIn(
            f"Received webhook: event=payment_verified, webhook_id={WEBHOOK_ID}", "\n".join(logs.output)
        )

    def test_a_changed_body_is_refused(self) -> None:
        """401, and the handler never sees it."""
        body, headers = _signed(webhook_id=WEBHOOK_ID.replace("550e", "550f"))

        status, _ = self._post(body.replace(b"101", b"102"), headers)

        self.assertEqual(status, 401)

    @override_settings(WEBHOOK_REPLAY_WINDOW_SECONDS=60)
    def test_the_window_of_the_settings_is_the_one_in_force(self) -> None:
        """Signed 61 seconds ago: too old here, though 300 is the default."""
        receiver.cache_clear()
        self.addCleanup(receiver.cache_clear)
        body, headers = _signed(webhook_id=WEBHOOK_ID.replace("550e", "5511"), seconds_ago=61)

        self.assertEqual(self._post(body, headers), (401, {"error": "Timestamp too old"}))

    def test_the_rehearsal_tools_are_not_there_in_earnest(self) -> None:
        """Neither the report nor the faults."""
        self.assertEqual(self.client.get("/webhooks/rehearsal/report").status_code, 404)
        self.assertEqual(self.client.post("/webhooks/rehearsal/faults").status_code, 404)

    @override_settings(RECEIVER_REHEARSAL=True)
    def test_in_a_rehearsal_it_counts_and_is_ill_when_told(self) -> None:
        """Two planned statuses, then health; the report counts what was verified."""
        before = self.client.get("/webhooks/rehearsal/report").json()["verified_total"]
        self.client.post("/webhooks/rehearsal/faults", [503, 400], content_type="application/json")
        body, headers = _signed(webhook_id=WEBHOOK_ID.replace("550e", "5510"))

        statuses = [self._post(body, headers)[0] for _ in range(3)]

        self.assertEqual(statuses, [503, 400, 200])
        report = self.client.get(f"/webhooks/rehearsal/report?since={before}&last=1").json()
        self.assertEqual([webhook["tournament_id"] for webhook in report["verified"]], [101])
        self.assertEqual(report["kept"][0]["body"].encode(), body)

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, object]:
        given = {name: value for name, value in headers.items() if name != "Content-Type"}
        response = self.client.post("/webhooks/inbound", body, content_type="application/json", headers=given)
        return response.status_code, json.loads(response.content or b"null")


class FaultsTests(SimpleTestCase):
    """A script of faults is used up one request at a time."""

    def test_an_empty_script_means_health(self) -> None:
        """And so does one that is used up."""
        faults = Faults()
        faults.plan([503, {"hang": 0.001}])

        self.assertEqual([faults.next_status() for _ in range(3)], [503, None, None])


def _signed(*, webhook_id: str, seconds_ago: float = 0) -> tuple[bytes, dict[str, str]]:
    """Return a body and its headers, signed now or a while ago with the test settings' secret."""
    envelope = seal("payment_verified", {"tournament_id": 101}, webhook_id=webhook_id)
    keys = KeyRing.of(settings.WEBHOOK_SECRET)
    headers = sign(
        envelope.body,
        event="payment_verified",
        webhook_id=webhook_id,
        keys=keys,
        now=time.time() - seconds_ago,
    )
    return envelope.body, dict(headers)
