"""Property: a decision follows the order of the contract §2, is monotone and sticky, and can be stopped."""

from __future__ import annotations

import hashlib
import itertools
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.context import EvaluationContext
from rollout.controls import KillState
from rollout.decision import Reason
from rollout.evaluator import evaluate, evaluate_strict
from rollout.live import LiveFlags
from rollout.snapshot import Snapshot
from tests.property.evaluator_model import (
    ATTRIBUTES,
    KEY,
    PERCENTS,
    UNITS,
    controls,
    decide,
    flags,
    model,
    snapshot_of,
    unit_name,
)

pytestmark = pytest.mark.slow


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
        assert evaluate_strict(snapshot, KEY, unit, controls=levers).value is False
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


class World:
    """A source, a kill switch, a master switch and ceilings that answer what the test says."""

    def __init__(
        self, flag: dict[str, Any], *, killed: bool, master: bool | None, ceiling: str | None
    ) -> None:
        self._snapshot, self._levers = snapshot_of(flag), controls(killed=killed, ceiling=ceiling)
        self.flags = LiveFlags(
            self,
            kill=self,
            master=lambda: master,
            ceilings=lambda: self._levers.ceilings,
            monotonic=lambda: 0.0,
        )

    def snapshot(self) -> Snapshot:
        """The flags."""
        return self._snapshot

    def state(self) -> KillState:
        """The kill switch."""
        return self._levers.kill


@settings(max_examples=300)  # the whole order of decision is drawn at once
@given(flags(), UNITS, st.booleans(), st.sampled_from([True, True, False, None]), st.none() | PERCENTS)
def test_the_bool_path_gives_the_answer_of_the_whole_decision(
    flag: dict[str, Any], unit: object, killed: bool, master: bool | None, ceiling: str | None
) -> None:
    """`is_on`, the fast way, equals the model and `decide`, by number, by text and asked twice (§2, §3)."""
    live = World(flag, killed=killed, master=master, ceiling=ceiling).flags
    name = unit_name(unit)
    assert name is not None
    wanted = model(flag, name, {}, killed=killed, master=master is True, ceiling=Fraction(ceiling or 100))

    for asked in (unit, name, unit):
        assert live.is_on(KEY, asked) is wanted
        assert live.decide(KEY, asked).value is wanted


@given(flags(), UNITS, st.none() | PERCENTS, st.sampled_from([None, Reason.SPLIT, Reason.TARGETING_MATCH]))
def test_the_strict_question_asks_what_the_row_knows(
    flag: dict[str, Any], unit: object, ceiling: str | None, admitted_by: Reason | None
) -> None:
    """Before an attempt: ceiling, disabled, forced off and position; no rule is asked (§3)."""
    name = unit_name(unit)
    assert name is not None
    cap = Fraction(ceiling or 100)
    wanted = model(flag | {"rules": []}, name, {}, killed=False, master=True, ceiling=cap)
    everybody = flag | {"rules": [], "percentage": "100"}
    if admitted_by is Reason.TARGETING_MATCH:  # a rule or a name let it in: its position was never asked
        capped = Fraction(100) if cap else cap
        wanted = model(everybody, name, {}, killed=False, master=True, ceiling=capped)

    strict = evaluate_strict(
        snapshot_of(flag), KEY, unit, controls=controls(ceiling=ceiling), admitted_by=admitted_by
    )

    assert strict.value is wanted


@given(flags(), UNITS, ATTRIBUTES, PERCENTS)
def test_what_was_admitted_is_still_admitted_when_nothing_has_changed(
    flag: dict[str, Any], unit: object, attributes: dict[str, str], ceiling: str
) -> None:
    """The gate is asked twice: with everything as it was, the second answer stops nothing (§3)."""
    levers = controls(ceiling=ceiling)
    context = EvaluationContext(unit=unit, attributes=attributes)
    first = evaluate(snapshot_of(flag), KEY, context, controls=levers)

    again = evaluate_strict(snapshot_of(flag), KEY, unit, controls=levers, admitted_by=first.reason)

    assert again.value or not first.value


@given(flags(), UNITS, ATTRIBUTES, PERCENTS, PERCENTS)
def test_raising_a_percentage_never_stops_what_was_admitted(
    flag: dict[str, Any], unit: object, attributes: dict[str, str], one: str, two: str
) -> None:
    """Raising the percentage changes nothing that was already decided (§3)."""
    low, high = sorted((one, two), key=Fraction)
    context = EvaluationContext(unit=unit, attributes=attributes)
    first = evaluate(snapshot_of(flag | {"percentage": low}), KEY, context, controls=controls())

    again = evaluate_strict(
        snapshot_of(flag | {"percentage": high}), KEY, unit, controls=controls(), admitted_by=first.reason
    )

    assert again.value or not first.value
