"""Property: a decision follows the order of the contract §2, never raises, and is off when in doubt."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rollout.sources.schema import loads_json

from rollout.context import EvaluationContext
from rollout.controls import Controls, KillState
from rollout.decision import Decision, ErrorCode, Reason
from rollout.errors import ConfigError
from rollout.evaluator import evaluate, evaluate_strict
from rollout.flags import FlagKey
from rollout.live import LiveFlags
from rollout.percentage import Percentage
from rollout.sources.base import Snapshot, SourceStatus

KEY = FlagKey("tournament-webhooks")


# ---- the model: the contract's order of decision, read independently of the code ----


def unit_name(unit: object) -> str | None:
    """The text a unit is dealt by; None for what is no unit."""
    if isinstance(unit, str):
        return str.__str__(unit) or None
    if isinstance(unit, int) and not isinstance(unit, bool):
        return int.__repr__(unit)
    return UUID.__str__(unit) if type(unit) is UUID else None


def is_below(salt: str, unit: str, percent: Fraction) -> bool:
    """r1, as the contract writes it."""
    place = int(hashlib.sha256(f"{salt}:{unit}".encode()).hexdigest()[:16], 16)
    return place < math.floor(percent * 2**64 / 100)


def model(
    flag: Mapping[str, Any],
    unit: str,
    attributes: Mapping[str, Any],
    *,
    killed: bool,
    master: bool,
    ceiling: Fraction,
) -> bool:
    """Ten lines that say who is in."""
    percent = Fraction(flag.get("percentage", "0"))
    if (
        killed
        or not master
        or ceiling == 0
        or not flag.get("enabled", True)
        or unit in flag.get("forced_off", ())
    ):
        return False
    if unit in flag.get("forced_on", ()):
        return True
    for rule in flag.get("rules", ()):
        if all(attributes.get(each["attribute"]) in each["value"] for each in rule["if"]):
            if rule["serve"] in ("on", "off"):
                return bool(rule["serve"] == "on")
            percent = Fraction(rule["serve"]["percentage"])
            break
    return is_below(flag.get("salt", str(KEY)), unit, min(percent, ceiling))


# ---- strategies ----

PERCENTS = st.one_of(
    st.sampled_from(["0", "100", "5", "50", "99.99999999999999999999", "0.00000000000000000001"]),
    st.builds("{}.{}".format, st.integers(0, 99), st.text("0123456789", min_size=1, max_size=20)),
)
UNITS = st.one_of(st.integers(-5, 200), st.sampled_from(["a", "b", "ü", "101"]), st.uuids())
NAMED = st.one_of(st.integers(-5, 200).map(str), st.sampled_from(["a", "b", "ü", "101"]))
REGIONS = ["eu", "us", "jp"]
RULES = st.fixed_dictionaries(
    {
        "if": st.lists(
            st.fixed_dictionaries(
                {
                    "attribute": st.sampled_from(["region", "game"]),
                    "op": st.just("in"),
                    "value": st.lists(st.sampled_from(REGIONS), min_size=1, max_size=2, unique=True),
                }
            ),
            min_size=1,
            max_size=2,
        ),
        "serve": st.sampled_from(["on", "off"]) | st.fixed_dictionaries({"percentage": PERCENTS}),
    }
)


@st.composite
def flags(draw: st.DrawFn) -> dict[str, Any]:
    """One flag of a configuration file, valid."""
    forced = draw(st.lists(NAMED, max_size=6, unique=True))
    cut = draw(st.integers(0, len(forced)))
    flag: dict[str, Any] = {
        "percentage": draw(PERCENTS),
        "enabled": draw(st.booleans() | st.just(True)),
        "unit": "tournament_id",
        "forced_on": forced[:cut],
        "forced_off": forced[cut:],
        "rules": draw(st.lists(RULES, max_size=3)),
    }
    if draw(st.booleans()):
        flag["salt"] = draw(st.text("abcXYZ019._-", min_size=1, max_size=12))
    return flag


def snapshot_of(flag: Mapping[str, Any]) -> Snapshot:
    """The snapshot a source would give for this one flag."""
    loaded = loads_json(text_of(flag), origin="test")
    return Snapshot(
        flags=loaded.flags, version=loaded.version, status=SourceStatus.READY, problem=None, origin="test"
    )


def text_of(flag: Mapping[str, Any]) -> str:
    """A configuration file with this one flag."""
    return json.dumps({"schema": 1, "version": 1, "flags": {str(KEY): flag}})


def controls(*, killed: bool = False, master: bool | None = True, ceiling: str | None = None) -> Controls:
    """Controls by their three levers."""
    ceilings = {} if ceiling is None else {KEY: Percentage.parse(ceiling)}
    return Controls(kill=KillState(killed=killed, why="test"), master=master, ceilings=ceilings)


def decide(flag: Mapping[str, Any], unit: object, attributes: Any = None, **levers: Any) -> Decision:
    """One evaluation of one flag."""
    context = EvaluationContext(unit=unit, attributes=attributes or {})
    return evaluate(snapshot_of(flag), KEY, context, controls=controls(**levers))


# ---- the claims ----

ATTRIBUTES = st.dictionaries(
    st.sampled_from(["region", "game", "other"]), st.sampled_from(REGIONS), max_size=3
)


@settings(max_examples=300)  # the whole order of decision is drawn at once
@given(flags(), UNITS, ATTRIBUTES, st.booleans(), st.sampled_from([True, False, None]), st.none() | PERCENTS)
def test_a_decision_is_what_the_model_says(
    flag: dict[str, Any],
    unit: object,
    attributes: dict[str, str],
    killed: bool,
    master: bool | None,
    ceiling: str | None,
) -> None:
    """Evaluation equals a ten-line reading of the order of decision (§2)."""
    name = unit_name(unit)
    assert name is not None
    wanted = model(
        flag, name, attributes, killed=killed, master=master is True, ceiling=Fraction(ceiling or 100)
    )

    decision = decide(flag, unit, attributes, killed=killed, master=master, ceiling=ceiling)

    assert decision.value is wanted
    assert bool(decision) is wanted
    assert decision.variant == ("on" if wanted else "off")
    assert isinstance(decision.reason, Reason)
    assert isinstance(decision.explain(), str)


CELLS = list(
    itertools.product(
        [False, True], [True, False, None], [None, "0", "100"], [True, False], "-onf", ["0", "100"]
    )
)


@pytest.mark.parametrize("rules", [(), ("on",), ("off",)], ids=["no rules", "rule on", "rule off"])
def test_every_cell_of_the_order_of_decision(rules: tuple[str, ...]) -> None:
    """Kill × master × ceiling × enabled × forced × percentage × rule: all 432 cells equal the model (§2)."""
    for killed, master, ceiling, enabled, forced, percentage in CELLS:
        flag = {
            "percentage": percentage,
            "enabled": enabled,
            "unit": "tournament_id",
            "forced_on": ["101"] if forced in "on" else [],
            "forced_off": ["101"] if forced in "f" else [],
            "rules": [
                {"if": [{"attribute": "region", "op": "in", "value": ["eu"]}], "serve": serve}
                for serve in rules
            ],
        }
        levers: dict[str, Any] = {"killed": killed, "master": master, "ceiling": ceiling}
        wanted = model(
            flag,
            "101",
            {"region": "eu"},
            killed=killed,
            master=master is True,
            ceiling=Fraction(ceiling or 100),
        )

        assert decide(flag, 101, {"region": "eu"}, **levers).value is wanted, (levers, flag)


@given(flags(), UNITS, PERCENTS, PERCENTS)
def test_raising_the_percentage_or_the_ceiling_only_adds(
    flag: dict[str, Any], unit: object, one: str, two: str
) -> None:
    """Monotone in both levers; the ceiling can only take away (§2)."""
    low, high = sorted((one, two), key=Fraction)
    flag["rules"] = []

    assert decide(flag | {"percentage": low}, unit).value <= decide(flag | {"percentage": high}, unit).value
    assert decide(flag, unit, ceiling=low).value <= decide(flag, unit, ceiling=high).value
    assert decide(flag, unit, ceiling=low).value <= decide(flag, unit).value
    assert decide(flag, unit, ceiling="0").value is False


@given(flags(), UNITS, ATTRIBUTES, st.none() | PERCENTS)
def test_the_same_question_gets_the_same_answer(
    flag: dict[str, Any], unit: object, attributes: dict[str, str], ceiling: str | None
) -> None:
    """Sticky: asked again, after a reload and as text, the unit gets the same answer (§2)."""
    one = decide(flag, unit, attributes, ceiling=ceiling)
    two = decide(json.loads(json.dumps(flag)), unit_name(unit), attributes, ceiling=ceiling)

    assert one == two


@given(flags(), UNITS, ATTRIBUTES)
def test_the_kill_switch_and_the_master_switch_stop_everybody(
    flag: dict[str, Any], unit: object, attributes: dict[str, str]
) -> None:
    """Killed, switched off, or switched by an unknown word: off, strict or not (§1, §2)."""
    snapshot, context = snapshot_of(flag), EvaluationContext(unit=unit, attributes=attributes)
    for levers in (
        controls(killed=True),
        controls(master=False),
        controls(master=None),
        controls(ceiling="0"),
    ):
        assert evaluate(snapshot, KEY, context, controls=levers).value is False
        assert evaluate_strict(snapshot, KEY, context, controls=levers).value is False
    assert evaluate(snapshot, KEY, context, controls=controls(master=None)).reason is Reason.ERROR


@given(flags(), UNITS)
def test_a_decision_tells_at_which_percentage_it_turns_on(flag: dict[str, Any], unit: object) -> None:
    """`turns_on_at` is a percentage at which the unit is in, and a ten-thousandth less is not (§2)."""
    plain = {"percentage": flag["percentage"], "unit": "tournament_id", "salt": flag.get("salt", str(KEY))}
    decision = decide(plain, unit)
    at = decision.turns_on_at
    assert at is not None

    assert decide(plain | {"percentage": f"{at:f}"}, unit).value is True
    if at > 0:
        below = max(at - type(at)("0.0001"), type(at)(0))
        assert decide(plain | {"percentage": f"{below:f}"}, unit).value is False
    assert decision.position == int(
        hashlib.sha256(f"{plain['salt']}:{unit_name(unit)}".encode()).hexdigest()[:16], 16
    )
    assert decision.version == 1


class Hostile:
    """An object that fails, whatever is asked of it."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("touched")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __str__ = __repr__ = __bool__ = __len__ = _fail
    __iter__ = __contains__ = __getitem__ = __int__ = __float__ = __index__ = __format__ = __call__ = _fail
    __hash__ = _fail  # type: ignore[assignment]


