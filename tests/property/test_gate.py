"""Property: a closed gate calls nothing, and no failure inside it reaches the caller (the contract §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.controls import KillState
from rollout.gate import Gate
from rollout.live import LiveFlags
from rollout.sources.memory import MappingSource

pytestmark = pytest.mark.slow

KEY = "tournament-webhooks"
UNITS = st.one_of(
    st.integers(-5, 10**6),
    st.text(max_size=5),
    st.uuids(),
    st.sampled_from([None, True, "", 1.5, b"x", object(), [], "\ud800"]),
)


class Unprintable(Exception):
    """An error that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("not printable")

    __repr__ = __str__


FAILURES = st.sampled_from(
    [
        RuntimeError("x"), OSError(5, "x"), KeyError("x"), MemoryError(), RecursionError("x"),
        TimeoutError(), Unprintable(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), StopIteration(), StopAsyncIteration(),
        AssertionError(), ValueError(),
        AttributeError("x"), TypeError("x"), LookupError(), ZeroDivisionError(), EOFError(),
        NotImplementedError(),
    ]
)  # fmt: skip
PLACES = ["source", "kill", "master", "ceilings"]


def mapping(percentage: str = "100") -> dict[str, Any]:
    """One flag as settings give it."""
    return {KEY: {"percentage": percentage, "unit": "tournament_id"}}


class Switch:
    """A part of the world that works or fails, as the test says."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer, self.failure = answer, None

    failure: Exception | None

    def __call__(self, *_: object) -> Any:
        """Fail when told to, answer otherwise."""
        if self.failure is not None:
            raise self.failure
        return self.answer()

    snapshot = state = __call__


class World:
    """A gate whose every part can be broken."""

    def __init__(self, percentage: str = "100", *, killed: bool = False, master: bool = True) -> None:
        self.now = 0.0
        self.source = Switch(MappingSource(mapping(percentage)).snapshot)
        self.kill = Switch(lambda: KillState(killed=killed, why="test"))
        self.master = Switch(lambda: master)
        self.ceilings = Switch(dict)
        self.observer = Switch(lambda: None)
        live = LiveFlags(
            self.source,
            kill=self.kill,
            master=self.master,
            ceilings=self.ceilings,
            monotonic=lambda: self.now,
            observer=self.observer,
        )
        self.gate = Gate(KEY, live, observer=self.observer)

    def break_(self, place: str, failure: Exception) -> None:
        """From now on this part fails."""
        getattr(self, place).failure = failure


def ways(gate: Gate, unit: object) -> dict[str, bool]:
    """Whether each way through the gate called what it wraps; nothing of the gate may raise."""
    calls: dict[str, bool] = {}

    @gate.guards(unit="unit", otherwise="closed")
    def plain(*, unit: object) -> str:
        calls["sync decorator"] = True
        return "open"

    @gate.guards(unit="unit", otherwise="closed")
    async def awaited(*, unit: object) -> str:
        calls["async decorator"] = True
        return "open"

    async def asynchronous() -> None:
        answer = await awaited(unit=unit)
        assert answer == ("open" if "async decorator" in calls else "closed")
        async with gate.entered(unit) as decision:
            calls["async with"] = bool(decision)

    calls["call"] = bool(gate(unit))
    calls["is_open"] = gate.is_open(unit)
    calls["recheck"] = bool(gate.recheck(unit))
    answer = plain(unit=unit)
    assert answer == ("open" if "sync decorator" in calls else "closed")
    with gate.entered(unit) as decision:
        calls["with"] = bool(decision)
    asyncio.run(asynchronous())
    return {name: calls.get(name, False) for name in WAYS}


WAYS = ["call", "is_open", "recheck", "sync decorator", "async decorator", "with", "async with"]
CLOSED, OPEN = dict.fromkeys(WAYS, False), dict.fromkeys(WAYS, True)


@given(st.integers(-5, 10**6) | st.uuids())
def test_an_open_gate_calls_by_every_way(unit: object) -> None:
    """At 100 % every way through the gate calls (§3); without this the next tests would prove nothing."""
    assert ways(World().gate, unit) == OPEN


@given(UNITS, st.sampled_from(["nobody", "killed", "off"]))
def test_a_closed_gate_calls_nothing(unit: object, why: str) -> None:
    """0 %, killed or switched off: the wrapped call does not happen, by no way, and nothing raises (§3)."""
    world = {
        "nobody": lambda: World("0"),
        "killed": lambda: World(killed=True),
        "off": lambda: World(master=False),
    }[why]()

    assert ways(world.gate, unit) == CLOSED


@pytest.mark.parametrize("place", PLACES)
@given(failure=FAILURES, unit=UNITS)
def test_a_part_that_fails_from_the_start_closes_the_gate(
    place: str, failure: Exception, unit: object
) -> None:
    """Source, kill switch, master switch or ceilings fail: nothing raises, nothing is called (§2, §3)."""
    world = World()
    world.break_(place, failure)

    assert ways(world.gate, unit) == CLOSED


@given(FAILURES, st.integers(-5, 10**6), st.sampled_from(["0", "100"]))
def test_a_source_that_fails_later_leaves_the_last_known_good(
    failure: Exception, unit: int, percentage: str
) -> None:
    """The last known good configuration stays in force where there is one (§2 fail safe)."""
    world = World(percentage)
    before = world.gate.is_open(unit)
    world.break_("source", failure)
    world.now += 10

    assert world.gate.is_open(unit) is before
    assert bool(world.gate(unit)) is before


@pytest.mark.parametrize("place", ["kill", "master"])
@given(failure=FAILURES, unit=st.integers(-5, 10**6))
def test_a_switch_that_fails_later_closes_the_gate(place: str, failure: Exception, unit: int) -> None:
    """Any answer but "not there" means killed; a master switch that cannot be read is off (§1, §10)."""
    world = World()
    assert world.gate.is_open(unit) is True
    world.break_(place, failure)
    world.now += 10

    assert ways(world.gate, unit) == CLOSED


@given(FAILURES, UNITS, st.sampled_from(["0", "100"]))
def test_an_observer_that_fails_changes_no_decision(
    failure: Exception, unit: object, percentage: str
) -> None:
    """An observer's exception reaches nobody and decides nothing (§3)."""
    healthy, broken = World(percentage), World(percentage)
    broken.break_("observer", failure)

    assert ways(broken.gate, unit) == ways(healthy.gate, unit)
    assert broken.gate(unit) == healthy.gate(unit)


