"""Property: any configuration text, through schema and LiveFlags, is off when in doubt (the contract §2).

5,000 texts in the gate; ROLLOUT_TEST_TEXTS=100000 asks for more.
"""

from __future__ import annotations

import json
import os
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rollout.controls import KillState
from rollout.errors import ConfigError
from rollout.live import LiveFlags
from rollout.snapshot import Snapshot, SourceStatus
from rollout.sources.schema import loads_json
from tests.property.evaluator_model import (
    KEY,
    PERCENTS,
    UNITS,
    flags,
    model,
    text_of,
    unit_name,
)

TEXTS = int(os.environ.get("ROLLOUT_TEST_TEXTS", "5000"))


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


@pytest.mark.slow
@settings(max_examples=TEXTS)  # texts are valid, nearly valid and wild in turn
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