class Agreeable(Hostile):
    """An object that says yes to everything."""

    def _yes(self, *_: object) -> Any:
        return True

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __contains__ = _yes

    def __hash__(self) -> int:
        return 1


class HostileText(str):
    """A text whose methods fail."""

    __slots__ = ()

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("touched")

    __eq__ = __lt__ = __str__ = __repr__ = __len__ = encode = startswith = endswith = __contains__ = _fail
    __hash__ = _fail  # type: ignore[assignment]


class HostileNumber(int):
    """A whole number whose methods fail."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("touched")

    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __str__ = __repr__ = __format__ = __bool__ = _fail
    __hash__ = _fail  # type: ignore[assignment]


class HostileMapping(dict):  # type: ignore[type-arg]
    """Attributes that cannot be read."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("touched")

    __getitem__ = __contains__ = __iter__ = __len__ = __bool__ = get = items = keys = _fail


NOT_UNITS = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            False,
            "",
            b"101",
            b"",
            1.0,
            math.nan,
            math.inf,
            object(),
            ...,
            int,
            Hostile(),
            Agreeable(),
        ]
    ),
    st.floats(),
    st.binary(),
    st.lists(st.integers(), max_size=2),
    st.complex_numbers(),
    st.builds(lambda a, c: a + chr(c), st.text(max_size=3), st.integers(0xD800, 0xDFFF)),
)
ANY_VALUE = st.one_of(
    NOT_UNITS,
    st.text(),
    st.integers(),
    st.sampled_from([10**5000, -(10**5000), HostileText("eu"), HostileNumber(7)]),
    st.decimals(),
)
FULL = {"percentage": "100", "unit": "tournament_id"}
OPERATORS = ["equals", "in", "not_in", "starts_with", "ends_with", "contains", "gt", "gte", "lt", "lte"]


