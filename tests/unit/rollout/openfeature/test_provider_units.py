"""Whom a flag is asked for: the flag's own attribute, else the targeting key; a blank one is nobody's."""

from __future__ import annotations

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from rollout import InvalidContext
from rollout.openfeature import RolloutProvider, context
from tests.unit.rollout.openfeature.provider_world import live, provider

HALF = {"f": {"percentage": 50}}


def test_a_blank_key_never_becomes_the_process_wide_one() -> None:
    """The SDK falls back to the global context where a call's own key is blank: that is an error."""
    api.set_provider_and_wait(provider({"f": {"percentage": 100, "forced_on": ["global"]}}))
    api.set_evaluation_context(EvaluationContext("global"))

    details = api.get_client().get_boolean_details("f", False, EvaluationContext(""))

    assert (details.value, details.error_code) == (False, ErrorCode.TARGETING_KEY_MISSING)
    assert "global" in str(details.error_message)


def test_the_global_key_is_taken_where_one_asks_for_it() -> None:
    """A process that serves one unit alone."""
    api.set_provider_and_wait(RolloutProvider(live({"f": {"forced_on": ["global"]}}), global_key=True))
    api.set_evaluation_context(EvaluationContext("global"))

    assert api.get_client().get_boolean_value("f", False) is True


@pytest.mark.parametrize("blank", ["", None], ids=["blank", "none"])
def test_our_context_keeps_a_blank_key_blank(blank: str | None) -> None:
    """So that it is an error, and not the client's or the transaction's unit."""
    api.set_provider_and_wait(provider({"f": {"percentage": 100, "forced_on": ["client"]}}))
    client = api.get_client()
    client.context = EvaluationContext("client")

    details = client.get_boolean_details("f", False, context(blank))

    assert details.error_code == ErrorCode.TARGETING_KEY_MISSING
    assert client.get_boolean_value("f", False) is True


def test_our_context_takes_what_a_gate_takes() -> None:
    """An integer is its text; a float is no unit."""
    assert context(101, region="eu") == EvaluationContext("101", {"region": "eu"})
    with pytest.raises(InvalidContext):
        context(1.5)


@pytest.mark.parametrize("given", ["7", None], ids=["another-key", "no-key"])
def test_an_attribute_by_the_flags_unit_is_the_unit(given: str | None) -> None:
    """A flag of tournaments asks for the tournament, whoever the targeting key is."""
    asked = provider(HALF)

    inside = asked.resolve_boolean_details("f", False, EvaluationContext(given, {"tournament_id": 9}))
    blank = asked.resolve_boolean_details("f", False, EvaluationContext("9", {"tournament_id": ""}))

    assert (inside.value, inside.reason) == (True, Reason.SPLIT)
    assert blank.error_code == ErrorCode.TARGETING_KEY_MISSING
