"""Property: our provider decides as the evaluator does; without a unit only what holds for every one."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagResolutionDetails
from openfeature.transaction_context import ContextVarsTransactionContextPropagator

from rollout.controls import KillState
from rollout.decision import Decision, Reason
from rollout.flags import FlagKey
from rollout.live import LiveFlags
from rollout.openfeature import RolloutProvider, context
from rollout.percentage import Percentage
from rollout.remote import Remote, RemoteFlags
from rollout.snapshot import Snapshot
from tests.property.evaluator_model import KEY, PERCENTS, REGIONS, UNITS, decide, flags, snapshot_of

pytestmark = pytest.mark.slow

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


# ---- contexts as applications make them ----

#: In the order in which the SDK merges them: the later one wins.
LEVELS = ("global", "transaction", "client", "call")
TEXTS = st.sampled_from([*REGIONS, "", "101"])
NUMBERS = st.one_of(st.integers(-5, 200), st.just(2**70), st.floats(), st.decimals(allow_nan=True, places=2))
ODD = st.sampled_from([None, [101], {"id": 101}, b"101", "\ud800"])
GENERAL = {
    "region": TEXTS | ODD,
    "game": TEXTS | st.uuids(),
    "score": NUMBERS | TEXTS,
    "paid": st.booleans() | NUMBERS,
}
OF_THE_UNIT = {"tournament_id": UNITS | UNITS | st.booleans() | st.floats() | TEXTS | ODD}
ATTRIBUTES = st.fixed_dictionaries({}, optional=GENERAL | OF_THE_UNIT)
BLANK = st.sampled_from([None, ""])
KEYS = st.sampled_from(["a", "101", " ", "ü"])
NOTHING = st.just(EvaluationContext())
CONTEXTS = st.builds(EvaluationContext, BLANK | KEYS, ATTRIBUTES)
OURS = st.builds(lambda unit, attributes: context(unit, **attributes), BLANK | UNITS, ATTRIBUTES)
#: Each level may be empty, as most are; a call's own may be made by our function.
WORLDS = st.fixed_dictionaries(dict.fromkeys(LEVELS[:-1], NOTHING | CONTEXTS) | {"call": CONTEXTS | OURS})
BARE = st.fixed_dictionaries({}, optional=GENERAL)
UNITLESS = st.fixed_dictionaries(
    {level: st.builds(EvaluationContext, BLANK, BARE) for level in LEVELS[1:]}
    | {"global": st.builds(EvaluationContext, st.none() | KEYS, BARE)}
)
TYPED_RULES = st.fixed_dictionaries(
    {
        "if": st.lists(
            st.sampled_from(
                [
                    {"attribute": "score", "op": "gte", "value": 9.5},
                    {"attribute": "score", "op": "in", "value": [1, "eu"]},
                    {"attribute": "paid", "op": "equals", "value": True},
                    {"attribute": "paid", "op": "lt", "value": 100},
                    {"attribute": "game", "op": "not_in", "value": ["eu"]},
                    {"attribute": "region", "op": "starts_with", "value": "e"},
                    {"attribute": "tournament_id", "op": "lt", "value": 101},
                ]
            ),
            min_size=1,
            max_size=2,
        ),
        "serve": st.sampled_from(["on", "off"]) | st.fixed_dictionaries({"percentage": PERCENTS}),
    }
)
FLAGS = st.builds(
    lambda flag, rules: flag | {"rules": [*rules, *flag["rules"]]}, flags(), st.lists(TYPED_RULES, max_size=2)
)


def merged(world: dict[str, EvaluationContext]) -> tuple[str | None, dict[str, Any]]:
    """The key and the attributes that count: our blank key stays blank, the process's counts as none."""
    key: str | None = None
    attributes: dict[str, Any] = {}
    for level in LEVELS:
        key = world[level].targeting_key or key
        attributes |= world[level].attributes
    return (None if key != "" and key == world["global"].targeting_key else key), attributes


def through_a_client(
    live: LiveFlags, kind: str, world: dict[str, EvaluationContext]
) -> FlagEvaluationDetails[Any]:
    """Ask synchronously and asynchronously, as an application does; they must agree."""

    def ask() -> FlagEvaluationDetails[Any]:
        api.set_provider_and_wait(RolloutProvider(live), "property")
        api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
        api.set_evaluation_context(world["global"])
        api.set_transaction_context(world["transaction"])
        client = api.get_client("property")
        client.context = world["client"]
        sync = getattr(client, f"get_{kind}_details")(str(KEY), "the default", world["call"])
        other = asyncio.run(
            getattr(client, f"get_{kind}_details_async")(str(KEY), "the default", world["call"])
        )
        assert sync == other
        return sync  # type: ignore[no-any-return]

    try:
        return contextvars.copy_context().run(ask)
    finally:
        api.shutdown()


def reason_of(decision: Decision, flag: dict[str, Any]) -> str:
    """The specification's word: without a split nothing was dealt."""
    if decision.reason is not Reason.SPLIT or 0 < (decision.threshold or 0) < 2**64:
        return str(decision.reason)
    return "DEFAULT" if flag["rules"] or flag["forced_on"] or flag["forced_off"] else "STATIC"


@settings(max_examples=300)
@given(FLAGS, WORLDS, st.sampled_from(KINDS), st.fixed_dictionaries(CONTROLS))
def test_a_client_of_the_provider_is_told_what_the_evaluator_decides(
    flag: dict[str, Any],
    world: dict[str, EvaluationContext],
    kind: tuple[str, dict[str, Any] | None],
    above: dict[str, Any],
) -> None:
    """Value, variant, reason and code; any flag, any contexts, any type, both ways."""
    name, values = kind
    key, attributes = merged(world)
    wanted = decide(flag, attributes.get("tournament_id", key), attributes, **above)
    said = flag if values is None else flag | {"values": values}

    details = through_a_client(live(said, **above), name, world)

    if wanted.error_code is not None:
        # Without any unit some answers hold for every one: see the next property.
        without = key is None and "tournament_id" not in attributes and details.error_code is None
        assert wanted.error_code == "TARGETING_KEY_MISSING" or not without
        assert without or (details.value, str(details.error_code)) == ("the default", wanted.error_code)
        return
    values = values or {"on": True, "off": False}
    assert details.error_code is None
    assert (details.value, details.variant) == (values[wanted.variant], wanted.variant)
    assert details.reason == reason_of(wanted, flag)


@settings(max_examples=200)
@given(FLAGS, st.lists(UNITS, min_size=1, max_size=5), UNITLESS, st.fixed_dictionaries(CONTROLS))
def test_without_a_unit_only_what_holds_for_every_unit_is_answered(
    flag: dict[str, Any], units: list[object], world: dict[str, EvaluationContext], above: dict[str, Any]
) -> None:
    """An error, or the answer that each of them gets; what stops the flag is neither error nor default."""
    key, attributes = merged(world)
    everyone = [*units, *flag["forced_on"], *flag["forced_off"]]
    stopped = decide(flag, None, attributes, **above).error_code is None

    details = through_a_client(live(flag, **above), "boolean", world)

    assert key is None
    if details.error_code is None:
        assert {decide(flag, unit, attributes, **above).value for unit in everyone} == {details.value}
    assert not stopped or (details.value, details.reason) == (False, "DISABLED")


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