@given(NOT_UNITS)
def test_what_is_no_unit_is_off_even_at_a_hundred(unit: object) -> None:
    """True, None, "", floats, bytes, lone surrogates, objects: off, ERROR, and one of two codes (§2)."""
    decision = decide(FULL, unit)

    assert decision.value is False
    assert decision.reason is Reason.ERROR
    assert decision.error_code in {ErrorCode.TARGETING_KEY_MISSING, ErrorCode.INVALID_CONTEXT}
    assert isinstance(decision.explain(), str)


@settings(max_examples=200)  # every operator against every kind of value
@given(ANY_VALUE, st.sampled_from(OPERATORS), ANY_VALUE, st.booleans())
@example(101, "in", Hostile(), False)
@example(101, "equals", Agreeable(), False)
@example(10**5000, "gt", 10**5000, True)
@example(101, "gt", math.nan, False)
@example(101, "not_in", math.nan, False)
def test_no_context_makes_the_evaluator_raise_or_open(
    unit: object, operator: str, value: object, full: bool
) -> None:
    """Hostile units and attributes: no exception, and on only for a true unit (§2, fail safe)."""
    many = operator in {"in", "not_in"}
    wanted = (
        ["eu"] if many else ("eu" if operator in {"equals", "starts_with", "ends_with", "contains"} else 5)
    )
    rule = {"if": [{"attribute": "region", "op": operator, "value": wanted}], "serve": "on"}
    flag = {"percentage": "100" if full else "0", "unit": "tournament_id", "rules": [rule]}

    decision = decide(flag, unit, {"region": value})

    assert isinstance(decision, Decision)
    assert type(decision.value) is bool
    if unit_name(unit) is None:
        assert decision.value is False
    if isinstance(value, (Hostile, float, bytes, list, bool, type(None))) and not full:
        plain_number = (
            isinstance(value, float) and operator in {"gt", "gte", "lt", "lte"} and not math.isnan(value)
        )
        assert decision.value is False or plain_number


