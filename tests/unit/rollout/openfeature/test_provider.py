"""Our provider: values, reasons, codes and facts of the specification; off where anything stops a flag."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.track import TrackingEventDetails

from rollout import Percentage, events
from rollout.events import ObserverFailed
from rollout.openfeature import RolloutProvider
from rollout.testing import override_flag
from tests.unit.rollout.openfeature.provider_world import Switch, live, provider

HALF = {"f": {"percentage": 50}}
IN, OUT = EvaluationContext("9"), EvaluationContext("7")  # at 50 %, under the salt "f"


def test_a_percentage_is_a_split_with_its_facts() -> None:
    """SPLIT, the variant, and enough to explain it a year later."""
    asked = provider(HALF, version=7)

    inside = asked.resolve_boolean_details("f", False, IN)
    outside = asked.resolve_boolean_details("f", True, OUT)

    assert (inside.value, inside.variant, inside.reason) == (True, "on", Reason.SPLIT)
    assert (outside.value, outside.variant, outside.reason) == (False, "off", Reason.SPLIT)
    facts = dict(inside.flag_metadata)
    assert set(facts) == {"position", "turns_on_at", "version"}
    assert (len(str(facts["position"])), facts["version"]) == (16, 7)
    assert Decimal(str(facts["turns_on_at"])) <= 50
    assert repr(inside.flag_metadata) == repr(facts)
    assert len(inside.flag_metadata) == 3


@pytest.mark.parametrize(
    ("body", "reason", "variant"),
    [
        pytest.param({"percentage": 100}, Reason.STATIC, "on", id="everybody"),
        pytest.param({"percentage": 0}, Reason.STATIC, "off", id="nobody"),
        pytest.param({}, Reason.DEFAULT, "off", id="no-percentage"),
        pytest.param({"percentage": 100, "enabled": False}, Reason.DISABLED, "off", id="disabled"),
        pytest.param({"forced_on": [9]}, Reason.TARGETING_MATCH, "on", id="forced"),
        pytest.param({"percentage": 100, "forced_off": [8]}, Reason.DEFAULT, "on", id="not-forced"),
    ],
)
def test_the_reason_is_the_specifications(body: dict[str, Any], reason: Reason, variant: str) -> None:
    """STATIC where nothing depends on the unit, DEFAULT where nothing matched."""
    details = provider({"f": body}).resolve_boolean_details("f", False, IN)

    assert (details.reason, details.variant) == (reason, variant)


def test_a_rule_is_told() -> None:
    """TARGETING_MATCH, with the rule among the facts."""
    rule = {"if": [{"attribute": "region", "op": "in", "value": ["eu"]}], "serve": "on"}

    details = provider({"f": {"rules": [rule]}}).resolve_boolean_details(
        "f", False, EvaluationContext("3", {"region": "eu"})
    )

    assert (details.value, details.reason) == (True, Reason.TARGETING_MATCH)
    assert details.flag_metadata["rule"] == "rule 1: region in ['eu']"


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        pytest.param("string", {"on": "hi", "off": "bye"}, "hi", id="string"),
        pytest.param("integer", {"on": 10, "off": 1}, 10, id="integer"),
        pytest.param("float", {"on": Decimal("0.5"), "off": 0}, 0.5, id="float"),
        pytest.param("float", {"on": 10, "off": 1}, 10.0, id="float-of-integers"),
        pytest.param("object", {"on": {"a": [1]}, "off": {}}, {"a": [1]}, id="object"),
        pytest.param("object", {"on": ["a"], "off": []}, ["a"], id="list"),
    ],
)
def test_each_type_is_served_both_ways(kind: str, body: dict[str, Any], value: Any) -> None:
    """The value of the variant, synchronously and asynchronously."""
    asked = provider({"f": {"percentage": 50, "values": body}})

    sync = getattr(asked, f"resolve_{kind}_details")("f", None, IN)
    other = asyncio.run(getattr(asked, f"resolve_{kind}_details_async")("f", None, IN))
    outside = getattr(asked, f"resolve_{kind}_details")("f", None, OUT)

    assert sync == other
    assert (sync.value, type(sync.value)) == (value, type(value))
    assert (outside.variant, outside.value) == ("off", body["off"])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param(None, "string", id="boolean-as-string"),
        pytest.param(None, "integer", id="boolean-as-integer"),
        pytest.param({"on": "a", "off": "b"}, "boolean", id="string-as-boolean"),
        pytest.param({"on": 0.5, "off": 1}, "integer", id="float-as-integer"),
        pytest.param({"on": {}, "off": []}, "string", id="object-as-string"),
    ],
)
def test_another_type_is_a_mismatch_both_ways(values: Any, kind: str) -> None:
    """The default comes back with TYPE_MISMATCH: the SDK's own look at it fails where it is async."""
    body = {"percentage": 100} | ({"values": values} if values is not None else {})
    api.set_provider_and_wait(provider({"f": body}))
    client = api.get_client()
    default: Any = {"string": "d", "integer": 5, "boolean": True}[kind]

    sync = getattr(client, f"get_{kind}_details")("f", default)
    other = asyncio.run(getattr(client, f"get_{kind}_details_async")("f", default))

    assert sync == other
    assert (sync.value, sync.error_code, sync.reason) == (default, ErrorCode.TYPE_MISMATCH, Reason.ERROR)


