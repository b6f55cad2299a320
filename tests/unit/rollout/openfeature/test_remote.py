"""A gate over another provider: True alone is on, our controls stand above, and it never raises or hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode as TheirCode
from openfeature.exception import ProviderFatalError
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagResolutionDetails
from openfeature.provider import ProviderStatus
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from rollout import ConfigError, ErrorCode, FlagKey, Gate, Percentage, Reason
from rollout.openfeature import RolloutProvider
from rollout.remote import Remote, RemoteFlags
from rollout.remote_answer import judged, mapped
from rollout.testing import override_flag
from tests.unit.rollout.openfeature.provider_world import Switch

KEY, THEIRS, DOMAIN = "tournament-webhooks", "their-flag", "remote"
ON = FlagResolutionDetails(True, reason="STATIC", variant="yes")
Resolve = Callable[[str, EvaluationContext], Any]


class Scripted(InMemoryProvider):
    """A provider that answers what a test says, and keeps what it was asked."""

    def __init__(self, answer: Any = ON) -> None:
        super().__init__({})
        self.answer = answer
        self.asked: list[tuple[str, EvaluationContext]] = []

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: Any = None
    ) -> Any:
        """Answer; what is callable is called."""
        self.asked.append((flag_key, evaluation_context))
        return self.answer() if callable(self.answer) else self.answer


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """OpenFeature's state is the process's."""
    api.shutdown()
    yield
    api.shutdown()


@pytest.fixture
def provider() -> Scripted:
    """The other side, ready."""
    made = Scripted()
    api.set_provider_and_wait(made, DOMAIN)
    return made


def flags(*, remote: dict[str, Any] | None = None, **options: Any) -> RemoteFlags:
    """A gate's flags over the other side, asked on this thread, controls read each time."""
    said: dict[str, Any] = {"flags": {KEY: THEIRS}, "domain": DOMAIN, "timeout_seconds": None}
    given: dict[str, Any] = {"kill": Switch(), "refresh_seconds": 0} | options
    return RemoteFlags(Remote(**said | (remote or {})), **given)


def test_true_is_on_with_the_other_sides_words(provider: Scripted) -> None:
    """And our position, so that it can be explained."""
    gate = Gate(KEY, flags())

    decision = gate(101, attributes=None)

    assert (decision.value, decision.variant, decision.reason) == (True, "on", Reason.STATIC)
    assert decision.detail == "openfeature: STATIC yes"
    assert (decision.unit, decision.threshold, decision.position is None) == ("101", None, False)
    assert gate.is_open(101)


def test_only_what_openfeature_knows_is_handed_over() -> None:
    """A UUID as text, a moment as it is; bytes and lists not at all."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    one = UUID("550e8400-e29b-41d4-a716-446655440000")

    plain = mapped({"a": one, "b": moment, "c": b"x", "d": None, "e": True}, names={})

    assert plain == {"a": str(one), "b": moment, "e": True}


class Fails:
    """Raises when called."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self) -> Any:
        """Raise."""
        raise self.error


