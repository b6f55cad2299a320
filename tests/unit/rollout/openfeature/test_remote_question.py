"""What another provider is asked, and what of it can be asked again before sending."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.transaction_context import ContextVarsTransactionContextPropagator

from rollout import Reason
from tests.unit.rollout.openfeature.test_remote import DOMAIN, KEY, THEIRS, Fails, Scripted, flags


@pytest.fixture
def provider() -> Scripted:
    """The other side, ready."""
    made = Scripted()
    api.set_provider_and_wait(made, DOMAIN)
    return made


def test_the_question_is_mapped(provider: Scripted) -> None:
    """Their flag, the unit as targeting key and attribute, attributes by their names, and what is fixed."""
    remote = {"names": {"region": "country"}, "fixed": {"kind": "tournament"}}
    given = {"region": "eu", "size": Decimal("8"), "share": Decimal("0.5"), "list": [1]}

    flags(remote=remote).decide(KEY, 101, given)

    (key, context), (_, alone) = provider.asked
    assert (key, context.targeting_key) == (THEIRS, "101")
    assert alone == EvaluationContext("101", {"tournament_id": "101", "kind": "tournament"})
    assert context.attributes == {
        "tournament_id": "101",
        "kind": "tournament",
        "country": "eu",
        "size": 8,
        "share": 0.5,
    }


def test_it_changes_its_mind_between_gate_and_send(provider: Scripted) -> None:
    """Let in by the unit alone: asked again, and held, with the reason."""
    asked = flags()
    admitted = asked.decide(KEY, 101)

    provider.answer = FlagResolutionDetails(False, reason="SPLIT", variant="no")
    before_sending = asked.decide_strict(KEY, 101, admitted_by=admitted.reason)

    assert admitted.value
    assert (before_sending.value, before_sending.reason) == (False, Reason.SPLIT)
    assert before_sending.detail == "openfeature: SPLIT no"


class ByRegion(Scripted):
    """Lets in who the context says is in the region of the rule; the others as *answer* has it."""

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: Any = None
    ) -> Any:
        """Look at the context."""
        said = super().resolve_boolean_details(flag_key, default_value, evaluation_context)
        if evaluation_context.attributes.get("region") == "eu":
            return FlagResolutionDetails(True, reason="TARGETING_MATCH")
        return said


NO = FlagResolutionDetails(False, reason="DEFAULT")
EU = {"tournament_id": 101, "region": "eu"}


@pytest.mark.parametrize(
    ("answer", "value", "reason"),
    [
        pytest.param(NO, True, Reason.TARGETING_MATCH, id="no-now"),
        pytest.param(FlagResolutionDetails(False, reason="DISABLED"), False, Reason.DISABLED, id="disabled"),
        pytest.param(Fails(OSError()), False, Reason.ERROR, id="raises"),
    ],
)
def test_let_in_by_attributes_only_the_flag_itself_counts(answer: Any, value: bool, reason: Reason) -> None:
    """A row does not keep attributes, so that the same question cannot be asked again."""
    provider = ByRegion(NO)
    api.set_provider_and_wait(provider, DOMAIN)
    asked = flags()
    admitted = asked.decide(KEY, 101, EU)

    provider.answer = answer
    before_sending = asked.decide_strict(KEY, 101, admitted_by=admitted.reason)

    assert (admitted.value, admitted.reason) == (True, Reason.TARGETING_MATCH)
    assert (before_sending.value, before_sending.reason) == (value, reason)


@pytest.mark.parametrize(
    ("attributes", "questions"),
    [
        pytest.param(None, 1, id="none"),
        pytest.param({"tournament_id": 101}, 1, id="the-unit-itself"),
        pytest.param({"tournament_id": 101, "kind": "x"}, 1, id="what-is-fixed"),
        pytest.param({"tournament_id": 101, "bytes": b"x"}, 1, id="what-it-cannot-be-asked"),
        pytest.param({"tournament_id": 101, "region": "eu"}, 2, id="more-than-it-took"),
    ],
)
def test_let_in_by_the_unit_alone_a_change_of_mind_is_noticed(
    provider: Scripted, attributes: dict[str, Any] | None, questions: int
) -> None:
    """Whatever went along with the question: where the unit alone is let in, it can be asked again."""
    asked = flags(remote={"fixed": {"kind": "tournament"}})
    provider.answer = FlagResolutionDetails(True, reason="TARGETING_MATCH")
    admitted = asked.decide(KEY, 101, attributes)
    at_the_gate = len(provider.asked)

    provider.answer = NO
    before_sending = asked.decide_strict(KEY, 101, admitted_by=admitted.reason)

    assert (admitted.value, admitted.reason, at_the_gate) == (True, Reason.SPLIT, questions)
    assert (before_sending.value, before_sending.reason) == (False, Reason.DEFAULT)


def test_who_is_not_let_in_is_asked_about_once(provider: Scripted) -> None:
    """The second question is for rows, and there will be none."""
    provider.answer = NO

    decision = flags().decide(KEY, 101, EU)

    assert (decision.value, len(provider.asked)) == (False, 1)


class Kept:
    """A transaction context of the process, as a project's own propagator may keep it."""

    def __init__(self) -> None:
        self.context = EvaluationContext()

    def get_transaction_context(self) -> EvaluationContext:
        """Return it."""
        return self.context

    def set_transaction_context(self, transaction_context: EvaluationContext) -> None:
        """Keep it."""
        self.context = transaction_context


@pytest.mark.parametrize(
    "propagator", [Kept, ContextVarsTransactionContextPropagator], ids=["its-own", "the-sdks"]
)
@pytest.mark.parametrize("timeout", [None, 5], ids=["here", "on-a-thread"])
def test_what_the_request_says_counts_as_attributes(propagator: Any, timeout: float | None) -> None:
    """A sender does not have it: what it let in is not held for that, and the unit alone is asked there."""
    provider = ByRegion(NO)
    api.set_provider_and_wait(provider, DOMAIN)
    api.set_transaction_context_propagator(propagator())
    request = EvaluationContext("somebody", {"region": "eu"})
    api.set_transaction_context(request)
    asked = flags(remote={"timeout_seconds": timeout})

    admitted = asked.decide(KEY, 101)
    sent = asked.decide_strict(KEY, 101, admitted_by=admitted.reason)
    by_the_unit = asked.decide_strict(KEY, 101, admitted_by=Reason.SPLIT)

    assert (admitted.value, admitted.reason) == (True, Reason.TARGETING_MATCH)
    assert (sent.value, by_the_unit.value) == (True, False)
    assert [context.targeting_key for _, context in provider.asked] == ["101"] * 4
    assert api.get_transaction_context() == request
    api.set_transaction_context(EvaluationContext())


def test_no_attribute_takes_the_place_of_the_unit_or_of_what_is_fixed(provider: Scripted) -> None:
    """Whatever a call brings along, and under whatever name it is handed over."""
    asked = flags(remote={"fixed": {"kind": "tournament"}, "names": {"a": "kind", "b": "tournament_id"}})

    asked.decide(KEY, 101, {"tournament_id": 7, "kind": "user", "a": "user", "b": 8})

    ((_, context),) = provider.asked
    assert context == EvaluationContext("101", {"tournament_id": "101", "kind": "tournament"})


def test_a_match_of_the_unit_alone_is_recorded_as_one_that_can_be_asked_again(provider: Scripted) -> None:
    """So does flagd: TARGETING_MATCH for a percentage of the targeting key."""
    provider.answer = FlagResolutionDetails(True, reason="TARGETING_MATCH")

    assert flags().decide(KEY, 101).reason is Reason.SPLIT
