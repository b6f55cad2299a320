"""Waiting for the outbox of a rehearsal: until it is empty, until somebody gives up, never for ever."""

from __future__ import annotations

import pytest

from loopback import outbox
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.settlement import Delivery

pytestmark = pytest.mark.django_db


def add(webhook_id: str) -> None:
    """Record one event in the tests' own outbox."""
    kept = DjangoOutbox(environment="test")
    kept.add(Delivery(webhook_id=webhook_id, event="e", body=b"{}", created_at=0.0))


def test_an_empty_outbox_is_not_waited_for() -> None:
    """Nothing is on its way."""
    assert outbox.wait_until_sent(seconds=0)


def test_the_wait_ends_with_the_last_delivery() -> None:
    """What happens meanwhile may be what ends it."""
    add("a")

    assert outbox.wait_until_sent(
        seconds=30, meanwhile=lambda: DjangoOutbox(environment="test").drop(["a"], reason="r")
    )


@pytest.mark.parametrize("seconds", [0, 30], ids=["too late", "given up"])
def test_what_does_not_leave_is_not_waited_for_for_ever(seconds: float) -> None:
    """By time, or by somebody's word."""
    add("a")

    assert not outbox.wait_until_sent(seconds=seconds, give_up=lambda: seconds > 0)


def test_a_command_answers_whatever_its_exit_code() -> None:
    """As a person reads it, and as a program does."""
    add("a")

    refused = outbox.command("show", "no-such-id")

    assert (refused["ok"], refused["exit_code"]) == (False, 3)
    assert outbox.command("list")["counts"] == {"pending": 1}
    assert any("no-such-id" in line for line in outbox.said("show", "no-such-id"))
    assert not outbox.breaker_is_open()
