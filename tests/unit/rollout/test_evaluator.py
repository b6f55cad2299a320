"""The order of decision, what each decision says, and that nothing is ever raised."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from decimal import Decimal
from uuid import UUID

import pytest

from rollout.bucketing import position
from rollout.context import EvaluationContext
from rollout.controls import Controls, KillState
from rollout.decision import Decision, ErrorCode, Reason
from rollout.evaluator import compile_flag, evaluate, evaluate_strict
from rollout.flags import Condition, Flag, FlagKey, Operator, Rule, Serve, Variants
from rollout.percentage import EVERYBODY, NOBODY, Percentage
from rollout.snapshot import Snapshot, SourceStatus

KEY = FlagKey("tournament-webhooks")
#: Turns on at 15.4398 % under KEY as salt.
UNIT = 101
PLACE = position(KEY, "101")
KILLED = KillState(killed=True, why="'/kill' is there")


def rule(serve: Serve, region: str = "eu") -> Rule:
    """Build a rule on the region."""
    condition = Condition(attribute="region", operator=Operator.EQUALS, value=region)
    return Rule(conditions=(condition,), serve=serve)


def flag(percentage: object = 5, **changes: object) -> Flag:
    """Build the flag."""
    share = None if percentage is None else Percentage.parse(percentage)
    return Flag(key=KEY, percentage=share, **changes)  # type: ignore[arg-type]


def snapshot(*flags: Flag, **changes: object) -> Snapshot:
    """Build a snapshot of version 7."""
    return Snapshot(flags={each.key: each for each in flags}, version=7, **changes)  # type: ignore[arg-type]


def ask(
    configured: Flag | Snapshot, unit: object = UNIT, *, attributes: object = None, **controls: object
) -> Decision:
    """Evaluate the flag for one unit."""
    flags = snapshot(configured) if isinstance(configured, Flag) else configured
    context = EvaluationContext(unit=unit, attributes={} if attributes is None else attributes)  # type: ignore[arg-type]
    return evaluate(flags, KEY, context, controls=Controls(**controls))  # type: ignore[arg-type]


def ask_strictly(
    configured: Flag | Snapshot, unit: object = UNIT, *, admitted_by: Reason | None = None, **controls: object
) -> Decision:
    """Evaluate the flag again, before an attempt."""
    flags = snapshot(configured) if isinstance(configured, Flag) else configured
    return evaluate_strict(flags, KEY, unit, controls=Controls(**controls), admitted_by=admitted_by)  # type: ignore[arg-type]


def test_a_unit_below_the_threshold_is_in() -> None:
    """The whole decision, field by field."""
    assert ask(flag(16)) == Decision(
        *(KEY, True, "on", Reason.SPLIT, None, "percentage 16", "101"),
        *(PLACE, Percentage.parse(16).threshold, 7),
    )


def test_a_unit_above_the_threshold_is_out() -> None:
    """With the same fields."""
    assert ask(flag(15)) == Decision(
        *(KEY, False, "off", Reason.SPLIT, None, "percentage 15", "101"),
        *(PLACE, Percentage.parse(15).threshold, 7),
    )


def test_the_threshold_is_exact() -> None:
    """At `turns_on_at` it is in, one step of the 4th place before it is out."""
    at = ask(flag(5)).turns_on_at
    assert at == Decimal("15.4398")

    assert ask(flag(at)).value
    assert not ask(flag(at - Decimal("0.0001"))).value


def at_threshold(threshold: int) -> Percentage:
    """Return the smallest percentage with this threshold, to 20 digits."""
    steps = -(-threshold * 100 * 10**20 // 2**64)
    percentage = Percentage.parse(f"{steps // 10**20}.{steps % 10**20:020d}")
    assert percentage.threshold == threshold
    return percentage


def test_a_unit_exactly_at_the_threshold_is_out() -> None:
    """Less than, not equal: for the percentage, for a rule's and for the bool path."""
    for share, value in ((at_threshold(PLACE), False), (at_threshold(PLACE + 1), True)):
        by_rule = flag(0, rules=(rule(share),))
        compiled = compile_flag(snapshot(flag(share)), KEY, Controls())

        assert ask(flag(share)).value is value
        assert ask(by_rule, attributes={"region": "eu"}).value is value
        assert compiled.is_on(UNIT) is value


