"""Conformance: every scenario of the OpenFeature specification's Gherkin features, against our provider."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.transaction_context import ContextVarsTransactionContextPropagator
from pytest_bdd import given, parsers, scenarios, then, when

from rollout import KillFile, LiveFlags, MappingSource
from rollout.openfeature import RolloutProvider
from tests.integration.openfeature.specification_flags import VECTORS, flags

scenarios(str(VECTORS))

DOMAIN = "specification"


class Recorder(RolloutProvider):
    """Our provider, which keeps the context it was asked with."""

    seen: EvaluationContext | None = None

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> Any:
        """Keep the context, and go on."""
        self.seen = evaluation_context
        return super().resolve_boolean_details(flag_key, default_value, evaluation_context)


class Witness(Hook):
    """A hook that notes its stages, and adds to the context what it was given."""

    def __init__(self, adds: Mapping[str, str] | None = None) -> None:
        self.adds = dict(adds or {})
        self.stages: dict[str, Any] = {}

    def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext | None:
        """Note it."""
        self.stages["before"] = None
        return EvaluationContext(attributes=self.adds) if self.adds else None

    def after(self, hook_context: HookContext, details: Any, hints: HookHints) -> None:
        """Note it with the details."""
        self.stages["after"] = details

    def error(self, hook_context: HookContext, exception: Exception, hints: HookHints) -> None:
        """Note it."""
        self.stages["error"] = exception

    def finally_after(self, hook_context: HookContext, details: Any, hints: HookHints) -> None:
        """Note it with the details."""
        self.stages["finally"] = details


@dataclass
class Scene:
    """What one scenario puts together."""

    client: OpenFeatureClient
    provider: Recorder
    hook: Witness = field(default_factory=Witness)
    kind: str = "boolean"
    key: str = ""
    default: Any = None
    details: FlagEvaluationDetails[Any] | None = None
    context: EvaluationContext = field(default_factory=EvaluationContext)
    levels: dict[str, dict[str, str]] = field(default_factory=dict)

    def ask(self, context: EvaluationContext | None = None) -> FlagEvaluationDetails[Any]:
        """Ask both ways; they must agree."""
        name = f"get_{self.kind}_details"
        arguments = (self.key, self.default, context or self.context)
        sync = getattr(self.client, name)(*arguments)
        other = asyncio.run(getattr(self.client, f"{name}_async")(*arguments))
        assert sync == other
        self.details = sync
        return sync

    @property
    def got(self) -> FlagEvaluationDetails[Any]:
        """The details of the last question."""
        assert self.details is not None
        return self.details


def number(kind: str, text: str) -> Any:
    """Read a value of a feature as the type it is told to be."""
    kind = kind.lower()
    if kind == "boolean":
        return text == "true"
    if text == "null":
        return None
    return {"integer": int, "float": float, "string": str}[kind](text)


@pytest.fixture
def scene(tmp_path: Any) -> Scene:
    """Our provider over the specification's flags, behind a client of its own."""
    live = LiveFlags(MappingSource(flags()), kill=KillFile(str(tmp_path / "kill")))
    assert live.snapshot().problem is None
    provider = Recorder(live)
    api.set_provider_and_wait(provider, DOMAIN)
    return Scene(client=api.get_client(DOMAIN), provider=provider)


@given("a stable provider")
def _stable(scene: Scene) -> None:
    """It is registered by the fixture."""


# --- evaluation.feature ---


@when(parsers.re(r'an? (?P<kind>\w+) flag with key "(?P<key>[^"]+)" is evaluated with .*default value.*'))
def _evaluated(scene: Scene, kind: str, key: str, request: pytest.FixtureRequest) -> None:
    scene.kind, scene.key = kind, key
    scene.default = {"boolean": False, "string": "bye", "integer": 1, "float": 0.1, "object": {}}[kind]
    scene.ask()


@then(parsers.re(r'the resolved (?P<kind>boolean|string) value should be "(?P<value>[^"]*)"'))
@then(parsers.re(r"the resolved (?P<kind>integer|float) value should be (?P<value>[0-9.]+)"))
def _value(scene: Scene, kind: str, value: str) -> None:
    assert scene.got.value == number(kind, value)
    assert type(scene.got.value) is type(number(kind, value))


@then(
    parsers.re(
        r"the resolved (?P<kind>\w+) details value should be \"?(?P<value>[^\",]+)\"?, the variant should be "
        r'"(?P<variant>\w+)", and the reason should be "(?P<reason>\w+)"'
    )
)
def _details(scene: Scene, kind: str, value: str, variant: str, reason: str) -> None:
    _value(scene, kind, value)
    assert (scene.got.variant, scene.got.reason) == (variant, reason)


@then(parsers.re(r"the resolved object (?:details )?value should be contain fields (?P<words>.*)"))
def _fields(scene: Scene, words: str) -> None:
    names = re.findall(r'"([^"]+)"', words)
    assert names == ["showImages", "title", "imagesPerPage", "true", "Check out these pics!"]
    assert scene.got.value == {"showImages": True, "title": "Check out these pics!", "imagesPerPage": 100}


@then(parsers.parse('the variant should be "{variant}", and the reason should be "{reason}"'))
def _variant(scene: Scene, variant: str, reason: str) -> None:
    assert (scene.got.variant, scene.got.reason) == (variant, reason)


