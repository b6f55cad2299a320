"""The table of states, and what a settlement makes of its row."""

from __future__ import annotations

import pytest

from webhooks_core.outbox.base import Claimed, Settled
from webhooks_core.outbox.states import (
    ENDED,
    TRANSITIONS,
    After,
    Cause,
    State,
    after,
    may_move,
    released,
    resent,
)
from webhooks_core.outcome import Outcome
from webhooks_core.retry import DeadLetter, RetryAt
from webhooks_core.settlement import (
    AttemptRecord,
    DeadLettered,
    Delivered,
    Delivery,
    Held,
    Retrying,
    Settlement,
    Waiting,
)

NOW = 1_763_000_000.0
DELIVERY = Delivery(webhook_id="w", event="tested", body=b"{}", created_at=NOW)
RECORD = AttemptRecord(attempt=1, outcome=Outcome.SERVER_ERROR, started_at=NOW, elapsed_seconds=0.25)
RETRY = RetryAt(when=NOW + 2, wait_seconds=2.0, reason="schedule")
DELIVERED = Delivered(delivery=DELIVERY, record=RECORD, latency_seconds=0.25, elapsed_seconds=0.25)
DEAD = DeadLettered(delivery=DELIVERY, outcome=Outcome.CLIENT_ERROR, decision=DeadLetter(reason="404"))


@pytest.mark.parametrize(
    ("settlement", "wanted"),
    [
        (DELIVERED, After(cause=Cause.ARRIVE, state=State.DELIVERED)),
        (
            Retrying(delivery=DELIVERY, record=RECORD, decision=RETRY),
            After(cause=Cause.RETRY, state=State.PENDING, due_at=NOW + 2.5, reason="schedule"),
        ),
        (
            Waiting(delivery=DELIVERY, reason="circuit open", retry_at=NOW + 60),
            After(cause=Cause.WAIT, state=State.PENDING, due_at=NOW + 60.5, reason="circuit open"),
        ),
        (
            Held(delivery=DELIVERY, reason="ceiling 0"),
            After(cause=Cause.HOLD, state=State.HELD, reason="ceiling 0"),
        ),
        (DEAD, After(cause=Cause.GIVE_UP, state=State.DEAD, reason="404")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_settlement_leads_to_one_state(settlement: Settlement, wanted: After) -> None:
    """Due moments are the store's clock: half a second ahead of the one that planned them."""
    claimed = Claimed(delivery=DELIVERY, token="t", lease_until=NOW + 15)
    settled = Settled(claimed=claimed, settlement=settlement, skew_seconds=0.5)

    assert after(settlement, skew_seconds=0.5) == wanted
    assert settled.after() == wanted


def test_nothing_leaves_delivered_or_dropped() -> None:
    """The two ends that no person can undo; dead can be sent again."""
    left = {before for before, _ in TRANSITIONS}

    assert left == {State.PENDING, State.CLAIMED, State.HELD, State.DEAD}
    assert {State.DELIVERED, State.DEAD, State.DROPPED} == ENDED


def test_only_pending_rows_are_claimed_and_only_claimed_ones_settled() -> None:
    """The arrows of workers begin at two states."""
    claims = [before for before, cause in TRANSITIONS if cause is Cause.CLAIM]
    settling = {Cause.ARRIVE, Cause.RETRY, Cause.WAIT, Cause.GIVE_UP, Cause.HOLD, Cause.LEASE_RAN_OUT}

    assert claims == [State.PENDING]
    assert {before for before, cause in TRANSITIONS if cause in settling} == {State.CLAIMED}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("cause", list(Cause))
def test_asks_the_table_what_may_move(state: State, cause: Cause) -> None:
    """No arrow but those of the table."""
    assert may_move(state, cause) is ((state, cause) in TRANSITIONS)


def test_a_resend_begins_again_with_the_same_bytes() -> None:
    """Attempt 1, no time spent; id, body and moment of the event stay."""
    tired = Delivery(
        webhook_id="w",
        event="tested",
        body=b"{}",
        created_at=NOW,
        unit="101",
        attempt=3,
        spent_seconds=9.0,
        planned_wait_seconds=6.0,
    )

    again = resent(tired, at=NOW + 90)

    assert again == Delivery(
        webhook_id="w", event="tested", body=b"{}", created_at=NOW, unit="101", waits_since=NOW + 90
    )


def test_a_release_goes_on_where_it_was_and_waits_anew() -> None:
    """The attempts that were made count; the time in which it was held does not."""
    held = Delivery(
        webhook_id="w", event="tested", body=b"{}", created_at=NOW, attempt=2, planned_wait_seconds=2.0
    )

    free = released(held, at=NOW + 90)

    assert (free.attempt, free.planned_wait_seconds) == (2, 2.0)
    assert (held.ages_from, free.ages_from) == (NOW, NOW + 90)
