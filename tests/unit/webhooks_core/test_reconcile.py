"""What a receiver's log says, and how it is held against what was delivered."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from webhooks_core.reconcile import Heard, digest, read_log, reconcile

ONE = "550e8400-e29b-41d4-a716-446655440000"
TWO = "650e8400-e29b-41d4-a716-446655440000"
THREE = "750e8400-e29b-41d4-a716-446655440000"
MIDNIGHT = 1_762_992_000.0


def heard(**effects: int) -> Heard:
    """A log that names these."""
    return Heard(effects=effects, lines=len(effects), matched=len(effects))


def test_a_duplicate_and_a_failed_handler_take_their_effect_back() -> None:
    """Received less seen before less failed is how often an id was handled."""
    log = [
        f"12:00:01 INFO webhooks Received webhook: event=payment_verified, webhook_id={ONE}",
        f"INFO Received webhook: event=payment_verified, webhook_id={TWO}",
        f"ERROR Webhook handler failed: event=payment_verified, webhook_id={TWO}, error=ValueError",
        f"INFO Received webhook: event=payment_verified, webhook_id={TWO}",
        f"INFO Received webhook: event=payment_verified, webhook_id={ONE}",
        f"WARNING Duplicate webhook: webhook_id={ONE}",
        "INFO Signature valid: True",
    ]

    found = read_log(log)

    assert found == Heard(effects={ONE: 1, TWO: 1}, lines=7, matched=6)


def test_a_line_that_is_an_id_is_an_effect() -> None:
    """One id a line is a log, too; something that only looks like one says nothing."""
    lines = [f"{ONE}\n", f" {ONE.upper()} \r\n", "550e8400", ""]

    found = read_log(lines)

    assert found == Heard(effects={ONE: 2}, lines=4, matched=2)


def test_an_id_that_a_log_line_had_to_encode_is_read_back() -> None:
    """Log lines percent-encode what could be taken for personal data."""
    found = read_log(["Received webhook: event=e, webhook_id=round1%30.x"])

    assert found.effects == {"round10.x": 1}


def test_nothing_behind_four_thousand_characters_is_searched() -> None:
    """A line without an end costs no more than one that has one."""
    found = read_log(["x" * 5_000 + f"Received webhook: event=e, webhook_id={ONE}"])

    assert found == Heard(effects={}, lines=1, matched=0)


@given(names=st.lists(st.uuids().map(str), unique=True), seed=st.integers())
def test_a_digest_does_not_know_an_order_and_does_know_a_count(names: list[str], seed: int) -> None:
    """Any order gives the same digest; one id twice gives another."""
    shuffled = names[:]
    random.Random(seed).shuffle(shuffled)

    one = digest((name, 1) for name in names)
    other = digest((name, 1) for name in shuffled)

    assert one == other and len(one) == 16
    assert not names or digest([(names[0], 2), *((name, 1) for name in names[1:])]) != one


def test_two_sides_that_agree_have_the_same_digest_in_every_hour() -> None:
    """Each hour has its count and its digest; both agree."""
    delivered = [(ONE, MIDNIGHT), (TWO, MIDNIGHT + 3_599), (THREE, MIDNIGHT + 3_600)]

    found = reconcile(delivered, heard(**{ONE: 1, TWO: 1, THREE: 1}), others={})

    assert found.agrees
    assert [(hour.begins_at, hour.delivered, hour.received) for hour in found.hours] == [
        (MIDNIGHT, 2, 2),
        (MIDNIGHT + 3_600, 1, 1),
    ]


def test_what_is_missing_and_what_is_there_twice_is_named_in_its_hour() -> None:
    """Delivered and not in the log; delivered and handled twice."""
    delivered = [(ONE, MIDNIGHT), (TWO, MIDNIGHT + 1), (THREE, MIDNIGHT + 2)]

    found = reconcile(delivered, heard(**{ONE: 2, THREE: 1}), others={})

    (hour,) = found.hours
    assert (hour.missing, hour.doubled, hour.agrees, found.agrees) == ((TWO,), (ONE,), False, False)


def test_one_missing_and_another_doubled_do_not_make_each_other_good() -> None:
    """The counts are equal, the digests are not."""
    found = reconcile([(ONE, MIDNIGHT), (TWO, MIDNIGHT)], heard(**{ONE: 2}), others={})

    (hour,) = found.hours
    assert hour.delivered == hour.received == 2
    assert not hour.agrees


def test_what_the_receiver_has_and_we_do_not_know_is_told_apart() -> None:
    """Held by us and handled there: unconfirmed. No such delivery: unknown. Another time: nothing."""
    log = heard(**{ONE: 1, TWO: 1, THREE: 1, "four": 0})

    found = reconcile([], log, others={ONE: "dead", TWO: None, THREE: "delivered", "four": None})

    assert (found.hours, dict(found.unconfirmed), found.unknown) == ((), {ONE: "dead"}, (TWO,))
    assert not found.agrees


def test_an_answer_that_was_lost_is_no_disagreement() -> None:
    """A delivery that arrived and is still to be confirmed is listed; it will be sent again and counted."""
    found = reconcile([(ONE, MIDNIGHT)], heard(**{ONE: 1, TWO: 1}), others={TWO: "pending"})

    assert found.agrees
    assert dict(found.unconfirmed) == {TWO: "pending"}