@pytest.mark.parametrize("unit", [0, 101, "Zürich", UUID(int=5), -1, 10**30])
def test_nobody_and_everybody_are_exact(unit: object) -> None:
    """0 is nobody and 100 is everybody by rule."""
    assert not ask(flag(0), unit).value
    assert ask(flag(100), unit).value


@pytest.mark.parametrize("percentage", [0, 5, 15, 16, 100])
def test_an_integer_and_its_text_are_one_unit(percentage: int) -> None:
    """101 ≡ "101", and a UUID is its canonical text."""
    uuid = UUID(int=101)

    assert ask(flag(percentage), 101) == ask(flag(percentage), "101")
    assert ask(flag(percentage), uuid) == ask(flag(percentage), str(uuid))


ALL_ON = flag(100, forced_on=["101"], rules=(rule("on"),))

ORDER = [
    (
        "kill switch",
        ALL_ON,
        {"kill": KILLED, "master": False, "ceilings": {KEY: NOBODY}},
        "kill switch: '/kill' is there",
    ),
    ("master switch", ALL_ON, {"master": False, "ceilings": {KEY: NOBODY}}, "master switch"),
    ("ceiling", flag(100, enabled=False, forced_on=["101"]), {"ceilings": {KEY: NOBODY}}, "ceiling 0"),
    ("disabled", flag(100, enabled=False, forced_on=["101"], rules=(rule("on"),)), {}, "flag disabled"),
]


@pytest.mark.parametrize(
    ("configured", "controls", "detail"), [row[1:] for row in ORDER], ids=[row[0] for row in ORDER]
)
def test_each_switch_stops_everything_below_it(
    configured: Flag, controls: dict[str, object], detail: str
) -> None:
    """Kill switch, master switch, ceiling 0, flag disabled: in this order, forced-on units included."""
    decision = ask(configured, attributes={"region": "eu"}, **controls)

    assert (decision.value, decision.variant, decision.reason) == (False, "off", Reason.DISABLED)
    assert decision.detail == detail
    assert (decision.error_code, decision.unit, decision.position) == (None, "101", PLACE)
    assert ask_strictly(configured, **controls).detail == detail


def test_forced_off_comes_before_forced_on_and_rules() -> None:
    """A unit in both lists is off."""
    decision = ask(
        flag(100, forced_on=["101"], forced_off=["101"], rules=(rule("on"),)), attributes={"region": "eu"}
    )

    assert (decision.value, decision.reason, decision.detail) == (False, Reason.TARGETING_MATCH, "forced off")


def test_forced_on_comes_before_rules_and_percentage() -> None:
    """The position is told, and no threshold: it was not asked."""
    decision = ask(flag(0, forced_on=["101"], rules=(rule("off"),)), attributes={"region": "eu"})

    assert (decision.value, decision.reason, decision.detail) == (True, Reason.TARGETING_MATCH, "forced on")
    assert (decision.position, decision.threshold) == (PLACE, None)


def test_other_units_are_not_forced() -> None:
    """The lists name units, nothing more."""
    assert ask(flag(0, forced_on=["102"], forced_off=["103"])).detail == "percentage 0"


def test_rules_come_in_order_before_the_percentage() -> None:
    """The first that matches decides, and the decision quotes it."""
    configured = flag(100, rules=(rule("on", "us"), rule("off"), rule("on")))

    decision = ask(configured, attributes={"region": "eu"})

    assert (decision.value, decision.reason) == (False, Reason.TARGETING_MATCH)
    assert decision.detail == "rule 2: region equals 'eu'"


def test_a_rule_can_let_in() -> None:
    """Whatever the percentage."""
    decision = ask(flag(0, rules=(rule("on"),)), attributes={"region": "eu"})

    assert (decision.value, decision.variant, decision.threshold) == (True, "on", None)


