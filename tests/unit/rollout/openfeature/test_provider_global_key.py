"""The key of the whole process is nobody's: a flag is asked as if there were none, and never refused."""

from __future__ import annotations

from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from rollout import Percentage
from rollout.testing import override_flag
from tests.unit.rollout.openfeature.provider_world import Switch, provider

HOST = EvaluationContext("host-7")


def asked(body: dict[str, Any], **options: Any) -> OpenFeatureClient:
    """A client of our provider, in a process whose global context has a key of its own."""
    api.set_provider_and_wait(provider({"f": body}, **options))
    api.set_evaluation_context(HOST)
    return api.get_client()


def pulled() -> Switch:
    """A kill switch in force."""
    switch = Switch()
    switch.killed = True
    return switch


@pytest.mark.parametrize(
    ("body", "options"),
    [
        pytest.param({"percentage": 100}, {"kill": pulled()}, id="kill-switch"),
        pytest.param({"percentage": 100}, {"master": lambda: False}, id="master-switch"),
        pytest.param({"percentage": 100}, {"ceilings": lambda: {"f": Percentage.NOBODY}}, id="ceiling-0"),
        pytest.param({"percentage": 100, "enabled": False}, {}, id="flag-disabled"),
    ],
)
def test_what_stops_a_flag_answers_off_under_a_global_key(
    body: dict[str, Any], options: dict[str, Any]
) -> None:
    """A kill switch that turns on whatever has True for its default would be none."""
    client = asked(body, **options)

    details = client.get_boolean_details("f", True)

    assert (details.value, details.reason, details.error_code) == (False, Reason.DISABLED, None)


@pytest.mark.parametrize(
    ("body", "value", "reason"),
    [
        pytest.param({"percentage": 100}, True, Reason.STATIC, id="everybody"),
        pytest.param({"percentage": 0}, False, Reason.STATIC, id="nobody"),
        pytest.param({}, False, Reason.DEFAULT, id="no-percentage"),
    ],
)
def test_what_is_the_same_for_every_unit_is_answered_under_a_global_key(
    body: dict[str, Any], value: bool, reason: Reason
) -> None:
    """As it is without any key."""
    details = asked(body).get_boolean_details("f", not value)

    assert (details.value, details.reason, details.error_code) == (value, reason, None)


def test_the_unit_of_an_attribute_is_taken_under_a_global_key() -> None:
    """The flag's own unit stands in the context: whose key the process has does not matter."""
    client = asked({"percentage": 50})

    inside = client.get_boolean_details("f", False, EvaluationContext(attributes={"tournament_id": 9}))
    outside = client.get_boolean_details("f", True, EvaluationContext(attributes={"tournament_id": 7}))

    assert (inside.value, inside.reason) == (True, Reason.SPLIT)
    assert (outside.value, outside.reason) == (False, Reason.SPLIT)


def test_an_override_is_taken_under_a_global_key() -> None:
    """In a test of an application that has one."""
    client = asked({"percentage": 0})

    with override_flag("f", on=True):
        details = client.get_boolean_details("f", False)

    assert (details.value, details.error_code) == (True, None)


@pytest.mark.parametrize("own", [None, EvaluationContext(""), HOST], ids=["none", "blank", "the-same"])
def test_what_units_differ_in_is_an_error_under_a_global_key(own: EvaluationContext | None) -> None:
    """The SDK falls back to it where a call's own key is blank; an equal one cannot be told from that."""
    client = asked({"percentage": 50, "forced_on": ["host-7"]})

    details = client.get_boolean_details("f", False, own)

    assert (details.value, details.error_code) == (False, ErrorCode.TARGETING_KEY_MISSING)
    assert "global evaluation context" in str(details.error_message)