@given(FAILURES)
def test_an_exception_of_the_wrapped_call_is_the_callers(failure: Exception) -> None:
    """The gate swallows its own failures only, never those of the code it wraps (§3)."""
    gate = World().gate

    @gate.guards(unit="unit")
    def plain(*, unit: int) -> None:
        raise failure

    for call in (lambda: plain(unit=101), lambda: raise_within(gate, failure)):
        with pytest.raises(BaseException) as caught:
            call()
        assert caught.value is failure


def raise_within(gate: Gate, failure: Exception) -> None:
    """Raise inside the gate's context manager."""
    with gate.entered(101):
        raise failure


@given(
    st.integers(0, 1000),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
    st.lists(st.integers()),
)
def test_arguments_and_answers_pass_through_an_open_gate(
    unit: int, named: Mapping[str, int], many: list[int]
) -> None:
    """An open decorator changes neither arguments nor answer, and keeps the function's name (§3)."""
    gate = World().gate

    @gate.guards(unit=lambda unit, *rest, **options: unit)
    def plain(unit: int, *rest: int, **options: int) -> tuple[Any, ...]:
        return unit, rest, options

    assert plain(unit, *many, **{f"x{key}": value for key, value in named.items()}) == (
        unit,
        tuple(many),
        {f"x{key}": value for key, value in named.items()},
    )
    assert plain.__name__ == "plain"


@given(st.text(max_size=10), UNITS)
def test_a_gate_of_an_unknown_flag_is_closed(key: str, unit: object) -> None:
    """The master switch on and no such flag defined: nobody (§2)."""
    if key == KEY:
        return
    live = LiveFlags(MappingSource(mapping()), kill=Switch(lambda: KillState(killed=False, why="")))

    assert ways(Gate(key, live), unit) == CLOSED


@given(st.integers(0, 10**6))
def test_the_unit_may_be_missing_from_the_call(unit: int) -> None:
    """A decorated call that does not carry the unit's argument: closed, not an exception of ours (§3)."""
    gate = World().gate
    calls = []

    @gate.guards(unit="tournament_id", otherwise="closed")
    def plain(number: int, *, tournament_id: int | None = None) -> str:
        calls.append(number)
        return "open"

    assert plain(unit) == "closed"
    assert plain(unit, tournament_id=unit) == "open"
    assert calls == [unit]
