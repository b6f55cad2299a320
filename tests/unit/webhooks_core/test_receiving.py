"""Receiving from end to end: the answers of the contract §5, and what is told to observers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from webhooks_core import events
from webhooks_core.envelope import MAX_BODY_BYTES, seal
from webhooks_core.keys import KeyRing
from webhooks_core.receiving import Answer, Receiver
from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign
from webhooks_core.stores.replay import Claim, ClaimOutcome, MemoryReplayStore, ReplayStore
from webhooks_core.verifier import Verified, Verifier

NOW = 1_763_000_000.0
ID = "550e8400-e29b-41d4-a716-446655440000"
OTHER_ID = "650e8400-e29b-41d4-a716-446655440000"
KEYS = KeyRing.of("5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7")
BODY = seal("payment_verified", {"tournament_id": 101}, webhook_id=ID).body


def headers_of(body: bytes = BODY, *, now: float = NOW, webhook_id: str = ID) -> dict[str, str]:
    """Sign as the sender does."""
    return sign(body, event="payment_verified", webhook_id=webhook_id, keys=KEYS, now=now)


class Desk:
    """A receiver with a clock that a test moves, a handler that does as told, and all facts in a list."""

    def __init__(self, store: ReplayStore | None = None, *, scheme: Scheme = Scheme.TIMESTAMPED) -> None:
        self.now = NOW
        self.handled: list[Verified] = []
        self.failure: BaseException | None = None
        self.facts: list[events.Fact] = []
        self.receiver = Receiver(
            Verifier(KEYS, scheme=scheme),
            store,
            self.handle,
            observer=self.facts.append,
            clock=lambda: self.now,
        )

    def handle(self, verified: Verified) -> str:
        self.handled.append(verified)
        if self.failure is not None:
            raise self.failure
        return "what a handler returns is not looked at"

    def told(self, kind: type[events.Fact]) -> list[events.Fact]:
        """The facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


def read(answer: Answer) -> tuple[int, object]:
    """The status and the JSON of an answer, whose length must be right."""
    assert dict(answer.headers)["Content-Type"] == "application/json"
    assert dict(answer.headers)["Content-Length"] == str(len(answer.body))
    return answer.status, json.loads(answer.body)


def test_a_good_request_is_handled_once_and_answered_with_200() -> None:
    """The handler is given what was verified; the second copy is a duplicate."""
    desk = Desk(MemoryReplayStore())

    first = desk.receiver.receive(headers_of(), BODY)
    again = desk.receiver.receive(headers_of(now=NOW + 2), BODY)

    assert read(first) == (200, {"status": "received"})
    assert read(again) == (200, {"status": "duplicate"})
    assert [verified.webhook_id for verified in desk.handled] == [ID]
    assert desk.handled[0].payload["data"] == {"tournament_id": 101}


def test_a_good_request_is_told_as_the_runbook_shows() -> None:
    """The four headers with the signature cut, received, signature valid with its age."""
    desk = Desk(MemoryReplayStore())
    desk.now = NOW + 1.25
    headers = headers_of()

    desk.receiver.receive(headers, BODY)

    assert desk.facts == [
        events.ReceivedHeaders(
            signature=headers["X-Webhook-Signature"][:14],
            timestamp="1763000000000",
            webhook_id=ID,
            event="payment_verified",
        ),
        events.Received(event="payment_verified", webhook_id=ID),
        events.SignatureChecked(age_seconds=1.25),
    ]


@pytest.mark.parametrize(
    ("change", "now", "status", "text"),
    [
        ({"X-Webhook-Signature": "a" * 64}, NOW, 401, "Invalid signature"),
        ({"X-Webhook-Signature": "a" * 63}, NOW, 400, "Malformed header"),
        ({"X-Webhook-Id": OTHER_ID}, NOW, 401, "Invalid signature"),
        ({}, NOW + 300.001, 401, "Timestamp too old"),
        ({}, NOW - 30.001, 401, "Timestamp in future"),
    ],
)
def test_a_refused_request_touches_neither_store_nor_handler(
    change: dict[str, str], now: float, status: int, text: str
) -> None:
    """Only a delivery whose signature holds may touch the replay store."""
    store = MemoryReplayStore()
    desk = Desk(store)
    desk.now = now

    answer = desk.receiver.receive({**headers_of(), **change}, BODY)

    assert read(answer) == (status, {"error": text})
    assert desk.told(events.Rejected) == [events.Rejected(reason=text)]
    assert (desk.handled, len(store)) == ([], 0)