@pytest.mark.parametrize(
    ("key", "unit", "code"),
    [
        pytest.param("missing", "3", ErrorCode.FLAG_NOT_FOUND, id="no-flag"),
        pytest.param("f", None, ErrorCode.TARGETING_KEY_MISSING, id="no-key"),
        pytest.param("f", "", ErrorCode.TARGETING_KEY_MISSING, id="blank-key"),
        pytest.param("f", 1.5, ErrorCode.INVALID_CONTEXT, id="float-key"),
    ],
)
def test_an_error_answers_the_default_with_its_code(key: str, unit: Any, code: ErrorCode) -> None:
    """As the specification wants it."""
    details = provider(HALF).resolve_boolean_details(key, True, EvaluationContext(unit))

    assert (details.value, details.error_code, details.reason) == (True, code, Reason.ERROR)
    assert details.error_message


def test_no_context_at_all_is_a_missing_key() -> None:
    """The SDK always hands one over; somebody else may not."""
    details = provider(HALF).resolve_boolean_details("f", False)

    assert details.error_code == ErrorCode.TARGETING_KEY_MISSING


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        pytest.param({"master": lambda: False}, "master switch", id="master"),
        pytest.param({"ceilings": lambda: {"f": Percentage.NOBODY}}, "ceiling 0", id="ceiling"),
    ],
)
def test_what_stops_a_flag_answers_off_never_the_default(options: dict[str, Any], rule: str) -> None:
    """DISABLED, with the switch among the facts; a default of True does not come through."""
    flags = {"f": {"percentage": 100, "values": {"on": "new", "off": "old"}}, "b": {"percentage": 100}}

    text = provider(flags, **options).resolve_string_details("f", "default", IN)
    options = options if "master" in options else {"ceilings": lambda: {"b": Percentage.NOBODY}}
    yes = provider(flags, **options).resolve_boolean_details("b", True, IN)

    assert (text.value, text.reason, text.flag_metadata["rule"]) == ("old", Reason.DISABLED, rule)
    assert (yes.value, yes.reason) == (False, Reason.DISABLED)


def test_the_kill_switch_answers_off_for_flags_that_are_not_there() -> None:
    """It stands above everything; only a boolean is known to be off, though."""
    switch = Switch()
    switch.killed = True
    asked = provider({}, kill=switch)

    yes = asked.resolve_boolean_details("missing", True, IN)
    text = asked.resolve_string_details("missing", "default", IN)

    assert (yes.value, yes.reason) == (False, Reason.DISABLED)
    assert (text.value, text.error_code) == ("default", ErrorCode.TYPE_MISMATCH)