@pytest.mark.parametrize("attributes", [None, 5, "region", [], HostileMapping(region="eu"), Hostile()])
def test_attributes_that_are_no_mapping_open_nothing(attributes: Any) -> None:
    """Attributes of another shape: no exception, and the rule does not match (§2)."""
    rule = {"if": [{"attribute": "region", "op": "in", "value": ["eu"]}], "serve": "on"}
    flag = {"percentage": "0", "unit": "tournament_id", "rules": [rule]}
    try:
        context = EvaluationContext(unit=101, attributes=attributes)
    except Exception as error:
        assert type(error).__module__ == "rollout.errors"
        return

    assert evaluate(snapshot_of(flag), KEY, context, controls=controls()).value is False


@given(ATTRIBUTES, st.text(max_size=10).filter(lambda key: key != str(KEY)))
def test_an_unknown_flag_is_off(attributes: dict[str, str], key: str) -> None:
    """A flag that is not there: off, FLAG_NOT_FOUND, no exception (§2, missing flag)."""
    context = EvaluationContext(unit=101, attributes=attributes)

    decision = evaluate(snapshot_of(FULL), FlagKey(key), context, controls=controls())

    assert decision.value is False
    assert decision.error_code is ErrorCode.FLAG_NOT_FOUND


class TextSource:
    """A source that reads one text, as a file would be read."""

    def __init__(self, text: str | bytes) -> None:
        self._text = text

    def snapshot(self) -> Snapshot:
        """Parse the text; off and ERROR where it is not valid."""
        try:
            loaded = loads_json(self._text, origin="text")
        except ConfigError as error:
            return Snapshot(flags={}, version=0, status=SourceStatus.ERROR, problem=str(error), origin="text")
        return Snapshot(
            flags=loaded.flags, version=loaded.version, status=SourceStatus.READY, problem=None, origin="text"
        )