def test_missing_malformed_and_too_large_have_their_statuses() -> None:
    """400, 400 and 413."""
    desk = Desk()
    list_body = b"[]"

    assert read(desk.receiver.receive({}, BODY)) == (400, {"error": "Missing header"})
    assert read(desk.receiver.receive(headers_of(list_body), list_body)) == (400, {"error": "Malformed body"})
    assert read(desk.receiver.receive(headers_of(), b"x" * (MAX_BODY_BYTES + 1))) == (
        413,
        {"error": "Body too large"},
    )
    assert read(desk.receiver.too_large()) == (413, {"error": "Body too large"})


def test_a_handler_that_fails_gives_the_claim_back() -> None:
    """500 without details; the retry is accepted."""
    desk = Desk(MemoryReplayStore())
    desk.failure = ValueError("player@example.org is unknown")

    failed = desk.receiver.receive(headers_of(), BODY)
    desk.failure = None
    retried = desk.receiver.receive(headers_of(now=NOW + 2), BODY)

    assert read(failed) == (500, {"error": "Handler failed"})
    assert isinstance(failed.error, ValueError)
    assert read(retried) == (200, {"status": "received"})
    assert desk.told(events.HandlerFailed) == [
        events.HandlerFailed(event="payment_verified", webhook_id=ID, error="ValueError")
    ]
    assert "player@" not in repr(desk.facts)


def test_the_same_bytes_are_accepted_again_after_a_failure() -> None:
    """The signature is given back with the id: a proxy may repeat the very request."""
    desk = Desk(MemoryReplayStore())
    desk.failure = RuntimeError()

    desk.receiver.receive(headers_of(), BODY)
    desk.failure = None

    assert desk.receiver.receive(headers_of(), BODY).status == 200


def test_our_own_error_from_a_handler_is_a_failed_handler() -> None:
    """A handler that verifies something else must not make us answer 401."""
    desk = Desk(MemoryReplayStore())
    desk.failure = _our_error()

    assert read(desk.receiver.receive(headers_of(), BODY)) == (500, {"error": "Handler failed"})


def _our_error() -> Exception:
    from webhooks_core.errors import SignatureInvalid

    return SignatureInvalid(keys_tried=1)


def test_an_exit_goes_on_its_way_after_the_claim_was_given_back() -> None:
    """KeyboardInterrupt is nobody's answer."""
    desk = Desk(MemoryReplayStore())
    desk.failure = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        desk.receiver.receive(headers_of(), BODY)
    desk.failure = None

    assert desk.receiver.receive(headers_of(), BODY).status == 200


def test_being_handled_right_now_is_503_with_the_end_of_the_lease() -> None:
    """The sender comes back when the claim has certainly ended."""
    store = MemoryReplayStore()
    store.claim(ID, None, now=NOW - 4.5)
    desk = Desk(store)

    answer = desk.receiver.receive(headers_of(), BODY)

    assert read(answer) == (503, {"error": "being handled right now"})
    assert dict(answer.headers)["Retry-After"] == "11"
    assert desk.told(events.DuplicateSeen) == [events.DuplicateSeen(webhook_id=ID)]
    assert desk.handled == []


def test_a_captured_request_under_a_fresh_id_is_a_duplicate() -> None:
    """A sender of the seeds has no id inside the body; the signature was seen."""
    body = b'{"event":"payment_verified","data":{},"metadata":{}}'
    desk = Desk(MemoryReplayStore())

    first = desk.receiver.receive(headers_of(body), body)
    again = desk.receiver.receive({**headers_of(body), "X-Webhook-Id": OTHER_ID}, body)

    assert read(first) == (200, {"status": "received"})
    assert read(again) == (200, {"status": "duplicate"})


def test_in_the_scheme_body_equal_bodies_are_told_apart_by_their_ids() -> None:
    """Nothing but the id is remembered there; the age is told as not known."""
    body = b'{"event":"payment_verified","data":{},"metadata":{}}'
    desk = Desk(MemoryReplayStore(), scheme=Scheme.BODY)

    def send(webhook_id: str) -> int:
        headers = sign(
            body, event="payment_verified", webhook_id=webhook_id, keys=KEYS, scheme=Scheme.BODY, now=NOW
        )
        return desk.receiver.receive(headers, body).status

    assert [send(ID), send(OTHER_ID)] == [200, 200]
    assert [verified.webhook_id for verified in desk.handled] == [ID, OTHER_ID]
    assert desk.told(events.SignatureChecked) == [events.SignatureChecked(age_seconds=None)] * 2
    assert send(ID) == 200
    assert len(desk.handled) == 2