def test_an_override_comes_through_this_door_too() -> None:
    """On or off, for values of any type, defined or not; other tasks' overrides do not."""
    asked = provider({"f": {"values": {"on": "new", "off": "old"}, "percentage": 0}})

    async def elsewhere() -> bool:
        return bool((await asked.resolve_boolean_details_async("any", False, IN)).value)

    with override_flag("f", on=True), override_flag("any", on=True):
        text = asked.resolve_string_details("f", "default", IN)
        yes = asked.resolve_boolean_details("any", False)
        in_thread = asyncio.run(asyncio.to_thread(asked.resolve_boolean_details, "any", False))
        in_task = asyncio.run(elsewhere())

    assert (text.value, text.reason) == ("new", Reason.STATIC)
    assert yes.value is in_thread.value is in_task is True
    assert asked.resolve_string_details("f", "default", IN).value == "old"


def test_a_source_that_breaks_is_an_error_not_an_exception() -> None:
    """Nothing raises into the caller."""
    broken = live(HALF)
    broken._monotonic = lambda: 1 / 0  # type: ignore[misc]

    details = RolloutProvider(broken).resolve_boolean_details("f", False, IN)

    assert (details.value, details.error_code) == (False, ErrorCode.GENERAL)


def test_a_master_switch_that_raises_is_an_error() -> None:
    """Unknown: the default, with PARSE_ERROR; a gate says off."""
    details = provider(HALF, master=lambda: bool(1 / 0)).resolve_boolean_details("f", False, IN)

    assert (details.value, details.error_code) == (False, ErrorCode.PARSE_ERROR)


def test_it_is_hashable_and_named_and_has_its_hooks() -> None:
    """The SDK keeps providers in a dictionary."""
    hook = Hook()
    asked = RolloutProvider(live(HALF), hooks=[hook])

    assert {asked: 1}[asked] == 1
    assert asked.get_metadata().name == "rollout"
    assert asked.get_provider_hooks() == [hook]


def test_its_hooks_run_through_a_client_and_nobody_else_changes_them() -> None:
    """The list that is handed out is the asker's own."""
    ran: list[str] = []

    class Witness(Hook):
        """Notes which flag was asked."""

        def before(self, hook_context: HookContext, hints: HookHints) -> None:
            """Note it."""
            ran.append(hook_context.flag_key)

    asked = RolloutProvider(live(HALF), hooks=[Witness()])
    api.set_provider_and_wait(asked)

    asked.get_provider_hooks().clear()
    api.get_client().get_boolean_value("f", False, IN)
    asyncio.run(api.get_client().get_boolean_value_async("f", False, IN))

    assert ran == ["f", "f"]


def test_tracking_is_handed_on() -> None:
    """With the merged context; without a tracker nothing happens."""
    heard: list[Any] = []
    api.set_provider_and_wait(RolloutProvider(live(HALF), tracker=lambda *told: heard.append(told)))
    details = TrackingEventDetails(value=9.5)

    api.get_client().track("paid", EvaluationContext("101"), details)
    provider(HALF).track("paid")

    assert heard == [("paid", EvaluationContext("101"), details)]


def test_a_tracker_that_raises_is_reported_and_its_caller_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By type: what was tracked, and what it said about it, may hold anything."""
    failed: list[ObserverFailed] = []
    monkeypatch.setattr(events, "_reporters", [failed.append])

    def fails(*_: object) -> None:
        raise ValueError("somebody@example.org")

    api.set_provider_and_wait(RolloutProvider(live(HALF), tracker=fails))

    api.get_client().track("paid", EvaluationContext("101"))

    assert [(each.error, each.fact) for each in failed] == [("ValueError", "tracking")]
    assert "fails" in failed[0].observer
    assert "example" not in repr(failed)


def test_attributes_that_are_no_mapping_are_an_invalid_context() -> None:
    """Without a unit too."""
    asked = provider({"f": {"percentage": 100}})
    wrong: Any = EvaluationContext(None, ["region"])  # type: ignore[arg-type]

    details = asked.resolve_boolean_details("f", False, wrong)

    assert (details.value, details.error_code) == (False, ErrorCode.INVALID_CONTEXT)
