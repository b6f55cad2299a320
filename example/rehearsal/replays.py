"""Chapter 5: a captured request is sent again. Its bytes and its signature are real; that is not enough."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid

from loopback.receiver_process import Reply
from rehearsal import page
from rehearsal.stage import Stage

STALE_SECONDS = 301  # the window is 300


def show(stage: Stage, number: int) -> None:
    """Capture one delivered request and try four ways of using it again."""
    page.chapter(
        number,
        "A captured request, sent again",
        see="You see: the same bytes are recognised; anything changed breaks the signature; what is too old "
        "is refused.",
    )
    stage.pay(1)
    stage.wait_until_sent()
    body, headers = _captured(stage)
    stage.newly_verified()
    attempts = (
        ("the same bytes", (200, "duplicate"), stage.receiver.post(body, headers)),
        ("under a fresh id", (401, "Invalid signature"), _under_fresh_id(stage, body, headers)),
        ("with a digit changed", (401, "Invalid signature"), _changed(stage, body, headers)),
        (f"signed {STALE_SECONDS} s ago", (401, "Timestamp too old"), _stale(stage, body, headers)),
    )
    table = page.Table(page.Column("sent again", 36, left=True), page.Column("answer", 36, left=True))
    table.head()
    for what, (status, words), reply in attempts:
        table.row(what, f"{reply.status}  {_words(reply)}")
        stage.expect.equal(f"replay, {what}: status", reply.status, status)
        stage.expect.equal(f"replay, {what}: answer", _words(reply), words)
    stage.expect.equal("replays that reached the receiver's handler", len(stage.newly_verified()), 0)


def _captured(stage: Stage) -> tuple[bytes, dict[str, str]]:
    kept = stage.receiver.report(last=1)["kept"]
    assert isinstance(kept, list)
    return kept[0]["body"].encode(), kept[0]["headers"]


def _under_fresh_id(stage: Stage, body: bytes, headers: dict[str, str]) -> Reply:
    return stage.receiver.post(body, {**headers, "X-Webhook-Id": str(uuid.uuid4())})


def _changed(stage: Stage, body: bytes, headers: dict[str, str]) -> Reply:
    return stage.receiver.post(body.replace(b'"recipient_count":1', b'"recipient_count":2'), headers)


def _stale(stage: Stage, body: bytes, headers: dict[str, str]) -> Reply:
    """Sign with the real secret, as the runbook's shell example does, but for a moment too long ago."""
    stamp = str(int((time.time() - STALE_SECONDS) * 1000))
    signature = hmac.new(
        stage.receiver.secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256
    ).hexdigest()
    return stage.receiver.post(
        body, {**headers, "X-Webhook-Timestamp": stamp, "X-Webhook-Signature": signature}
    )


def _words(reply: Reply) -> str:
    answer = json.loads(reply.body)
    return str(answer.get("error") or answer.get("status"))