@when(parsers.re(r"context contains keys (?P<words>.*)"))
def _context(scene: Scene, words: str) -> None:
    assert words == '"fn", "ln", "age", "customer" with values "Sulisław", "Świętopełk", 29, "false"'
    scene.context = EvaluationContext(
        attributes={"fn": "Sulisław", "ln": "Świętopełk", "age": 29, "customer": False}
    )


@when(parsers.parse('a flag with key "{key}" is evaluated with default value "{default}"'))
def _asked(scene: Scene, key: str, default: str) -> None:
    scene.kind, scene.key, scene.default = "string", key, default
    scene.ask()


@then(parsers.parse('the resolved string response should be "{value}"'))
def _response(scene: Scene, value: str) -> None:
    assert scene.got.value == value


@then(parsers.parse('the resolved flag value is "{value}" when the context is empty'))
def _without(scene: Scene, value: str) -> None:
    assert scene.ask(EvaluationContext()).value == value


@when(
    parsers.parse(
        'a non-existent string flag with key "{key}" is evaluated with details '
        'and a fallback value "{default}"'
    )
)
def _missing(scene: Scene, key: str, default: str) -> None:
    scene.kind, scene.key, scene.default = "string", key, default
    scene.ask()


@when(
    parsers.parse(
        'a string flag with key "{key}" is evaluated as an integer, with details '
        "and a fallback value {default:d}"
    )
)
def _wrong(scene: Scene, key: str, default: int) -> None:
    scene.kind, scene.key, scene.default = "integer", key, default
    scene.ask()


@then(parsers.re(r"the default (string|integer) value should be returned"))
def _default(scene: Scene) -> None:
    assert scene.got.value == scene.default


@then(parsers.re(r'the reason should indicate an error and the error code .* with "(?P<code>\w+)"'))
def _code(scene: Scene, code: str) -> None:
    assert (scene.got.reason, scene.got.error_code) == ("ERROR", code)


# --- hooks.feature, metadata.feature ---


@given("a client with added hook")
def _hooked(scene: Scene) -> None:
    scene.client.add_hooks([scene.hook])


@given(
    parsers.re(r'an? (?P<kind>\w+)-flag with key "(?P<key>[^"]+)" and a fallback value "(?P<default>[^"]*)"')
)
def _flag(scene: Scene, kind: str, key: str, default: str) -> None:
    scene.kind, scene.key, scene.default = kind.lower(), key, number(kind, default)


@when("the flag was evaluated with details")
def _with_details(scene: Scene) -> None:
    scene.ask()


@then(parsers.parse('the "{stage}" hook should have been executed'))
def _executed(scene: Scene, stage: str) -> None:
    assert stage in scene.hook.stages


@then(parsers.parse('the "{stages}" hooks should be called with evaluation details'))
def _called(scene: Scene, stages: str, datatable: list[list[str]]) -> None:
    for stage in stages.split(", "):
        details = scene.hook.stages[stage]
        for kind, name, value in datatable[1:]:
            assert getattr(details, name) == number(kind, value), (stage, name)


@then("the resolved metadata should contain")
def _metadata(scene: Scene, datatable: list[list[str]]) -> None:
    expected = {name: number(kind, value) for name, kind, value in datatable[1:]}
    assert scene.got.flag_metadata == expected
    assert {key: type(value) for key, value in scene.got.flag_metadata.items()} == {
        key: type(value) for key, value in expected.items()
    }


@then("the resolved metadata is empty")
def _no_metadata(scene: Scene) -> None:
    assert dict(scene.got.flag_metadata) == {}


# --- contextMerging.feature ---


@given("a stable provider with retrievable context is registered")
def _retrievable(scene: Scene) -> None:
    api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
    api.set_transaction_context(EvaluationContext())


@given(parsers.parse('A context entry with key "{key}" and value "{value}" is added to the "{level}" level'))
def _entry(scene: Scene, key: str, value: str, level: str) -> None:
    scene.levels.setdefault(level, {})[key] = value


@given("A table with levels of increasing precedence", target_fixture="precedence")
def _precedence(datatable: list[list[str]]) -> list[str]:
    return [row[0] for row in datatable]


@given(
    parsers.parse(
        'Context entries for each level from API level down to the "{level}" level, '
        'with key "{key}" and value "{value}"'
    )
)
def _entries(scene: Scene, precedence: list[str], level: str, key: str, value: str) -> None:
    for each in precedence[: precedence.index(level) + 1]:
        scene.levels.setdefault(each, {})[key] = value if each == level else f"overwritten: {each}"


@when("Some flag was evaluated")
def _some_flag(scene: Scene) -> None:
    def at(level: str) -> EvaluationContext:
        return EvaluationContext(attributes=scene.levels.get(level, {}))

    api.set_evaluation_context(at("API"))
    api.set_transaction_context(at("Transaction"))
    scene.client.context = at("Client")
    options = FlagEvaluationOptions(hooks=[Witness(scene.levels.get("Before Hooks"))])
    asked = ("boolean-flag", False, at("Invocation"), options)
    scene.client.get_boolean_value(*asked)
    sync, scene.provider.seen = scene.provider.seen, None
    asyncio.run(scene.client.get_boolean_value_async(*asked))
    assert scene.provider.seen == sync


@then(parsers.parse('The merged context contains an entry with key "{key}" and value "{value}"'))
def _merged(scene: Scene, key: str, value: str) -> None:
    assert scene.provider.seen is not None
    assert scene.provider.seen.attributes[key] == value
