"""Turns and dealing, in numbers."""

from __future__ import annotations

from itertools import count

import pytest

from webhooks_core.outbox.turns import dealt, turn_for


@pytest.mark.parametrize(
    ("last_of_lane", "head", "wanted"),
    [(None, None, 0), (None, 0, 1), (None, 7, 8), (3, 0, 4), (9, 7, 10)],
)
def test_a_row_joins_after_its_lane_or_after_the_head(
    last_of_lane: int | None, head: int | None, wanted: int
) -> None:
    """Never at the turn that is being served, so that this one ends."""
    assert turn_for(last_of_lane=last_of_lane, head=head) == wanted


@pytest.mark.parametrize(
    ("limit", "hands", "wanted"),
    [
        (10, [], ""),
        (0, ["aa"], ""),
        (1, ["aa", "b"], "a"),
        (4, ["aaaa", "b", "cc"], "abca"),
        (5, ["aaaa", "b", "cc"], "abcac"),
        (9, ["aaaa", "b", "cc"], "abcacaa"),
        (2, ["", "b"], "b"),
    ],
)
def test_deals_one_each_and_round_again(limit: int, hands: list[str], wanted: str) -> None:
    """No hand gives a second item before each has given its first."""
    assert "".join(dealt(limit, hands)) == wanted


def test_takes_no_more_from_a_hand_than_it_needs() -> None:
    """A hand may be endless."""
    assert dealt(3, [count(), count(10)]) == [0, 10, 1]
