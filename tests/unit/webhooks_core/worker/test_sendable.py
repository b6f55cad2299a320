"""Rows that cannot be sent: what is wrong is told, what they hold is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from webhooks_core.envelope import seal
from webhooks_core.settlement import Delivery
from webhooks_core.worker.sendable import problem_of

ID = "550e8400-e29b-41d4-a716-446655440000"
BODY = seal("payment_verified", {"tournament_id": 101}, webhook_id=ID).body
GOOD = Delivery(webhook_id=ID, event="payment_verified", body=BODY, created_at=0.0)


@pytest.mark.parametrize(
    "body",
    [BODY, b'{"event":"payment_verified"}', b'{"event":"payment_verified","metadata":[]}'],
)
def test_a_row_that_says_what_its_body_says_can_be_sent(body: bytes) -> None:
    """With the id inside, or without metadata at all."""
    assert problem_of(replace(GOOD, body=body)) == ""


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (replace(GOOD, event="Payment Verified"), "the row's event is not a valid name"),
        (replace(GOOD, event=""), "the row's event is not a valid name"),
        (replace(GOOD, body=b""), "the row's body cannot be read: not JSON"),
        (replace(GOOD, body=BODY[:-1]), "the row's body cannot be read: not JSON"),
        (replace(GOOD, body=b"\xff"), "the row's body cannot be read: not UTF-8 throughout"),
        (replace(GOOD, body=b"[]"), "the row's body cannot be read: not a JSON object"),
        (replace(GOOD, event="payment_rejected"), "the row's event is not that of its body"),
        (replace(GOOD, webhook_id="another"), "the row's id is not that of its body"),
    ],
)
def test_a_damaged_row_is_told_without_its_content(row: Delivery, problem: str) -> None:
    """Truncated, edited by hand, or written by something else."""
    assert problem_of(row) == problem
