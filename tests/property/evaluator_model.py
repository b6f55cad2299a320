"""What the evaluator's tests share: a model of the contract §2, strategies for flags, units, attributes.

The model was written from the contract, without a look at the code that it judges.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from rollout.context import EvaluationContext
from rollout.controls import Controls, KillState
from rollout.decision import Decision
from rollout.evaluator import evaluate
from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.snapshot import Snapshot, SourceStatus
from rollout.sources.schema import loads_json

KEY = FlagKey("tournament-webhooks")
FULL = {"percentage": "100", "unit": "tournament_id"}


# ---- the model: the contract's order of decision, read independently of the code ----


def unit_name(unit: object) -> str | None:
    """The text a unit is dealt by; None for what is no unit."""
    if isinstance(unit, str):
        return str.__str__(unit) or None
    if isinstance(unit, int) and not isinstance(unit, bool):
        return int.__repr__(unit) if -(10**4000) < int.__index__(unit) < 10**4000 else None
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


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["region", "game", "other"]), st.sampled_from(REGIONS), max_size=3
)