@pytest.mark.parametrize(
    ("answer", "reason", "code"),
    [
        pytest.param(FlagResolutionDetails(False, reason="SPLIT"), Reason.SPLIT, None, id="false"),
        pytest.param(FlagResolutionDetails(False, reason="DISABLED"), Reason.DISABLED, None, id="disabled"),
        pytest.param(FlagResolutionDetails(False, reason="FALLTHROUGH"), Reason.UNKNOWN, None, id="own-word"),
        pytest.param(FlagResolutionDetails("true"), Reason.ERROR, ErrorCode.TYPE_MISMATCH, id="text"),
        pytest.param(FlagResolutionDetails(1), Reason.ERROR, ErrorCode.TYPE_MISMATCH, id="one"),
        pytest.param(FlagResolutionDetails(None), Reason.ERROR, ErrorCode.TYPE_MISMATCH, id="none"),
        pytest.param(
            FlagResolutionDetails(True, error_code=TheirCode.FLAG_NOT_FOUND),
            Reason.ERROR,
            ErrorCode.FLAG_NOT_FOUND,
            id="true-with-an-error",
        ),
        pytest.param(
            FlagResolutionDetails(True, reason="ERROR"), Reason.ERROR, ErrorCode.GENERAL, id="reason-error"
        ),
        pytest.param(
            FlagResolutionDetails(True, error_code="NEW_CODE"),  # type: ignore[arg-type]
            Reason.ERROR,
            ErrorCode.GENERAL,
            id="unknown-code",
        ),
        pytest.param(True, Reason.ERROR, ErrorCode.GENERAL, id="no-details"),
        pytest.param(None, Reason.ERROR, ErrorCode.GENERAL, id="nothing"),
        pytest.param(Fails(ValueError("secret")), Reason.ERROR, ErrorCode.GENERAL, id="raises"),
        pytest.param(
            Fails(ProviderFatalError("gone")), Reason.ERROR, ErrorCode.PROVIDER_NOT_READY, id="raises-fatal"
        ),
    ],
)
def test_everything_but_true_is_off_with_its_reason(
    provider: Scripted, answer: Any, reason: Reason, code: ErrorCode | None
) -> None:
    """At the gate and before sending, and nothing of what it said in an error reaches us."""
    provider.answer = answer
    asked = flags()

    at_the_gate, before_sending = asked.decide(KEY, 101), asked.decide_strict(KEY, 101)

    for decision in (at_the_gate, before_sending):
        assert (decision.value, decision.variant) == (False, "off")
        assert (decision.reason, decision.error_code) == (reason, code)
        assert "secret" not in decision.detail
    assert not asked.is_on(KEY, 101)


class Hostile(dict[str, object]):
    """Attributes that raise when they are looked through."""

    def items(self) -> Any:
        """Raise."""
        raise RuntimeError("personal")


class Worse(Hostile):
    """And whoever asks whether there are any, or what is in them."""

    def __bool__(self) -> bool:
        """Raise."""
        raise RuntimeError("personal")

    def __contains__(self, name: object) -> bool:
        """Raise."""
        raise RuntimeError("personal")


@pytest.mark.parametrize("attributes", [Hostile(a=1), Worse(a=1)], ids=["items", "everything"])
def test_attributes_that_raise_are_off(provider: Scripted, attributes: Hostile) -> None:
    """With the error's type, and nothing of its text; at both doors."""
    asked = flags()

    decision, (resolved, flag) = asked.decide(KEY, 101, attributes), asked.resolve(KEY, 101, attributes)

    assert (decision.value, decision.error_code) == (False, ErrorCode.GENERAL)
    assert (resolved.value, resolved.error_code, flag) == (False, ErrorCode.GENERAL, None)
    assert "RuntimeError" in decision.detail
    assert "RuntimeError" in resolved.detail
    assert "personal" not in decision.detail + resolved.detail
    assert provider.asked == []


@pytest.mark.parametrize("value", ["true", 1, None, [True]], ids=["text", "one", "none", "list"])
def test_a_value_of_another_type_is_a_mismatch_though_nobody_says_so(value: Any) -> None:
    """The SDK's asynchronous path hands such a value through; we look ourselves."""
    details = FlagEvaluationDetails(THEIRS, value)

    answer = judged(details, ProviderStatus.READY, stale_for=None, most=30)

    assert (answer.value, answer.code) == (False, ErrorCode.TYPE_MISMATCH)


def test_what_the_other_side_made_up_is_harmless() -> None:
    """Its words reach a decision's detail as a few plain characters."""
    api.set_provider_and_wait(
        Scripted(FlagResolutionDetails(True, reason="a\nb=c", variant="x" * 99)), DOMAIN
    )

    decision = flags().decide(KEY, 101)

    assert decision.detail == f"openfeature: a_b_c {'x' * 64}"
    assert decision.reason is Reason.UNKNOWN


