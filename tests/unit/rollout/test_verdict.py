"""A verdict follows from its readings: the worst standing decides, and nothing passes by default."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from rollout.errors import ConfigError
from rollout.verdict import Call, Reading, Standing, Verdict, VerdictKind

NOW = 1_763_000_000.0


def reading(standing: Standing, *, measure: str = "success_rate", scope: str = "") -> Reading:
    return Reading(
        measure=measure, scope=scope, value=97.5, sample=40, needed=25, go_on=">= 95 %", hold="< 95 %",
        roll_back="", standing=standing, why="39 of 40 deliveries arrived",
    )  # fmt: skip


def verdict(*standings: Standing, missing: tuple[str, ...] = ()) -> Verdict:
    return Verdict.of(map(reading, standings), at=NOW, rule_version=1, missing=missing)


GO, HOLD, BACK, OPEN = Standing.GO_ON, Standing.HOLD, Standing.ROLL_BACK, Standing.UNDECIDED


@pytest.mark.parametrize(
    ("standings", "kind", "call"),
    [
        ((GO, GO), VerdictKind.PASS, Call.ADVANCE_ALLOWED),
        ((GO, HOLD), VerdictKind.BREACH, Call.HOLD),
        ((GO, OPEN), VerdictKind.UNDECIDED, Call.HOLD),
        ((OPEN, HOLD), VerdictKind.BREACH, Call.HOLD),
        ((OPEN, HOLD, BACK), VerdictKind.BREACH, Call.ROLL_BACK),
        ((OPEN, BACK), VerdictKind.BREACH, Call.ROLL_BACK),
        ((), VerdictKind.UNDECIDED, Call.HOLD),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value),
)
def test_the_worst_standing_decides(standings: tuple[Standing, ...], kind: VerdictKind, call: Call) -> None:
    """Roll back before hold before undecided before pass; no readings at all are undecided."""
    found = verdict(*standings)

    assert (found.kind, found.call) == (kind, call)


def test_what_is_missing_keeps_a_verdict_from_passing() -> None:
    """Something missing beside the readings makes it undecided, and is listed first."""
    found = verdict(GO, missing=("the breakers cannot be read",))

    assert (found.kind, found.call) == (VerdictKind.UNDECIDED, Call.HOLD)
    assert found.missing == ("the breakers cannot be read",)
    assert found.explain() == "hold: the breakers cannot be read"


def test_undecided_readings_are_listed_as_missing() -> None:
    """Each undecided reading says what is missing, with its endpoint where it has one."""
    found = Verdict.of(
        [reading(OPEN), reading(OPEN, measure="breaker_openings", scope="partner")], at=NOW, rule_version=1
    )

    assert found.missing == (
        "success rate: 39 of 40 deliveries arrived",
        "breaker openings of partner: 39 of 40 deliveries arrived",
    )


def test_the_reasons_are_the_readings_that_decided() -> None:
    """Of a roll back the breached readings alone, of a pass all of them."""
    mixed = verdict(GO, HOLD, BACK)
    passed = verdict(GO, GO)

    assert [one.standing for one in mixed.reasons] == [BACK]
    assert len(passed.reasons) == 2
    assert mixed.explain() == "roll_back: success rate: 39 of 40 deliveries arrived"


def test_a_verdict_without_readings_says_so() -> None:
    """Nothing at all is still a sentence."""
    found = verdict()

    assert found.explain() == "hold: no readings"


@pytest.mark.parametrize("standings", [(GO,), (OPEN, GO), (BACK, HOLD), ()], ids=str)
def test_a_verdict_survives_json(standings: tuple[Standing, ...]) -> None:
    """What the journal wrote is read back equal, and what a later version added is left alone."""
    before = verdict(*standings, missing=("x",))
    data = json.loads(json.dumps({**before.as_dict(), "later": 1}))

    after = Verdict.from_dict(data)

    assert after == before


def test_a_reading_from_before_there_were_bounds_is_exact() -> None:
    """Journals outlive versions of this code."""
    data = reading(GO).as_dict()
    del data["bound"]

    assert Reading.from_dict(data) == reading(GO)
    assert reading(GO).shown == "97.5"


@pytest.mark.parametrize("value", [None, 7, 97.5])
def test_a_value_is_read_as_it_was_written(value: float | None) -> None:
    """A count stays whole, so that what is written again is the same text."""
    before = replace(reading(GO), value=value)

    after = Reading.from_dict(json.loads(json.dumps(before.as_dict())))

    assert json.dumps(after.as_dict()) == json.dumps(before.as_dict())


def drop(name: str) -> Callable[[dict[str, object]], None]:
    return lambda data: data.pop(name) and None


def put(name: str, value: object) -> Callable[[dict[str, object]], None]:
    return lambda data: data.__setitem__(name, value)


def put_reading(name: str, value: object) -> Callable[[dict[str, object]], None]:
    def change(data: dict[str, object]) -> None:
        readings = data["readings"]
        assert isinstance(readings, list)
        readings[0][name] = value

    return change


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (drop("at"), "verdict.at"),
        (put("at", "now"), "verdict.at"),
        (put("at", None), "verdict.at"),
        (put("kind", "maybe"), "verdict.kind"),
        (put("kind", 3), "verdict.kind"),
        (put("call", "hold"), "verdict"),
        (put("readings", {}), "verdict.readings"),
        (put("readings", ["x"]), "verdict.readings[0]"),
        (put("rule_version", True), "verdict.rule_version"),
        (put("rule_version", "1"), "verdict.rule_version"),
        (put("missing", [1]), "verdict.missing[0]"),
        (put_reading("value", True), "verdict.readings[0].value"),
        (put_reading("value", float("inf")), "verdict.readings[0].value"),
        (put_reading("why", None), "verdict.readings[0].why"),
        (drop("readings"), "verdict.readings"),
        (drop("missing"), "verdict.missing"),
    ],
    ids=[f"change-{number}" for number in range(16)],
)
def test_what_is_no_verdict_is_refused(change: Callable[[dict[str, object]], None], place: str) -> None:
    """The message names the field."""
    data = json.loads(json.dumps(verdict(GO).as_dict()))
    change(data)

    with pytest.raises(ConfigError) as caught:
        Verdict.from_dict(data)

    assert caught.value.path == place


def test_a_value_may_be_missing_but_not_infinite() -> None:
    """None is a value that nobody has; NaN is none that could be stored."""
    with pytest.raises(ConfigError, match="finite"):
        Reading(measure="x", value=float("nan"), sample=0, needed=0, standing=OPEN, why="")