class NotKilled:
    """A kill file that is not there."""

    def state(self) -> KillState:
        """Not killed."""
        return KillState(killed=False, why="")


JSONS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), PERCENTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "percentage",
    "enabled",
    "unit",
    "salt",
    "algorithm",
    "forced_on",
    "forced_off",
    "rules",
    "precentage",
]
MANGLED_FLAGS = st.builds(
    lambda flag, field, value: {**flag, field: value}, flags(), st.sampled_from(FIELDS), JSONS
)


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Texts of configurations: valid, with one wild field, cut, or anything."""
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return draw(st.text(max_size=60))
    flag = draw(flags() if kind == 1 else MANGLED_FLAGS)
    text = text_of(flag)
    if kind == 3:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.text(max_size=2)) + text[at + 1 :]
    if kind == 4:
        text = text[: draw(st.integers(0, len(text) - 1))]
    return text


def model_of_text(text: str, unit: str) -> bool:
    """The model on a text: what is no JSON, no such flag, or no percentage of the contract is off."""
    try:
        flag = json.loads(text, parse_float=str, parse_int=str)["flags"][str(KEY)]
        percent = Fraction(flag.get("percentage", "0"))
        return 0 <= percent <= 100 and model(flag, unit, {}, killed=False, master=True, ceiling=Fraction(100))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ZeroDivisionError):
        return False


@settings(max_examples=400)  # texts are valid, nearly valid and wild in turn
@given(configurations(), UNITS)
@example('{"schema":1,"version":1,"flags":{"tournament-webhooks":{"percentage":1e2}}}', 101)
@example('{"schema":1,"version":1,"flags":{"tournament-webhooks":{"percentage":true}}}', 101)
@example('{"schema":1,"version":1,"flags":{"tournament-webhooks":{"percentage":"100%"}}}', 101)
@example('{"schema":1,"version":1,"flags":{"tournament-webhooks":{"percentage":NaN}}}', 101)
@example('{"schema":1,"version":1,"flags":{"tournament-webhooks":{"percentage":Infinity}}}', 101)
@example('{"schema":1,"version":1,"flags":{"tournament-webhooks":{"percentage":"101"}}}', 101)
@example('{"schema":1,"version":1,"flags":{"tournament-webhooks":{"enabled":true}}}', 101)
@example("[" * 100_000, 101)
def test_no_configuration_text_raises_or_opens_in_doubt(text: str, unit: object) -> None:
    """Any text through schema and LiveFlags: no exception, on only where the model says so (§2)."""
    live = LiveFlags(TextSource(text), kill=NotKilled(), monotonic=lambda: 0.0)
    name = unit_name(unit)
    assert name is not None

    decision = live.decide(KEY, unit, {})

    assert decision.value is False or model_of_text(text, name)
    assert live.is_on(KEY, unit) is decision.value


@given(flags(), UNITS, ATTRIBUTES, st.none() | PERCENTS)
def test_the_strict_question_stops_what_the_first_would_never_have_let_in(
    flag: dict[str, Any], unit: object, attributes: dict[str, str], ceiling: str | None
) -> None:
    """Before an attempt: disabled, forced off and a ceiling of 0 are off, and attributes say nothing (§3)."""
    name = unit_name(unit)
    assert name is not None
    context = EvaluationContext(unit=unit, attributes=attributes)

    strict = evaluate_strict(snapshot_of(flag), KEY, context, controls=controls(ceiling=ceiling))

    if not flag["enabled"] or name in flag["forced_off"] or (ceiling is not None and Fraction(ceiling) == 0):
        assert strict.value is False
    bare = evaluate_strict(
        snapshot_of(flag),
        KEY,
        EvaluationContext(unit=unit, attributes={}),
        controls=controls(ceiling=ceiling),
    )
    assert bare.value is strict.value