def test_without_a_provider_it_is_off() -> None:
    """The SDK would answer our own default; that nobody set a provider is worth a word."""
    decision = flags().decide(KEY, 101)

    assert (decision.value, decision.error_code) == (False, ErrorCode.PROVIDER_NOT_READY)


def test_a_provider_that_is_not_ready_is_off() -> None:
    """`set_provider` does not wait; until it is ready, off."""
    hold, entered = threading.Event(), threading.Event()

    class Slow(Scripted):
        def initialize(self, evaluation_context: EvaluationContext) -> None:
            entered.set()
            hold.wait(10)

    api.set_provider(Slow(), DOMAIN)
    assert entered.wait(5)

    decision = flags().decide(KEY, 101)
    hold.set()

    assert (decision.value, decision.error_code) == (False, ErrorCode.PROVIDER_NOT_READY)


def test_a_provider_in_error_is_off(provider: Scripted) -> None:
    """Though the SDK would go on asking it."""
    provider.emit_provider_error(ProviderEventDetails(message="lost"))

    decision = flags().decide(KEY, 101)

    assert (decision.value, decision.error_code) == (False, ErrorCode.GENERAL)
    assert decision.detail == "openfeature: the provider is in error"


def test_a_provider_that_hangs_costs_its_time_out() -> None:
    """Then off; the caller never waits longer."""
    hold = threading.Event()
    api.set_provider_and_wait(Scripted(lambda: hold.wait(10)), DOMAIN)
    asked = flags(remote={"timeout_seconds": 0.02})

    decision = asked.decide(KEY, 101)
    strict = asked.decide_strict(KEY, 101)
    hold.set()

    assert (decision.value, decision.error_code) == (False, ErrorCode.GENERAL)
    assert decision.detail == "openfeature: no answer within 0.02 s"
    assert (strict.value, strict.reason) == (False, Reason.ERROR)


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        pytest.param({"master": lambda: False}, "master switch", id="master"),
        pytest.param({"master": lambda: None}, "master switch: neither on nor off", id="master-unknown"),
        pytest.param({"ceilings": lambda: {KEY: Percentage.NOBODY}}, "ceiling 0", id="ceiling"),
    ],
)
def test_our_controls_stand_above_and_it_is_not_asked(
    provider: Scripted, options: dict[str, Any], detail: str
) -> None:
    """Whatever it would have said."""
    asked = flags(**options)

    decision, strict = asked.decide(KEY, 101), asked.decide_strict(KEY, 101)

    assert (decision.value, decision.detail) == (strict.value, strict.detail) == (False, detail)
    assert provider.asked == []


def test_the_kill_switch_stands_above(provider: Scripted) -> None:
    """Pulled: off, and not asked; released: asked again."""
    switch = Switch()
    asked = flags(kill=switch)

    switch.killed = True
    killed = asked.decide(KEY, 101)
    switch.killed = False

    assert (killed.value, killed.reason, len(provider.asked)) == (False, Reason.DISABLED, 0)
    assert asked.decide(KEY, 101).value


def test_a_ceiling_holds_units_back_by_their_positions(provider: Scripted) -> None:
    """A guarded rollout goes its stages, though the other side says True to everybody."""
    ceiling = {"percent": 25}
    asked = flags(ceilings=lambda: {FlagKey(KEY): Percentage.parse(ceiling["percent"])})

    at_25 = {unit for unit in range(400) if asked.decide(KEY, unit)}
    ceiling["percent"] = 5
    at_5 = {unit for unit in range(400) if asked.decide_strict(KEY, unit, admitted_by=Reason.TARGETING_MATCH)}

    assert at_5 < at_25
    assert 60 < len(at_25) < 140
    assert 5 < len(at_5) < 40
    assert asked.decide_strict(KEY, min(at_25 - at_5), admitted_by=Reason.SPLIT).reason is Reason.SPLIT


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        pytest.param("", ErrorCode.TARGETING_KEY_MISSING, id="blank"),
        pytest.param(None, ErrorCode.TARGETING_KEY_MISSING, id="none"),
        pytest.param(1.5, ErrorCode.INVALID_CONTEXT, id="float"),
    ],
)
def test_what_is_no_unit_is_never_asked_about(provider: Scripted, unit: object, code: ErrorCode) -> None:
    """A blank key would be somebody else's."""
    api.set_evaluation_context(EvaluationContext("global"))

    decision = flags().decide(KEY, unit)

    assert (decision.value, decision.error_code, provider.asked) == (False, code, [])


