"""`record_outcome`: evidence of an application that sends by itself."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.test import override_settings

from rollout.counters import Counts
from rollout.django import driving, record_outcome
from rollout.evidence import Row
from tests.integration.django.project import project
from tests.integration.outbox.conftest import World

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("rollout_project")]


def rows() -> list[Row]:
    """Everything that was counted."""
    table = driving.evidence()
    assert table is not None
    return table.read(since_minute=0, until_minute=2**40)


def test_an_outcome_is_a_sample_of_its_endpoint() -> None:
    """A success with its latency; a failure by its class."""
    counted = [
        record_outcome("success", endpoint="partner", latency_seconds=0.1),
        record_outcome("timeout", endpoint="partner", attempts=3),
    ]

    ((_, endpoint, counts),) = rows()
    assert counted == [True, True]
    assert (endpoint, counts.get("ok"), counts.get("failed_timeout"), counts.get("retried")) == (
        "partner",
        1,
        1,
        1,
    )


@pytest.mark.parametrize(
    ("outcome", "attempts"), [("fine", 1), ("success", 0), ("circuit_open", 1)], ids=["word", "none", "open"]
)
def test_what_is_no_outcome_is_logged_and_not_raised(
    caplog: pytest.LogCaptureFixture, *, outcome: str, attempts: int
) -> None:
    """The caller has delivered: it goes on."""
    counted = record_outcome(outcome, attempts=attempts)

    assert (counted, rows()) == (False, [])
    assert "Outcome not recorded: error=ConfigError" in caplog.text


def test_a_failure_of_ours_leaves_the_callers_transaction_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One INSERT in a savepoint: the transaction around it commits."""
    monkeypatch.setattr(Counts, "as_dict", lambda _self: {"no_such_column": 1})

    with transaction.atomic(using=world.alias):
        counted = record_outcome("success")
        world.add(1)

    assert not counted
    assert world.states() == {"pending"}


def test_without_a_plan_nothing_is_recorded() -> None:
    """No table is needed, and none is asked for."""
    with override_settings(**project()):
        assert not record_outcome("success")
