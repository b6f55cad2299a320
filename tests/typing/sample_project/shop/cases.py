"""Tests of the shop's own: fixtures, the outbox, an override as context manager and as decorator."""

from __future__ import annotations

from typing import assert_type

from rollout.testing import ManualClock, override_flag
from rollout.testing.pytest_plugin import FlagOverride
from shop.sending import verify_payment
from webhooks_core.testing import Captured, outbox, real_delivery
from webhooks_core.testing.captured import Outbox


def test_with_the_fixtures(flag_override: FlagOverride, webhook_outbox: Outbox) -> None:
    """Both have types that can be named."""
    assert_type(flag_override("tournament-webhooks", on=True), None)
    verify_payment(101)
    assert_type(webhook_outbox[0], Captured)
    assert_type(webhook_outbox[0].data, dict[str, object])
    assert_type(outbox.events(), list[str])


@override_flag("tournament-webhooks", on=False)
def share(part: int, whole: int) -> float:
    """A decorated function keeps its signature."""
    return part / whole


@override_flag("tournament-webhooks", on=False)
async def share_later(part: int) -> float:
    """And so does a coroutine function."""
    return part / 2


async def test_an_override() -> None:
    """As a context manager it is itself."""
    with override_flag("tournament-webhooks", on=True) as override, real_delivery():
        assert_type(override, override_flag)
    assert_type(share(1, whole=2), float)
    assert_type(await share_later(1), float)
    assert_type(ManualClock(0.0)(), float)