def test_without_a_store_the_handler_sees_every_copy() -> None:
    """It must bear the same id twice."""
    desk = Desk(None)

    statuses = [desk.receiver.receive(headers_of(), BODY).status for _ in range(2)]

    assert statuses == [200, 200]
    assert len(desk.handled) == 2


class ForgetfulStore(MemoryReplayStore):
    """A store that lost its data one second before NOW."""

    def claim(self, webhook_id: str, signature: str | None, *, now: float) -> Claim:
        return replace(super().claim(webhook_id, signature, now=now), not_before=NOW - 1)


@pytest.mark.parametrize(("signed_at", "status"), [(NOW - 1.001, 503), (NOW - 1, 200), (NOW, 200)])
def test_what_was_signed_before_the_stores_birth_is_not_handled(signed_at: float, status: int) -> None:
    """It may have been handled before the store lost its data: 503, and the claim is given back."""
    store = ForgetfulStore()
    desk = Desk(store)

    answer = desk.receiver.receive(headers_of(now=signed_at), BODY)
    retried = desk.receiver.receive(headers_of(now=NOW + 2), BODY)

    assert read(answer)[0] == status
    assert read(retried)[0] == 200
    assert len(desk.handled) == 1


class BrokenStore:
    """A store that cannot be reached, from a given step on."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken

    def claim(self, webhook_id: str, signature: str | None, *, now: float) -> Claim:
        self._fail("claim")
        return Claim(outcome=ClaimOutcome.NEW, webhook_id=webhook_id, token=1)

    def done(self, claim: Claim, *, now: float) -> bool:
        self._fail("done")
        return True

    def give_back(self, claim: Claim, *, now: float) -> bool:
        self._fail("give_back")
        return True

    def _fail(self, step: str) -> None:
        if step in self.broken:
            raise ConnectionError("redis://user:password@10.0.0.1 is away")


def test_a_store_that_cannot_be_asked_is_503() -> None:
    """Nothing is handled that could not be claimed; the sender comes back."""
    desk = Desk(BrokenStore("claim"))

    answer = desk.receiver.receive(headers_of(), BODY)

    assert read(answer) == (503, {"error": "try again later"})
    assert dict(answer.headers)["Retry-After"] == "5"
    assert desk.handled == []
    assert desk.told(events.Rejected) == [events.Rejected(reason="Replay store unavailable: ConnectionError")]


@pytest.mark.parametrize(
    ("step", "failure", "status"), [("done", None, 200), ("give_back", ValueError(), 500)]
)
def test_a_store_that_fails_afterwards_changes_no_answer(
    step: str, failure: Exception | None, status: int
) -> None:
    """What the handler did is done; the lease ends by itself, and it is told."""
    desk = Desk(BrokenStore(step))
    desk.failure = failure

    assert desk.receiver.receive(headers_of(), BODY).status == status
    assert desk.told(events.Rejected) == [events.Rejected(reason="Replay store unavailable: ConnectionError")]


@pytest.mark.parametrize(
    "headers", [None, 7, "text", [1], [("a", "b", "c")], [(b"x-webhook-id", b"y"), (1, 2)]]
)
def test_headers_that_are_none_are_answered_not_raised(headers: object) -> None:
    """With an observer and without, whatever a server hands over."""
    silent = Receiver(Verifier(KEYS), None, lambda _: None)

    assert Desk().receiver.receive(headers, BODY).status == 400  # type: ignore[arg-type]
    assert silent.receive(headers, BODY).status == 400  # type: ignore[arg-type]


def test_headers_that_can_be_read_only_once_are_both_told_and_verified() -> None:
    """A generator of pairs, as some servers give."""
    desk = Desk()

    answer = desk.receiver.receive(iter(headers_of().items()), BODY)

    assert answer.status == 200
    assert len(desk.told(events.ReceivedHeaders)) == 1


def test_an_observer_that_fails_changes_nothing() -> None:
    """Its failure is its own."""

    def fail(fact: events.Fact) -> None:
        if not isinstance(fact, events.ObserverFailed):
            raise RuntimeError

    receiver = Receiver(Verifier(KEYS), MemoryReplayStore(), lambda _: None, observer=fail, clock=lambda: NOW)

    assert receiver.receive(headers_of(), BODY).status == 200


def test_the_real_clock_is_the_default() -> None:
    """A request signed in 2025 is too old by now."""
    receiver = Receiver(Verifier(KEYS), None, lambda _: None)

    assert read(receiver.receive(headers_of(now=1_700_000_000.0), BODY)) == (
        401,
        {"error": "Timestamp too old"},
    )
