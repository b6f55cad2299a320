"""What a smoke test says about what was sent: nothing sent is nothing proven."""

from __future__ import annotations

from loopback.deliveries import Recorded, hmac_check, pii_check
from loopback.wiretap import Attempt

SECRET = "0123456789abcdef" * 4


def delivery(body: bytes) -> Recorded:
    """One delivery of one attempt."""
    attempt = Attempt(
        webhook_id="1",
        event="a",
        headers={},
        body=body,
        started_at=0.0,
        latency_ms=1.0,
        status=200,
        error=None,
    )
    return Recorded(attempts=(attempt,))


def test_a_body_without_personal_data_passes() -> None:
    """Counted, and told how many were looked at."""
    found = pii_check([delivery(b'{"event":"a","data":{"tournament_id":1}}')], flagged_log_lines=0)

    assert (found["status"], found["bodies_checked"]) == ("PASS", 1)


def test_a_forbidden_key_is_counted_with_the_rest() -> None:
    """It has no value that a detector could find."""
    found = pii_check([delivery(b'{"data":{"email":null,"contact":"a@b.co"}}')], flagged_log_lines=0)

    assert (found["status"], found["keys_found"], found["emails_found"]) == ("FAIL", 1, 1)


def test_where_nothing_was_sent_nothing_passes() -> None:
    """Neither the search for personal data nor the signatures."""
    assert pii_check([], flagged_log_lines=0)["status"] == "NOTHING SENT"
    assert hmac_check([], secret=SECRET)["status"] == "NOTHING SENT"


def test_a_request_without_a_signature_fails() -> None:
    """As a receiver would judge it."""
    assert hmac_check([delivery(b"{}")], secret=SECRET) == {
        "requests_checked": 1,
        "valid": 0,
        "status": "FAIL",
    }
