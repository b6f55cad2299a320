"""Property: our provider decides as the evaluator does; without a unit only what holds for every one."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails

from rollout.controls import KillState
from rollout.decision import Decision, Reason
from rollout.flags import FlagKey
from rollout.live import LiveFlags
from rollout.openfeature import RolloutProvider
from rollout.percentage import Percentage
from rollout.remote import Remote, RemoteFlags
from rollout.snapshot import Snapshot
from tests.property.evaluator_model import (
    ATTRIBUTES,
    KEY,
    PERCENTS,
    UNITS,
    decide,
    flags,
    snapshot_of,
    unit_name,
)

KINDS: list[tuple[str, dict[str, Any] | None]] = [
    ("boolean", None),
    ("string", {"on": "new", "off": "old"}),
    ("integer", {"on": 10, "off": 1}),
    ("float", {"on": 10, "off": 1}),
    ("object", {"on": {"a": [1]}, "off": {}}),
]
CONTROLS = {
    "killed": st.booleans(),
    "master": st.sampled_from([True, False, None]),
    "ceiling": st.none() | PERCENTS,
}


class Fixed:
    """A source and a kill switch that stay as they are."""

    def __init__(self, snapshot: Snapshot, *, killed: bool) -> None:
        self._snapshot = snapshot
        self._state = KillState(killed=killed, why="test")

    def snapshot(self) -> Snapshot:
        """The flags."""
        return self._snapshot

    def state(self) -> KillState:
        """The kill switch."""
        return self._state


def live(flag: dict[str, Any], *, killed: bool, master: bool | None, ceiling: str | None) -> LiveFlags:
    """What stands behind a provider."""
    fixed = Fixed(snapshot_of(flag), killed=killed)
    ceilings = {} if ceiling is None else {KEY: Percentage.parse(ceiling)}
    return LiveFlags(fixed, kill=fixed, master=lambda: master, ceilings=lambda: ceilings)


def both_ways(provider: RolloutProvider, kind: str, context: EvaluationContext) -> FlagResolutionDetails[Any]:
    """Ask synchronously and asynchronously, by keyword as the SDK does; they must agree."""
    asked = {"flag_key": str(KEY), "default_value": "the default", "evaluation_context": context}
    sync = getattr(provider, f"resolve_{kind}_details")(**asked)
    other = asyncio.run(getattr(provider, f"resolve_{kind}_details_async")(**asked))
    assert sync == other
    return sync  # type: ignore[no-any-return]


def reason_of(decision: Decision, flag: dict[str, Any]) -> str:
    """The specification's word: without a split nothing was dealt."""
    if decision.reason is not Reason.SPLIT or 0 < (decision.threshold or 0) < 2**64:
        return str(decision.reason)
    return "DEFAULT" if flag["rules"] or flag["forced_on"] or flag["forced_off"] else "STATIC"


@settings(max_examples=200)
@given(flags(), UNITS, ATTRIBUTES, st.sampled_from(KINDS), st.fixed_dictionaries(CONTROLS))
def test_the_provider_decides_as_the_evaluator_does(
    flag: dict[str, Any],
    unit: object,
    attributes: dict[str, str],
    kind: tuple[str, dict[str, Any] | None],
    above: dict[str, Any],
) -> None:
    """Value, variant, reason and code; any flag, any context, any type, both ways."""
    name, values = kind
    wanted = decide(flag, unit, attributes, **above)
    said = flag if values is None else flag | {"values": values}
    context = EvaluationContext(unit_name(unit), attributes)

    details = both_ways(RolloutProvider(live(said, **above)), name, context)

    if wanted.error_code is not None:
        assert (details.value, str(details.error_code)) == ("the default", wanted.error_code)
        return
    values = values or {"on": True, "off": False}
    assert details.error_code is None
    assert (details.value, details.variant) == (values[wanted.variant], wanted.variant)
    assert details.reason == reason_of(wanted, flag)


@settings(max_examples=200)
@given(flags(), st.lists(UNITS, min_size=1, max_size=5), ATTRIBUTES, st.fixed_dictionaries(CONTROLS))
def test_without_a_unit_only_what_holds_for_every_unit_is_answered(
    flag: dict[str, Any], units: list[object], attributes: dict[str, str], above: dict[str, Any]
) -> None:
    """An error, or the answer that each of them gets; never on where one of them is off."""
    provider = RolloutProvider(live(flag, **above))

    details = both_ways(provider, "boolean", EvaluationContext(None, attributes))

    if details.error_code is None:
        assert {decide(flag, unit, attributes, **above).value for unit in units} == {details.value}


ANSWERS = st.one_of(
    st.sampled_from([True, False, None, 1, 0, "true", "", "on", 1.0]), st.binary(max_size=2), st.just([True])
)


class Liar(RolloutProvider):
    """A provider that answers whatever a test makes up."""

    def __init__(self, answer: object) -> None:
        super().__init__(LiveFlags(Fixed(Snapshot(), killed=False)))
        self.answer = answer

    def resolve_boolean_details(
        self, flag_key: str, default_value: Any, evaluation_context: Any = None
    ) -> Any:
        """Answer it."""
        return self.answer


@given(
    st.builds(
        FlagResolutionDetails,
        value=ANSWERS,
        error_code=st.none() | st.sampled_from(["GENERAL", "FLAG_NOT_FOUND", "X", 7]),
        reason=st.none() | st.sampled_from(["STATIC", "SPLIT", "ERROR", "STALE", "DISABLED", "X", 7]),
        variant=st.none() | st.text(max_size=3),
    )
    | ANSWERS,
    UNITS,
    st.fixed_dictionaries(CONTROLS),
)
def test_a_gate_over_a_liar_is_on_only_where_it_said_true(
    answer: Any, unit: object, above: dict[str, Any]
) -> None:
    """True without an error, under controls that let it through; nothing else is on, nothing raises."""
    try:
        api.set_provider_and_wait(Liar(answer), "liar")
        fixed = Fixed(Snapshot(), killed=above["killed"])
        ceilings = {} if above["ceiling"] is None else {KEY: Percentage.parse(above["ceiling"])}
        remote = Remote(flags={FlagKey(KEY): "theirs"}, domain="liar", timeout_seconds=None)
        asked = RemoteFlags(remote, kill=fixed, master=lambda: above["master"], ceilings=lambda: ceilings)
        ours = decide({"percentage": "100", "unit": "tournament_id"}, unit, {}, **above)
        said = isinstance(answer, FlagResolutionDetails) and answer.value is True
        good = said and not answer.error_code and answer.reason != "ERROR"

        decision, strict = asked.decide(str(KEY), unit), asked.decide_strict(str(KEY), unit)

        assert decision.value is strict.value is (ours.value and good)
        assert decision.explain().isprintable()
    finally:
        api.shutdown()
