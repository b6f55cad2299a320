"""Property: one claim wins, a failed one is given back, a dead one expires, done stays (the contract §5)."""

from __future__ import annotations

import json
from hashlib import sha256
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.testing import ManualClock
from webhooks_core.keys import KeyRing
from webhooks_core.receiving import Receiver
from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign
from webhooks_core.stores.replay import ClaimOutcome, MemoryReplayStore
from webhooks_core.verifier import Verifier

NOW = 1_763_000_000.0
KEY = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"
IDS = st.uuids(version=4).map(str)
SIGNATURES = st.text("0123456789abcdef", min_size=64, max_size=64)


@pytest.mark.parametrize("threads", [2, 8, 16])
def test_of_many_threads_one_wins(threads: int) -> None:
    """N threads claim one id at one moment, 25 times: one NEW an id, all others BUSY (§5)."""
    store = MemoryReplayStore()
    ids = [str(UUID(int=number)) for number in range(25)]
    answers: list[list[object]] = [[] for _ in range(threads)]
    barrier = Barrier(threads)

    def race(mine: list[object]) -> None:
        barrier.wait()
        mine.extend(
            store.claim(each, sha256(b"%d" % n).hexdigest(), now=NOW).outcome for n, each in enumerate(ids)
        )

    workers = [Thread(target=race, args=(mine,)) for mine in answers]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    for at in range(len(ids)):
        column = [mine[at] for mine in answers]
        assert column.count(ClaimOutcome.NEW) == 1
        assert column.count(ClaimOutcome.BUSY) == threads - 1


@given(IDS, SIGNATURES, SIGNATURES, st.floats(0, 14.9))
def test_what_was_given_back_is_accepted_again(webhook_id: str, one: str, other: str, later: float) -> None:
    """The handler failed: the sender's retry, with the same or a new signature, is new (§5)."""
    store = MemoryReplayStore()
    claim = store.claim(webhook_id, one, now=NOW)
    store.give_back(claim, now=NOW + later)

    again = store.claim(webhook_id, other, now=NOW + later)

    assert (claim.outcome, again.outcome) == (ClaimOutcome.NEW, ClaimOutcome.NEW)


@given(IDS, SIGNATURES, st.floats(0.001, 14.999), st.floats(15.001, 1e6))
def test_the_claim_of_a_dead_process_expires_after_fifteen_seconds(
    webhook_id: str, signature: str, within: float, beyond: float
) -> None:
    """Nobody said done or gave back: busy until 15 s have passed, new afterwards (§5)."""
    store = MemoryReplayStore()
    store.claim(webhook_id, signature, now=NOW)

    assert store.claim(webhook_id, signature, now=NOW + within).outcome is ClaimOutcome.BUSY
    assert store.claim(webhook_id, signature, now=NOW + beyond).outcome is ClaimOutcome.NEW


@given(IDS, SIGNATURES, st.floats(0, 604_799))
def test_what_is_done_stays_done_for_seven_days(webhook_id: str, signature: str, later: float) -> None:
    """Done ids are kept 900 s at least, seven days by default (§5)."""
    store = MemoryReplayStore()
    store.done(store.claim(webhook_id, signature, now=NOW), now=NOW)

    assert store.claim(webhook_id, signature, now=NOW + later).outcome is ClaimOutcome.DONE
    assert store.claim(webhook_id, "f" * 64, now=NOW + later).outcome is ClaimOutcome.DONE


@given(IDS, IDS, SIGNATURES)
def test_a_signature_seen_before_is_a_duplicate_under_any_id(one: str, other: str, signature: str) -> None:
    """Where a timestamp is signed, the signature counts like the id (§5 step 5)."""
    store = MemoryReplayStore()
    store.done(store.claim(one, signature, now=NOW), now=NOW)

    assert store.claim(other, signature, now=NOW + 1).outcome is ClaimOutcome.DONE


@given(IDS, SIGNATURES, SIGNATURES)
def test_a_late_word_of_an_expired_claim_changes_nothing(webhook_id: str, one: str, other: str) -> None:
    """The first process wakes up after its 15 s: the second one's claim stays its own (§5, fencing)."""
    store = MemoryReplayStore()
    old = store.claim(webhook_id, one, now=NOW)
    new = store.claim(webhook_id, other, now=NOW + 16)
    store.give_back(old, now=NOW + 17)

    assert new.outcome is ClaimOutcome.NEW
    assert store.claim(webhook_id, other, now=NOW + 18).outcome is ClaimOutcome.BUSY
    store.done(new, now=NOW + 19)
    assert store.claim(webhook_id, other, now=NOW + 20).outcome is ClaimOutcome.DONE


def request(webhook_id: str, *, at: float) -> tuple[dict[str, str], bytes]:
    """A signed request of this attempt."""
    body = json.dumps({"event": "e", "data": {}, "metadata": {"webhook_id": webhook_id}}).encode()
    headers = sign(
        body,
        event="e",
        webhook_id=webhook_id,
        keys=KeyRing.of(KEY),
        scheme=Scheme.TIMESTAMPED,
        now=at,
        user_agent="T/1",
    )
    return headers, body


@settings(max_examples=50)
@given(IDS, st.lists(st.booleans(), min_size=1, max_size=6), st.floats(0.1, 10))
def test_a_failing_handler_never_costs_the_event(webhook_id: str, fates: list[bool], gap: float) -> None:
    """Retries until the handler succeeds once; then duplicates get 200 and the handler rests (§5)."""
    clock, calls = ManualClock(NOW), []

    def handler(verified: Any) -> None:
        fate = fates[len(calls)] if len(calls) < len(fates) else True
        calls.append(fate)
        if not fate:
            raise RuntimeError("the handler failed")

    receiver = Receiver(Verifier(KeyRing.of(KEY)), MemoryReplayStore(), handler, clock=clock)
    statuses = []
    for _ in range(len(fates) + 3):
        headers, body = request(webhook_id, at=clock())
        statuses.append(receiver.receive(headers, body).status)
        clock.advance(gap)

    assert calls.count(True) == 1
    assert calls[-1] is True
    failures = len(calls) - 1
    assert statuses == [500] * failures + [200] * (len(statuses) - failures)


@given(IDS)
def test_only_a_good_signature_touches_the_store(webhook_id: str) -> None:
    """A forged request claims nothing: the true one is new afterwards (§5)."""
    clock = ManualClock(NOW)
    calls: list[str] = []
    receiver = Receiver(
        Verifier(KeyRing.of(KEY)),
        MemoryReplayStore(),
        lambda verified: calls.append(verified.webhook_id),
        clock=clock,
    )
    headers, body = request(webhook_id, at=NOW)

    forged = receiver.receive(headers | {"X-Webhook-Signature": "0" * 64}, body)
    true = receiver.receive(headers, body)
    again = receiver.receive(headers, body)

    assert (forged.status, true.status, again.status) == (401, 200, 200)
    assert json.loads(again.body) == {"status": "duplicate"}
    assert calls == [webhook_id]
