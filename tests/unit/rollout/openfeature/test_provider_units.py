"""Whom a flag is asked for: the flag's own attribute, else the targeting key; a blank one is nobody's."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.transaction_context import ContextVarsTransactionContextPropagator

from rollout import InvalidContext
from rollout.openfeature import RolloutProvider, context, transaction
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


@pytest.mark.parametrize("level", ["client", "transaction"])
def test_a_blank_key_of_the_sdks_own_context_is_somebody_elses(level: str) -> None:
    """The limit: the SDK merges it away before any provider is asked; ours stays blank, an error."""
    api.set_provider_and_wait(provider({"f": {"forced_on": ["somebody-else"]}}))
    api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
    client = api.get_client()
    if level == "client":
        client.context = EvaluationContext("somebody-else")

    with transaction("somebody-else") if level == "transaction" else nullcontext():
        theirs = client.get_boolean_details("f", False, EvaluationContext(""))
        ours = client.get_boolean_details("f", False, context(""))

    assert (theirs.value, theirs.reason) == (True, Reason.TARGETING_MATCH)
    assert (ours.value, ours.error_code) == (False, ErrorCode.TARGETING_KEY_MISSING)


@pytest.mark.parametrize("key", [" ", "\u00a0", " 101"], ids=["space", "no-break-space", "leading-space"])
def test_a_key_of_spaces_is_a_unit_of_its_own(key: str) -> None:
    """As the golden vectors have it: only the empty text is blank, and nothing is trimmed."""
    asked = provider({"f": {"percentage": 50, "forced_on": [key]}})

    details = asked.resolve_boolean_details("f", False, EvaluationContext(key))
    other = asked.resolve_boolean_details("f", False, EvaluationContext("101"))

    assert (details.value, details.reason) == (True, Reason.TARGETING_MATCH)
    assert other.reason == Reason.SPLIT


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