@pytest.mark.parametrize(("share", "value"), [(15, False), (16, True)])
def test_a_rule_can_serve_a_share(share: int, value: bool) -> None:
    """At the flag's own positions: the same units as at that percentage."""
    decision = ask(flag(0, rules=(rule(Percentage.parse(share)),)), attributes={"region": "eu"})

    assert (decision.value, decision.reason) == (value, Reason.TARGETING_MATCH)
    assert decision.detail == f"rule 1: region equals 'eu', percentage {share}"
    assert decision.threshold == Percentage.parse(share).threshold


@pytest.mark.parametrize("attributes", [{}, {"region": "us"}, {"region": None}, {"Region": "eu"}])
def test_where_no_rule_matches_the_percentage_decides(attributes: dict[str, object]) -> None:
    """No rule is not "no"."""
    assert ask(flag(16, rules=(rule("off"),)), attributes=attributes).detail == "percentage 16"


@pytest.mark.parametrize(
    ("percentage", "ceiling", "value", "detail"),
    [
        (16, 15, False, "percentage 16, ceiling 15"),
        (16, 16, True, "percentage 16"),
        (15, 16, False, "percentage 15"),
        (100, 16, True, "percentage 100, ceiling 16"),
        (100, 100, True, "percentage 100"),
    ],
)
def test_the_lower_of_percentage_and_ceiling_counts(
    percentage: int, ceiling: int, value: bool, detail: str
) -> None:
    """For the flag's percentage and for a rule's."""
    ceilings = {KEY: Percentage.parse(ceiling)}
    by_rule = flag(None, rules=(rule(Percentage.parse(percentage)),))

    plainly = ask(flag(percentage), ceilings=ceilings)
    through_a_rule = ask(by_rule, attributes={"region": "eu"}, ceilings=ceilings)

    assert (plainly.value, plainly.detail) == (value, detail)
    assert (through_a_rule.value, through_a_rule.detail) == (value, f"rule 1: region equals 'eu', {detail}")
    assert plainly.threshold == min(Percentage.parse(percentage), Percentage.parse(ceiling)).threshold


def test_a_ceiling_above_0_does_not_stop_forced_units() -> None:
    """Only 0 is nobody at all."""
    low = {KEY: Percentage.parse("0.0001")}

    assert ask(flag(100, forced_on=["101"]), ceilings=low).value
    assert ask(flag(100, rules=(rule("on"),)), attributes={"region": "eu"}, ceilings=low).value


def test_a_ceiling_of_another_flag_is_none_of_this_one() -> None:
    """Ceilings go by key."""
    assert ask(flag(100), ceilings={FlagKey("other"): NOBODY}).value


def test_without_a_percentage_the_default_is_off() -> None:
    """Reason DEFAULT."""
    decision = ask(flag(None))

    assert (decision.value, decision.reason, decision.detail) == (False, Reason.DEFAULT, "no percentage")


def test_variants_have_the_flags_names() -> None:
    """The names are for people and metrics; the value stays a boolean."""
    named = flag(100, variants=Variants(on="new", off="old"))

    assert (ask(named).value, ask(named).variant) == (True, "new")
    assert ask(named, kill=KILLED).variant == "old"
    assert ask(named, None).variant == "old"


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        (None, ErrorCode.TARGETING_KEY_MISSING),
        ("", ErrorCode.TARGETING_KEY_MISSING),
        (True, ErrorCode.INVALID_CONTEXT),
        (1.5, ErrorCode.INVALID_CONTEXT),
        (b"101", ErrorCode.INVALID_CONTEXT),
        ("\ud800", ErrorCode.INVALID_CONTEXT),
        (10**5000, ErrorCode.INVALID_CONTEXT),
        (object(), ErrorCode.INVALID_CONTEXT),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_unit_is_off_even_at_100(unit: object, code: ErrorCode) -> None:
    """ERROR with the code of the contract §2; forced lists and rules are not asked."""
    for decision in (ask(ALL_ON, unit, attributes={"region": "eu"}), ask_strictly(ALL_ON, unit)):
        assert (decision.value, decision.reason, decision.error_code) == (False, Reason.ERROR, code)
        assert (decision.unit, decision.position, decision.threshold) == ("", None, None)
    assert ask(ALL_ON, unit, kill=KILLED).reason is Reason.DISABLED


