"""The fleet: who has stopped, who is waited for, and how long it took; and who acts."""

from __future__ import annotations

import pytest

from rollout.actor import MACHINE, MAX_REASON, Actor, clean_reason, cut
from rollout.commands import Kill, Pause, RollBack
from rollout.errors import ConfigError
from rollout.fleet import stopping
from tests.unit.rollout.rollout_world import ANNA, NOW, sender


def test_fourteen_of_fourteen() -> None:
    """Everybody acknowledged: the contract's words."""
    senders = [sender(f"web-{number}", epoch=7, seen_at=NOW + number * 0.03) for number in range(14)]

    found = stopping(senders, epoch=7, since=NOW, now=NOW + 1)

    assert str(found) == "14 of 14 stopped, slowest 0.4 s"
    assert found.is_complete


def test_who_is_alive_and_has_not_acknowledged_is_waited_for_by_name() -> None:
    """Up to five names, then their number."""
    senders = [sender(f"web-{number}", seen_at=NOW + 1) for number in range(7)]

    found = stopping(senders, epoch=7, since=NOW, now=NOW + 1)

    assert not found.is_complete
    assert str(found) == "0 of 7 stopped; waiting for web-0, web-1, web-2, web-3, web-4 and 2 more"


def test_a_lease_runs_out_to_the_second() -> None:
    """Exactly as old as its lease it may still send."""
    senders = [sender("web-1", seen_at=NOW, lease=5.0)]

    at_the_edge = stopping(senders, epoch=7, since=NOW, now=NOW + 5.0)
    after = stopping(senders, epoch=7, since=NOW, now=NOW + 5.001)

    assert at_the_edge.waiting_for == ("web-1",)
    assert (after.is_complete, after.ran_out) == (True, 1)


def test_who_was_gone_before_is_not_counted() -> None:
    """A process of last week is nobody who stopped; one that came later is asked too."""
    senders = [sender("old", seen_at=NOW - 6.0), sender("new", epoch=7, seen_at=NOW + 2.0)]

    found = stopping(senders, epoch=7, since=NOW, now=NOW + 3)

    assert str(found) == "1 of 1 stopped, slowest 2.0 s"


def test_one_epoch_behind_is_not_stopped() -> None:
    """What it obeys is the change before this one."""
    found = stopping([sender("web-1", epoch=6)], epoch=7, since=NOW, now=NOW)

    assert found.waiting_for == ("web-1",)


def test_a_fleet_of_nobody_has_stopped() -> None:
    """Nobody sends, nobody is waited for."""
    found = stopping([], epoch=7, since=NOW, now=NOW)

    assert (str(found), found.is_complete) == ("0 of 0 stopped", True)


@pytest.mark.parametrize("name", ["", "anna@example.org", "two words", "ü", "x" * 129, None])
def test_a_name_that_cannot_be_logged_is_no_actor(name: object) -> None:
    """Ids only: the names reach log lines."""
    with pytest.raises(ConfigError, match="actor: must be an id"):
        Actor(name=name)  # type: ignore[arg-type]


def test_only_the_machine_may_use_its_name() -> None:
    """A person says who they are; the tripwire and the kill file may roll back and kill."""
    with pytest.raises(ConfigError, match="say who you are"):
        Pause(by=MACHINE)

    assert RollBack(by=MACHINE).by is MACHINE
    assert Kill(by=MACHINE).by is MACHINE


def test_a_reason_is_made_fit_and_never_refused() -> None:
    """One line, printable, at most 500 characters: a kill must not fail for its reason."""
    assert Kill(by=ANNA, reason=" a\n b\0\ud800 ").reason == "a b"
    assert clean_reason("x" * 10**6) == "x" * (MAX_REASON - 1) + "…"


@pytest.mark.parametrize(("after", "slowest"), [(0.4, 0.4), (3.0, 3.0), (86_400.0, 3.0)], ids=str)
def test_a_worker_that_starts_a_day_later_does_not_make_the_stop_slow(after: float, slowest: float) -> None:
    """Beyond its lease it was silent, and sent nothing by its promise; or it was not there at all."""
    came = sender("web-2", epoch=7, seen_at=NOW + after, lease=3.0)

    found = stopping([came], epoch=7, since=NOW, now=NOW + after)

    assert found.slowest_seconds == pytest.approx(slowest)


@pytest.mark.parametrize(
    ("text", "most", "said"),
    [
        ("12 of 391 deliveries", 20, "12 of 391 deliveries"),
        ("412 of 5391 deliveries", 19, "412 of 5391…"),
        ("12 of 391; deliveries", 11, "12 of 391…"),
        ("12 of 391 deliveries", 10, "12 of 391…"),
        ("12 of 391 deliveries", 9, "12 of…"),
        ("a verylongword", 10, "a verylon…"),
    ],
    ids=["fits", "in-a-word", "after-a-stop", "at-a-words-end", "in-a-number", "one-long-word"],
)
def test_a_text_that_is_cut_ends_with_a_whole_word(text: str, most: int, said: str) -> None:
    """A number that lost its last digits would be another number."""
    found = cut(text, most)

    assert found == said
    assert len(found) <= most
