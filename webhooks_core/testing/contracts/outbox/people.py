"""The part of the outbox suite about environments and operations.

See `contracts/__init__`; the words are those of `words.py`.
"""

from __future__ import annotations

from dataclasses import replace

from webhooks_core.outbox.base import State
from webhooks_core.retry import Tier
from webhooks_core.testing.contracts.outbox.words import (
    NOW,
    HandClock,
    OutboxUnderTest,
    OutboxWords,
)


class PeopleContract(OutboxWords):
    """What people do to rows, and whose rows they are."""

    def test_rows_of_another_environment_are_left_alone_and_counted(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """A production dump restored into staging sends nothing."""
        there = self.make_outbox(clock=clock, environment="staging")
        webhook_id = self.add(there, 1)

        assert not self.claim(outbox)
        assert outbox.find(webhook_id) is None
        assert not outbox.drop([webhook_id], reason="not ours")
        assert outbox.next_due() is None
        assert dict(outbox.foreign()) == {"staging": 1}
        assert self.ids(self.claim(there)) == [webhook_id]

    def test_rows_of_another_environment_that_have_ended_are_not_counted(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """History is no reason to warn."""
        there = self.make_outbox(clock=clock, environment="staging")
        self.add(there, 1)
        there.settle([self.arrived(self.claim(there)[0])])

        assert dict(outbox.foreign()) == {}

    def test_people_move_rows_along_the_arrows_and_nowhere_else(self, outbox: OutboxUnderTest) -> None:
        """Release takes held, resend dead, hold pending, drop pending and held; the ids that moved return."""
        ids = [self.add(outbox, number) for number in range(4)]
        delivered, dead, held = self.claim(outbox, 3)
        outbox.settle([self.arrived(delivered), self.given_up(dead), self.held(held)])
        unknown = "00000000-0000-4000-8000-999999999999"

        assert outbox.release([*ids, unknown], reason="r") == {ids[2]}
        assert outbox.resend([*ids, unknown], reason="r") == {ids[1]}
        assert outbox.hold([*ids, unknown], reason="h") == set(ids[1:])
        assert outbox.drop([*ids, unknown], reason="d") == set(ids[1:])
        assert [self.row(outbox, webhook_id).state for webhook_id in ids] == [
            State.DELIVERED,
            State.DROPPED,
            State.DROPPED,
            State.DROPPED,
        ]
        assert self.row(outbox, ids[1]).reason == "d"
        assert not self.claim(outbox)

    def test_a_row_that_is_sent_again_begins_at_attempt_one(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """The same id and bytes, a whole new round of attempts, and the old ones still on record."""
        webhook_id = self.add(outbox, 1)
        (first,) = self.claim(outbox)
        outbox.settle([self.failed(first, when=NOW + 2)])
        clock.advance(2)
        outbox.settle([self.given_up(self.claim(outbox)[0])])
        outbox.resend([webhook_id], reason="repaired")

        (again,) = self.claim(outbox)

        assert again.delivery == replace(first.delivery, sent_before=True, waits_since=NOW + 2)
        assert again.claims == 3
        assert len(self.row(outbox, webhook_id).attempts) == 2

    def test_a_row_remembers_the_slow_tier_until_it_is_sent_again(self, outbox: OutboxUnderTest) -> None:
        """Its fast tier ended: the next claim knows, and a person's resend begins with the fast tier."""
        webhook_id = self.add(outbox, 1)
        outbox.settle([self.failed(self.claim(outbox)[0], when=NOW, slow_retries=1)])
        (slow,) = self.claim(outbox)
        outbox.settle([self.given_up(slow)])
        outbox.resend([webhook_id], reason="r")

        (again,) = self.claim(outbox)

        assert (slow.delivery.slow_retries, slow.delivery.tier) == (1, Tier.SLOW)
        assert (again.delivery.slow_retries, again.delivery.attempt) == (0, 1)

    def test_what_people_let_go_can_be_spread_over_time(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """Four held rows at two a second: one at once, then one each half second."""
        ids = [self.add(outbox, number) for number in range(4)]
        outbox.settle([self.held(claimed) for claimed in self.claim(outbox)])

        outbox.release(ids, reason="r", per_second=2.0)

        seen = []
        for _ in range(4):
            seen.append(len(self.claim(outbox)))
            clock.advance(0.5)
        assert seen == [1, 1, 1, 1]

    def test_what_people_put_back_waits_anew(self, outbox: OutboxUnderTest, clock: HandClock) -> None:
        """Its maximum age counts from the moment for which it was put back, not from its event."""
        ids = [self.add(outbox, number) for number in range(2)]
        outbox.settle([self.held(claimed) for claimed in self.claim(outbox)])
        clock.advance(100)

        outbox.release(ids, reason="r", per_second=0.5)

        first = self.claim(outbox, before=NOW + 100)
        second = self.claim(outbox, before=NOW + 101)
        clock.advance(2)
        third = self.claim(outbox)
        assert [self.ids(claims) for claims in (first, second, third)] == [[], ids[:1], ids[1:]]
        assert [claims[0].delivery.waits_since for claims in (second, third)] == [NOW + 100, NOW + 102]

    def test_what_people_keep_back_waits_as_before(self, outbox: OutboxUnderTest, clock: HandClock) -> None:
        """Being held is no reason to be young again; being let go is."""
        webhook_id = self.add(outbox, 1)
        clock.advance(50)

        outbox.hold([webhook_id], reason="h")

        assert self.row(outbox, webhook_id).delivery.waits_since is None

    def test_a_row_that_was_claimed_cannot_be_held_or_dropped(self, outbox: OutboxUnderTest) -> None:
        """It may be on the wire right now."""
        webhook_id = self.add(outbox, 1)
        self.claim(outbox)

        assert not outbox.hold([webhook_id], reason="h")
        assert not outbox.drop([webhook_id], reason="d")