@pytest.mark.parametrize(
    "attributes", [["region"], "region", 5, object()], ids=["list", "text", "number", "object"]
)
def test_attributes_that_are_no_mapping_are_off(attributes: object) -> None:
    """INVALID_CONTEXT: what the caller meant is not certain."""
    assert ask(ALL_ON, attributes=attributes).error_code is ErrorCode.INVALID_CONTEXT


class Hostile(Mapping[str, object]):
    """Attributes whose own code fails."""

    def __getitem__(self, key: str) -> object:
        raise RuntimeError("a secret")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("a secret")

    def __len__(self) -> int:
        return 1


def test_attributes_whose_own_code_fails_are_off() -> None:
    """GENERAL, with the type of what was raised and not its words."""
    decision = ask(flag(100, rules=(rule("off"),)), attributes=Hostile())

    assert (decision.value, decision.error_code) == (False, ErrorCode.GENERAL)
    assert decision.detail == "RuntimeError while evaluating"


@pytest.mark.parametrize(
    ("flags", "controls", "code"),
    [
        (snapshot(), {}, ErrorCode.FLAG_NOT_FOUND),
        (snapshot(flag(100), status=SourceStatus.ERROR, problem="x"), {}, ErrorCode.PROVIDER_NOT_READY),
        (snapshot(flag(100, algorithm="r2")), {}, ErrorCode.PARSE_ERROR),
        (snapshot(flag(100)), {"master": None}, ErrorCode.PARSE_ERROR),
        (snapshot(flag(100)), {"master": "yes"}, ErrorCode.PARSE_ERROR),
        (snapshot(flag(100)), {"master": 1}, ErrorCode.PARSE_ERROR),
        (snapshot(flag(100)), {"ceilings": {KEY: None}}, ErrorCode.PARSE_ERROR),
        (snapshot(flag(100)), {"ceilings": {KEY: 50}}, ErrorCode.PARSE_ERROR),
        (snapshot(flag(100)), {"problem": "x"}, ErrorCode.GENERAL),
        (snapshot(flag(100)), {"ceilings": None}, ErrorCode.GENERAL),
        (snapshot(flag(100)), {"kill": None}, ErrorCode.GENERAL),
        (Snapshot(flags=None), {}, ErrorCode.GENERAL),  # type: ignore[arg-type]
        (None, {}, ErrorCode.GENERAL),
    ],
)
def test_what_is_not_certain_is_off(flags: Snapshot, controls: dict[str, object], code: ErrorCode) -> None:
    """Missing flag, nothing read, unknown algorithm, unknown words, broken configuration: off, and why."""
    for decision in (ask(flags, **controls), ask_strictly(flags, **controls)):
        assert (decision.value, decision.reason, decision.error_code) == (False, Reason.ERROR, code)
        assert decision.detail


@pytest.mark.parametrize("killed", [True, None, 1, "no"])
def test_anything_but_certainly_not_killed_is_killed(killed: object) -> None:
    """The kill switch fails towards stopping."""
    for master in (True, False, None):
        decision = ask(ALL_ON, kill=KillState(killed=killed), master=master)  # type: ignore[arg-type]
        assert (decision.value, decision.detail) == (False, "kill switch")


def test_a_key_that_is_no_text_is_off() -> None:
    """Keys that cannot even be looked up, and keys of another type."""
    for key in (["a"], None, 5):
        decision = evaluate(snapshot(), key, EvaluationContext(unit=1), controls=Controls())  # type: ignore[arg-type]
        assert (decision.value, decision.reason) == (False, Reason.ERROR)


