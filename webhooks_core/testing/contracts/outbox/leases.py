"""The part of the outbox suite about leases and settling.

See `contracts/__init__`; the words are those of `words.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from webhooks_core.outbox.base import Settled, State
from webhooks_core.outcome import Outcome
from webhooks_core.testing.contracts.outbox.words import (
    HOME,
    LEASE,
    NOW,
    HandClock,
    OutboxUnderTest,
    OutboxWords,
)


class LeasesContract(OutboxWords):
    """What a token is good for."""

    def test_a_renewed_lease_is_full_again(self, outbox: OutboxUnderTest, clock: HandClock) -> None:
        """Renewed after 10 s, it lasts until 25 s."""
        self.add(outbox, 1)
        (claimed,) = self.claim(outbox)
        clock.advance(10)
        kept = outbox.renew([claimed], lease_seconds=LEASE)
        clock.advance(LEASE - 0.001)
        before = self.claim(outbox, worker="w2")
        clock.advance(0.001)

        assert kept == {claimed.token}
        assert not before
        assert len(self.claim(outbox, worker="w2")) == 1

    def test_a_lost_lease_is_neither_renewed_nor_settled(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """The row is another's: the old token changes nothing, under the same worker's name either."""
        webhook_id = self.add(outbox, 1)
        (lost,) = self.claim(outbox)
        clock.advance(LEASE)
        (mine,) = self.claim(outbox)

        assert outbox.renew([lost, mine], lease_seconds=LEASE) == {mine.token}
        assert list(outbox.settle([self.arrived(lost)])) == [False]
        assert self.row(outbox, webhook_id).state is State.CLAIMED
        assert self.row(outbox, webhook_id).attempts == ()
        assert list(outbox.settle([self.arrived(mine)])) == [True]

    def test_a_lease_that_ran_out_and_nobody_took_still_settles(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """What was sent need not be sent again."""
        webhook_id = self.add(outbox, 1)
        (claimed,) = self.claim(outbox)
        clock.advance(LEASE + 1)

        assert list(outbox.settle([self.arrived(claimed)])) == [True]
        assert self.row(outbox, webhook_id).state is State.DELIVERED

    def test_a_claim_is_settled_once(self, outbox: OutboxUnderTest) -> None:
        """Told twice in one batch and once more later: only the first counts."""
        webhook_id = self.add(outbox, 1)
        (claimed,) = self.claim(outbox)

        assert list(outbox.settle([self.arrived(claimed), self.held(claimed)])) == [True, False]
        assert list(outbox.settle([self.held(claimed)])) == [False]
        assert self.row(outbox, webhook_id).state is State.DELIVERED
        assert not outbox.renew([claimed], lease_seconds=LEASE)

    def test_tokens_never_come_again(self, outbox: OutboxUnderTest, clock: HandClock) -> None:
        """One worker's name, a store that was opened again: every claim has a token of its own."""
        for number in range(3):
            self.add(outbox, number)
        tokens = []
        for _ in range(4):
            again = self.make_outbox(clock=clock, environment=HOME)
            tokens += [claimed.token for claimed in self.claim(again)]
            clock.advance(LEASE)

        assert len(tokens) == 12
        assert len(set(tokens)) == 12
        assert all(tokens)

    def test_each_settlement_leads_to_its_state(self, outbox: OutboxUnderTest) -> None:
        """Delivered, retrying, waiting, held and dead: state, due moment, reason and attempts."""
        for number in range(5):
            self.add(outbox, number)
        one, two, three, four, five = claims = self.claim(outbox)

        settled = [
            self.arrived(one),
            self.failed(two, when=NOW + 2, skew=0.5),
            self.waits(three, until=NOW + 60),
            self.held(four),
            self.given_up(five),
        ]
        assert list(outbox.settle(settled)) == [True] * 5

        rows = [self.row(outbox, webhook_id) for webhook_id in self.ids(claims)]
        assert [(row.state, row.due_at, row.reason, len(row.attempts)) for row in rows] == [
            (State.DELIVERED, None, "", 1),
            (State.PENDING, NOW + 2.5, "schedule", 1),
            (State.PENDING, NOW + 60, "circuit open", 0),
            (State.HELD, None, "ceiling 0", 0),
            (State.DEAD, None, "client_error is not retried", 1),
        ]
        assert rows[0].attempts == (self.record(one, Outcome.SUCCESS),)

    def test_the_next_claim_goes_on_where_the_last_attempt_ended(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """Attempt 2 with the same id and bytes, the planned wait counted, and not before it is due."""
        self.add(outbox, 1)
        (claimed,) = self.claim(outbox)
        outbox.settle([self.failed(claimed, when=NOW + 2)])
        clock.advance(1.999)
        before = self.claim(outbox)
        clock.advance(0.001)

        (again,) = self.claim(outbox)

        assert not before
        following = replace(claimed.delivery, attempt=2, planned_wait_seconds=2.0, sent_before=True)
        assert again.delivery == following

    def test_a_row_whose_lease_ran_out_may_have_been_sent(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """Its worker may have died with the request on the wire; the row says so ever after."""
        self.add(outbox, 1)
        (first,) = self.claim(outbox)
        clock.advance(LEASE)
        (second,) = self.claim(outbox, worker="w2")
        outbox.settle([self.waits(second, until=NOW)])
        (third,) = self.claim(outbox, worker="w2")

        assert [claimed.delivery.sent_before for claimed in (first, second, third)] == [False, True, True]

    def test_a_row_that_only_waited_was_not_sent(self, outbox: OutboxUnderTest) -> None:
        """Claimed twice, held and released: no request was made."""
        webhook_id = self.add(outbox, 1)
        outbox.settle([self.waits(self.claim(outbox)[0], until=NOW)])
        outbox.settle([self.held(self.claim(outbox)[0])])
        outbox.release([webhook_id], reason="r")

        (claimed,) = self.claim(outbox)

        assert claimed.claims == 3
        assert not claimed.delivery.sent_before

    def test_the_sink_is_told_what_is_settled_and_nothing_else(self, clock: HandClock) -> None:
        """A stale token's settlement never reaches it; without any that holds it is not called."""
        told: list[Settled] = []
        outbox = self.make_outbox(clock=clock, environment=HOME, sink=told.extend)
        for number in range(2):
            self.add(outbox, number)
        one, two = self.claim(outbox)
        outbox.settle([self.arrived(one)])

        outbox.settle([self.held(one), self.held(two)])
        outbox.settle([self.held(one)])

        assert told == [self.arrived(one), self.held(two)]

    def test_nothing_is_settled_where_the_sink_raises(self, clock: HandClock) -> None:
        """One transaction: the rows stay claimed, and the next try settles them."""
        broken = [True]

        def sink(settlements: Sequence[Settled]) -> None:
            if broken:
                raise RuntimeError(f"{len(settlements)} settlements, and no place for them")

        outbox = self.make_outbox(clock=clock, environment=HOME, sink=sink)
        webhook_id = self.add(outbox, 1)
        (claimed,) = self.claim(outbox)
        with pytest.raises(RuntimeError):
            outbox.settle([self.arrived(claimed)])
        state = self.row(outbox, webhook_id).state
        broken.clear()

        assert state is State.CLAIMED
        assert list(outbox.settle([self.arrived(claimed)])) == [True]

    def test_tells_when_the_next_row_is_due(self, outbox: OutboxUnderTest, clock: HandClock) -> None:
        """None while nothing waits; the end of a lease; the moment of a retry, if that is earlier."""
        nothing = outbox.next_due()
        self.add(outbox, 1)
        self.add(outbox, 2, due_at=NOW + 30)
        (claimed,) = self.claim(outbox)
        leased = outbox.next_due()
        outbox.settle([self.failed(claimed, when=NOW + 2)])
        retry = outbox.next_due()
        clock.advance(2)
        outbox.settle([self.arrived(self.claim(outbox)[0])])

        assert nothing is None
        assert leased == NOW + LEASE
        assert retry == NOW + 2
        assert outbox.next_due() == NOW + 30
