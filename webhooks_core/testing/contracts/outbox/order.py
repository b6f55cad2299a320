"""The part of the outbox suite about ordering keys.

See `contracts/__init__`; the words are those of `words.py`.
"""

from __future__ import annotations

from webhooks_core.testing.contracts.outbox.words import (
    LEASE,
    NOW,
    A,
    B,
    HandClock,
    OutboxUnderTest,
    OutboxWords,
)


class OrderContract(OutboxWords):
    """One at a time of each key."""

    def test_a_later_event_of_a_key_waits_for_the_earlier_one(self, outbox: OutboxUnderTest) -> None:
        """One at a time, in the order of the events; a row without the key is not kept waiting."""
        keyed = [self.add(outbox, number, ordering_key="match:42") for number in range(3)]
        free = self.add(outbox, 3)

        seen = []
        for _ in range(3):
            claims = self.claim(outbox)
            seen.append(self.ids(claims))
            outbox.settle([self.arrived(claimed) for claimed in claims])

        assert sorted(seen[0]) == sorted([keyed[0], free])
        assert seen[1:] == [[keyed[1]], [keyed[2]]]
        assert not self.claim(outbox)

    def test_keys_and_endpoints_do_not_wait_for_each_other(self, outbox: OutboxUnderTest) -> None:
        """Another key, and the same key at another endpoint, are other orders."""
        self.add(outbox, 1, endpoint=A, ordering_key="match:42")
        self.add(outbox, 2, endpoint=A, ordering_key="match:43")
        self.add(outbox, 3, endpoint=B, ordering_key="match:42")

        claims = outbox.claim(worker="w1", limit=9, lease_seconds=LEASE, endpoints={A: 9, B: 9})

        assert len(claims) == 3

    def test_a_retry_keeps_the_key_waiting_and_its_end_lets_go(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """The first event fails, waits, and is given up: only then the second one goes."""
        first = self.add(outbox, 1, ordering_key="k")
        second = self.add(outbox, 2, ordering_key="k")
        outbox.settle([self.failed(self.claim(outbox)[0], when=NOW + 2)])
        meanwhile = self.claim(outbox)
        clock.advance(2)
        again = self.claim(outbox)
        outbox.settle([self.given_up(again[0])])

        assert not meanwhile
        assert self.ids(again) == [first]
        assert self.ids(self.claim(outbox)) == [second]

    def test_a_lost_lease_keeps_the_order(self, outbox: OutboxUnderTest, clock: HandClock) -> None:
        """The worker of the first event died: the first event goes again, not the second."""
        first = self.add(outbox, 1, ordering_key="k")
        self.add(outbox, 2, ordering_key="k")
        self.claim(outbox)
        clock.advance(LEASE)

        assert self.ids(self.claim(outbox)) == [first]

    def test_held_blocks_a_key_and_dropping_lets_go(self, outbox: OutboxUnderTest, clock: HandClock) -> None:
        """Held is not an end; dropped is."""
        first = self.add(outbox, 1, ordering_key="k")
        second = self.add(outbox, 2, ordering_key="k")
        outbox.settle([self.held(self.claim(outbox)[0])])
        clock.advance(3600)
        blocked = self.claim(outbox)
        outbox.drop([first], reason="not wanted")

        assert not blocked
        assert self.ids(self.claim(outbox)) == [second]

    def test_a_released_row_goes_before_the_later_ones(self, outbox: OutboxUnderTest) -> None:
        """The order of the events, not of the release."""
        first = self.add(outbox, 1, ordering_key="k")
        self.add(outbox, 2, ordering_key="k")
        outbox.settle([self.held(self.claim(outbox)[0])])
        outbox.release([first], reason="flag is on again")

        assert self.ids(self.claim(outbox)) == [first]

    def test_a_lost_lease_lets_the_older_one_go_that_was_sent_again(
        self, outbox: OutboxUnderTest, clock: HandClock
    ) -> None:
        """The first is sent again while the second is out, and the second's worker dies: none is stuck."""
        first, second = (self.add(outbox, number, ordering_key="k") for number in (1, 2))
        outbox.settle([self.given_up(self.claim(outbox)[0])])
        self.claim(outbox)
        outbox.resend([first], reason="repaired")
        meanwhile = self.claim(outbox)
        clock.advance(LEASE)
        again = self.claim(outbox)
        outbox.settle([self.arrived(claimed) for claimed in again])

        assert not meanwhile
        assert self.ids(again) == [first]
        assert self.ids(self.claim(outbox)) == [second]

    def test_a_row_that_is_sent_again_waits_for_the_one_on_its_way(self, outbox: OutboxUnderTest) -> None:
        """The first is dead, the second out: the first, sent again, goes after it and before the third."""
        first, second, third = (self.add(outbox, number, ordering_key="k") for number in (1, 2, 3))
        outbox.settle([self.given_up(self.claim(outbox)[0])])
        out = self.claim(outbox)
        outbox.resend([first], reason="repaired")
        meanwhile = self.claim(outbox)
        outbox.settle([self.arrived(out[0])])
        again = self.claim(outbox)
        outbox.settle([self.arrived(again[0])])

        assert self.ids(out) == [second]
        assert not meanwhile
        assert self.ids(again) == [first]
        assert self.ids(self.claim(outbox)) == [third]