def test_a_stale_snapshot_still_decides() -> None:
    """The last known good configuration is in force (the contract §2)."""
    stale = snapshot(flag(100), status=SourceStatus.STALE, problem="no JSON")

    assert ask(stale).value
    assert ask_strictly(stale).value


def test_a_store_that_went_back_decides_what_is_recorded_and_holds_back_what_is_sent() -> None:
    """Recorded by the last good flags; before sending: STALE, so the sender waits and a person decides."""
    back = snapshot(flag(100, forced_on=["101"]), status=SourceStatus.STORE_WENT_BACK, problem="6 after 7")

    assert ask(back).value
    for admitted_by in (None, Reason.SPLIT, Reason.TARGETING_MATCH):
        decision = ask_strictly(back, admitted_by=admitted_by)
        assert (decision.value, decision.reason) == (False, Reason.STALE)
        assert decision.detail == "store went back: 6 after 7"
    assert ask_strictly(back, kill=KILLED).reason is Reason.DISABLED
    assert ask_strictly(back, None).reason is Reason.ERROR


@pytest.mark.parametrize("admitted_by", [None, Reason.SPLIT])
def test_before_sending_the_position_counts_for_what_a_percentage_let_in(admitted_by: Reason | None) -> None:
    """A lower percentage or ceiling stops what is already queued."""
    assert ask_strictly(flag(16), admitted_by=admitted_by).value
    assert not ask_strictly(flag(15), admitted_by=admitted_by).value
    assert not ask_strictly(flag(100), admitted_by=admitted_by, ceilings={KEY: Percentage.parse(15)}).value
    assert not ask_strictly(flag(None), admitted_by=admitted_by).value


@pytest.mark.parametrize("admitted_by", [Reason.TARGETING_MATCH, Reason.STATIC])
@pytest.mark.parametrize("percentage", [None, 0, 5])
def test_before_sending_the_position_does_not_count_for_what_a_name_or_a_rule_let_in(
    admitted_by: Reason, percentage: int | None
) -> None:
    """It did not let the unit in, so it does not stop it."""
    decision = ask_strictly(flag(percentage), admitted_by=admitted_by)

    assert (decision.value, decision.variant, decision.reason) == (True, "on", admitted_by)
    assert (decision.detail, decision.threshold) == (f"admitted by {admitted_by}", None)


@pytest.mark.parametrize(
    ("configured", "controls"),
    [
        (flag(100), {"kill": KILLED}),
        (flag(100), {"master": False}),
        (flag(100), {"ceilings": {KEY: NOBODY}}),
        (flag(100, enabled=False), {}),
        (flag(100, forced_off=["101"]), {}),
    ],
)
def test_before_sending_every_switch_stops_what_a_rule_let_in(
    configured: Flag, controls: dict[str, object]
) -> None:
    """Kill, master, ceiling 0, disabled, forced off: whatever admitted it."""
    for admitted_by in (None, Reason.SPLIT, Reason.TARGETING_MATCH, Reason.STATIC):
        assert not ask_strictly(configured, admitted_by=admitted_by, **controls).value


def test_before_sending_a_unit_forced_on_passes_without_saying_how_it_came_in() -> None:
    """Forced on needs no attributes, so it can be asked."""
    assert ask_strictly(flag(0, forced_on=["101"])).value


def test_before_sending_rules_are_not_asked() -> None:
    """Changing a rule does not change what was decided."""
    assert not ask_strictly(flag(0, rules=(rule("on"),))).value
    assert ask_strictly(flag(100, rules=(rule("off"),))).value


def test_raising_only_adds_units() -> None:
    """Monotone over 500 units and ascending percentages."""
    steps = [Percentage.parse(text) for text in ("0", "0.5", "5", "25", "50", "99.9", "100")]
    units = range(500)

    sets = [{unit for unit in units if ask(flag(step), unit).value} for step in steps]

    assert sets == sorted(sets, key=len)
    assert all(lower <= higher for lower, higher in itertools.pairwise(sets))
    assert (sets[0], sets[-1]) == (set(), set(units))
    assert steps[-1] == EVERYBODY
