"""The part of the outbox suite about claims: caps, dealing, turns, due moments.

See `contracts/__init__`; the words are those of `words.py`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from webhooks_core.endpoint import DEFAULT_ID
from webhooks_core.outbox.base import State
from webhooks_core.testing.contracts.outbox.words import (
    LEASE,
    NOW,
    A,
    B,
    C,
    HandClock,
    OutboxUnderTest,
    OutboxWords,
)
from webhooks_core.testing.contracts.threads import in_threads


class ClaimsContract(OutboxWords):
    """Who gets which row, and when."""

    def test_a_claim_carries_what_was_added(self, outbox: OutboxUnderTest) -> None:
        """Bytes, names, moments and numbers come back as they went in."""
        webhook_id = self.add(outbox, 1)

        (claimed,) = self.claim(outbox)

        delivery = claimed.delivery
        assert (delivery.webhook_id, delivery.event, delivery.unit) == (webhook_id, "tested", "101")
        assert delivery.body == b'{"event":"tested","data":{},"metadata":{}}'
        assert (delivery.created_at, delivery.attempt, delivery.endpoint_id) == (NOW, 1, DEFAULT_ID)
        assert (claimed.lease_until, claimed.claims, claimed.problem) == (NOW + LEASE, 1, "")
        assert self.row(outbox, webhook_id).state is State.CLAIMED
        assert self.row(outbox, webhook_id).worker == "w1"

    def test_an_id_belongs_to_one_delivery(self, outbox: OutboxUnderTest) -> None:
        """The same id again is an error of the store, and the first row stays."""
        webhook_id = self.add(outbox, 1, unit="101")

        with pytest.raises(Exception, match=r".+"):
            self.add(outbox, 1, unit="202")

        assert self.row(outbox, webhook_id).delivery.unit == "101"

    def test_of_many_threads_each_row_goes_to_one(self, outbox: OutboxUnderTest) -> None:
        """Eight threads claim from 40 rows at once: each row goes to exactly one of them."""
        wanted = sorted(self.add(outbox, number) for number in range(40))

        claims = in_threads(lambda number: self.claim(outbox, 5, worker=f"w{number}"))

        taken = [webhook_id for claimed in claims for webhook_id in self.ids(claimed)]
        taken += self.ids(self.claim(outbox))
        assert sorted(taken) == wanted

    def test_a_claimed_row_is_not_claimed_again_under_its_lease(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """Up to the end of the lease nobody else gets it; from its end on anybody does."""
        self.add(outbox, 1)
        (first,) = self.claim(outbox)
        clock.advance(LEASE - 0.001)
        before = self.claim(outbox, worker="w2")
        clock.advance(0.001)

        (second,) = self.claim(outbox, worker="w2")

        assert not before
        assert second.delivery == replace(first.delivery, sent_before=True)
        assert second.token != first.token
        assert second.claims == 2

    def test_the_caps_of_the_endpoints_hold(self, outbox: OutboxUnderTest) -> None:
        """Two of a, none of b, none of c, which is not named; then the rest of a."""
        for number in range(9):
            self.add(outbox, number, endpoint=(A, B, C)[number % 3])

        caps = {A: 2, B: 0}
        claims = outbox.claim(worker="w1", limit=10, lease_seconds=LEASE, endpoints=caps)
        again = outbox.claim(worker="w1", limit=10, lease_seconds=LEASE, endpoints=caps)

        assert [claimed.delivery.endpoint_id for claimed in claims] == [A, A]
        assert [claimed.delivery.endpoint_id for claimed in again] == [A]

    def test_a_claim_is_dealt_over_the_endpoints(self, outbox: OutboxUnderTest) -> None:
        """Twenty rows of a before one of b and two of c: six places go two, one, two and the last to a."""
        for number in range(20):
            self.add(outbox, number, endpoint=A)
        self.add(outbox, 20, endpoint=B)
        for number in (21, 22, 23):
            self.add(outbox, number, endpoint=C)

        caps = {B: 9, C: 2, A: 9}
        claims = outbox.claim(worker="w1", limit=6, lease_seconds=LEASE, endpoints=caps)

        assert sorted(claimed.delivery.endpoint_id for claimed in claims) == [A, A, A, B, C, C]

    def test_a_burst_of_one_unit_does_not_delay_the_first_event_of_another(
        self, outbox: OutboxUnderTest
    ) -> None:
        """300 events of one tournament, 40 of them taken; the next one's first event is in the next batch."""
        for number in range(300):
            self.add(outbox, number, unit="busy")
        self.claim(outbox, 40)
        first = self.add(outbox, 300, unit="quiet")

        batch = self.ids(self.claim(outbox, 4))

        assert first in batch

    def test_units_take_turns(self, outbox: OutboxUnderTest) -> None:
        """Ten events of each of three units, one unit after the other: a batch of six holds two of each."""
        for number in range(30):
            self.add(outbox, number, unit=("x", "y", "z")[number // 10])
        self.claim(outbox, 3)

        batch = [claimed.delivery.unit for claimed in self.claim(outbox, 6)]

        assert batch.count("x") >= 1
        assert batch.count("y") >= 2
        assert batch.count("z") >= 2

    def test_a_retry_does_not_wait_behind_its_own_units_burst(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """The second attempt of the first event goes with the next batch, not after 100 others."""
        retried = self.add(outbox, 0)
        outbox.settle([self.failed(self.claim(outbox)[0], when=NOW + 2)])
        for number in range(1, 101):
            self.add(outbox, number)
        clock.advance(2)

        batch = self.ids(self.claim(outbox, 4))

        assert retried in batch

    def test_a_row_with_a_lower_id_is_never_passed_by(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """Rows with later ids were claimed long ago; the first row, due now, is found all the same."""
        late = self.add(outbox, 0, due_at=NOW + 60)
        for number in range(1, 6):
            self.add(outbox, number)
        for claimed in self.claim(outbox):
            outbox.settle([self.arrived(claimed)])
        clock.advance(60)

        assert self.ids(self.claim(outbox)) == [late]

    def test_only_what_has_waited_longer_is_claimed_when_asked(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """`waiting_before` is exclusive, and what is younger stays claimable."""
        old = self.add(outbox, 1)
        clock.advance(10)
        young = self.add(outbox, 2)

        aged = self.claim(outbox, before=NOW + 10)
        rest = self.claim(outbox)

        assert self.ids(aged) == [old]
        assert self.ids(rest) == [young]

    def test_a_clock_that_is_set_back_does_not_stop_new_events(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """An hour back: what comes in then is claimed at once."""
        self.add(outbox, 1)
        clock.advance(-3600)
        self.add(outbox, 2)

        assert len(self.claim(outbox)) == 2

    def test_tells_which_endpoints_have_rows_to_claim(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """Ready now, or due now; not what waits, and not what is claimed."""
        self.add(outbox, 1, endpoint=A)
        self.add(outbox, 2, endpoint=B, due_at=NOW + 2)
        self.add(outbox, 3, endpoint=C, due_at=NOW + 3)
        outbox.claim(worker="w1", limit=9, lease_seconds=LEASE, endpoints={A: 9})
        clock.advance(2)

        assert outbox.ready_endpoints() == {B}
