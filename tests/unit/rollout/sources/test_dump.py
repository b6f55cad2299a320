"""What is written is readable, sorted, and without what need not be said."""

from __future__ import annotations

import json
from decimal import Decimal

from rollout.flags import Condition, Flag, FlagKey, Operator, Rule
from rollout.percentage import Percentage
from rollout.sources.dump import FlagSet, dumps


def test_the_text_is_what_a_person_would_write() -> None:
    """Two spaces, sorted, defaults left out but for the unit, the percentage as text."""
    flag = Flag(key=FlagKey("tournament-webhooks"), percentage=Percentage.parse("5"))

    assert dumps(FlagSet(flags={flag.key: flag}, version=7)) == (
        "{\n"
        '  "flags": {\n'
        '    "tournament-webhooks": {\n'
        '      "percentage": "5",\n'
        '      "unit": "tournament_id"\n'
        "    }\n"
        "  },\n"
        '  "schema": 1,\n'
        '  "version": 7\n'
        "}\n"
    )


def test_nothing_is_written_as_nothing() -> None:
    """Empty tables stay on their line."""
    assert json.loads(dumps(FlagSet())) == {"schema": 1, "version": 0, "flags": {}}
    assert '"flags": {}' in dumps(FlagSet())


def test_numbers_are_written_out() -> None:
    """A Decimal is a number in JSON, without an exponent."""
    condition = Condition(attribute="size", operator=Operator.GT, value=Decimal("1E+20"))
    flag = Flag(key=FlagKey("a"), rules=(Rule(conditions=(condition,), serve="on"),))

    assert '"value": 100000000000000000000' in dumps(FlagSet(flags={flag.key: flag}))


def test_a_sealed_text_says_its_checksum() -> None:
    """First in the file, since keys are sorted."""
    assert json.loads(dumps(FlagSet(), sealed=True))["checksum"].startswith("sha256:")