def test_a_flag_that_is_not_mapped_is_not_found(provider: Scripted) -> None:
    """Only what the settings name is asked about."""
    decision = flags().decide("other", 101)

    assert (decision.error_code, provider.asked) == (ErrorCode.FLAG_NOT_FOUND, [])


def test_an_override_asks_nobody(provider: Scripted) -> None:
    """A test says what it wants to see, at both doors."""
    asked = flags()
    api.set_provider_and_wait(RolloutProvider(asked), "ours")

    with override_flag(KEY, on=True):
        gate, sender = asked.decide(KEY, 101), asked.decide_strict(KEY, 101)
        door = api.get_client("ours").get_boolean_value(KEY, False, EvaluationContext("101"))

    assert (gate.value, sender.value, door, provider.asked) == (True, True, True, [])


@pytest.mark.parametrize("attributes", [{}, {"tournament_id": 7}], ids=["key", "attribute"])
def test_our_provider_may_stand_before_another(provider: Scripted, attributes: dict[str, Any]) -> None:
    """So that OpenFeature's own calls get our kill switch over LaunchDarkly's flags."""
    switch = Switch()
    api.set_provider_and_wait(RolloutProvider(flags(kill=switch)), "guarded")
    client = api.get_client("guarded")

    before = client.get_boolean_value(KEY, False, EvaluationContext("101", attributes))
    switch.killed = True
    after = client.get_boolean_value(KEY, True, EvaluationContext("101", attributes))

    assert (before, after) == (True, False)
    assert provider.asked[0][1].targeting_key == str(attributes.get("tournament_id", 101))


def test_the_sdks_in_memory_provider_gates() -> None:
    """A real provider, with a rule of its own."""

    def by_region(flag: InMemoryFlag[bool], context: EvaluationContext) -> FlagResolutionDetails[bool]:
        return FlagResolutionDetails(context.attributes.get("region") == "eu", reason="TARGETING_MATCH")

    flag = InMemoryFlag("off", {"on": True, "off": False}, context_evaluator=by_region)
    api.set_provider_and_wait(InMemoryProvider({THEIRS: flag}), DOMAIN)
    asked = flags(remote={"timeout_seconds": 1.0})

    assert asked.decide(KEY, 101, {"region": "eu"}).value
    assert not asked.decide(KEY, 101, {"region": "us"}).value


@pytest.mark.parametrize(
    ("said", "path"),
    [
        pytest.param({"flags": {}}, "flags", id="no-flags"),
        pytest.param({"timeout_seconds": 0}, "timeout_seconds", id="no-time"),
        pytest.param({"timeout_seconds": 6}, "timeout_seconds", id="too-long"),
        pytest.param({"stale_seconds": 31}, "stale_seconds", id="too-stale"),
    ],
)
def test_what_is_out_of_range_is_refused(said: dict[str, Any], path: str) -> None:
    """With its place."""
    with pytest.raises(ConfigError) as caught:
        flags(remote=said)

    assert caught.value.path == path


def test_the_default_provider_serves_where_no_domain_is_named() -> None:
    """The domain is optional in OpenFeature too."""
    api.set_provider_and_wait(Scripted())

    asked = RemoteFlags(Remote(flags={FlagKey(KEY): THEIRS}), kill=Switch())

    assert asked.decide(KEY, 101).value
    assert asked.snapshot().origin == "openfeature:default"
