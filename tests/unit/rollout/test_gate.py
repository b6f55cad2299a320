"""Closed calls nothing, open changes nothing, and what goes wrong in deciding stays inside."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator

import pytest

from rollout.decision import Decision, ErrorCode, Reason
from rollout.errors import ConfigError
from rollout.events import Evaluated
from rollout.gate import Gate
from rollout.live import LiveFlags
from rollout.sources.memory import MappingSource
from rollout.testing import RecordingObserver

KEY = "tournament-webhooks"
IN, OUT = 1, 2


class Unkillable:
    """No kill switch."""

    def state(self) -> object:
        from rollout.controls import NOT_KILLED

        return NOT_KILLED


def flags_of(flag: object) -> LiveFlags:
    """Build flags that hold one."""
    return LiveFlags(MappingSource({KEY: flag}), kill=Unkillable())  # type: ignore[arg-type]


class Raising:
    """A stand-in for flags that raises."""

    def decide(self, *_: object, **__: object) -> Decision:
        raise RuntimeError("a secret")

    is_on = decide_strict = decide


@pytest.fixture
def observer() -> RecordingObserver:
    """Remembers what it hears."""
    return RecordingObserver()


@pytest.fixture
def gate() -> Gate:
    """Open for IN, closed for OUT."""
    return Gate(KEY, flags_of({"percentage": 0, "forced_on": [IN]}))


def test_a_gate_answers_with_the_decision(gate: Gate) -> None:
    """In and out, with and without the decision object."""
    assert (gate(IN).value, gate(OUT).value) == (True, False)
    assert (gate.is_open(IN), gate.is_open(OUT)) == (True, False)
    assert gate(IN).detail == "forced on"


def test_a_gate_passes_attributes_on() -> None:
    """To the rules."""
    rules = [{"if": [{"attribute": "region", "op": "equals", "value": "eu"}], "serve": "on"}]
    gate = Gate(KEY, flags_of({"rules": rules}))

    assert gate(OUT, attributes={"region": "eu"}).value
    with gate.entered(OUT, attributes={"region": "eu"}) as decision:
        assert decision


def test_observers_hear_every_decision(observer: RecordingObserver) -> None:
    """By each form of asking."""
    gate = Gate(KEY, flags_of({"percentage": 100}), observer=observer)

    gate(1)
    assert gate.is_open(2) is True
    gate.recheck(3)

    assert [fact.decision.unit for fact in observer.of(Evaluated)] == ["1", "2", "3"]


def test_nothing_that_goes_wrong_reaches_the_caller(observer: RecordingObserver) -> None:
    """Off, GENERAL, without the words of what was raised; by every form."""
    gate = Gate(KEY, Raising())  # type: ignore[arg-type]

    for decision in (gate(IN), gate.recheck(IN)):
        assert (decision.value, decision.error_code) == (False, ErrorCode.GENERAL)
        assert decision.detail == "RuntimeError while evaluating"
    assert gate.is_open(IN) is False
    with gate.entered(IN) as decision:
        assert not decision


def test_an_observer_that_fails_does_not_reach_the_caller() -> None:
    """The decision is made all the same."""

    def broken(fact: object) -> None:
        raise RuntimeError

    gate = Gate(KEY, flags_of({"percentage": 100}), observer=broken)

    assert gate(1).value
    assert gate.is_open(1)
    assert gate.recheck(1).value


def test_recheck_is_strict() -> None:
    """By position for what a percentage let in, without for what a rule did."""
    gate = Gate(KEY, flags_of({"percentage": 0}))

    assert gate.recheck(1).reason is Reason.SPLIT
    assert not gate.recheck(1, admitted_by=Reason.SPLIT).value
    assert gate.recheck(1, admitted_by=Reason.TARGETING_MATCH).value


def test_a_guarded_function_is_called_for_units_that_are_in(gate: Gate) -> None:
    """By position and by name; what it returns comes out, *otherwise* does for the others."""
    calls: list[tuple[object, ...]] = []

    @gate.guards(unit="tournament_id", otherwise="skipped")
    def notify(event: str, tournament_id: int, *, note: str = "") -> str:
        """Notify."""
        calls.append((event, tournament_id, note))
        return "sent"

    assert notify("a", IN) == "sent"
    assert notify("b", tournament_id=IN, note="x") == "sent"
    assert notify("c", OUT) == "skipped"
    assert notify(event="d", tournament_id=OUT) == "skipped"

    assert calls == [("a", IN, ""), ("b", IN, "x")]
    assert (notify.__name__, notify.__doc__) == ("notify", "Notify.")


def test_a_guarded_function_may_take_its_unit_by_name_only_or_by_default(gate: Gate) -> None:
    """Keyword-only parameters, and defaults where nothing is passed."""

    @gate.guards(unit="tournament_id")
    def by_name(*events: str, tournament_id: int = IN) -> str:
        return "sent"

    assert by_name("a", "b") == "sent"
    assert by_name("a", "b", tournament_id=OUT) is None
    assert by_name(tournament_id=IN) == "sent"


def test_a_call_that_lacks_its_unit_is_closed(gate: Gate) -> None:
    """No unit, nothing happens: the gate comes before the call."""

    @gate.guards(unit="tournament_id")
    def notify(tournament_id: int) -> str:
        raise AssertionError

    assert notify() is None  # type: ignore[call-arg]


def test_the_unit_may_be_computed(gate: Gate) -> None:
    """From all arguments; what raises closes the gate, and the observer hears of it."""
    observer = RecordingObserver()
    watched = Gate(KEY, flags_of({"percentage": 100}), observer=observer)

    @gate.guards(unit=lambda match: match["tournament"])
    def notify(match: dict[str, int]) -> str:
        return "sent"

    @watched.guards(unit=lambda match: match["tournament"], otherwise=0)
    def count(match: dict[str, int]) -> int:
        return 1

    assert notify({"tournament": IN}) == "sent"
    assert notify({"tournament": OUT}) is None
    assert notify({}) is None
    assert (count({"tournament": 5}), count({})) == (1, 0)
    assert observer.of(Evaluated)[-1].decision.detail == "KeyError while evaluating"


def test_what_a_guarded_function_raises_comes_out_untouched(gate: Gate) -> None:
    """The very same exception."""
    error = LookupError("mine")

    @gate.guards(unit="unit")
    def notify(unit: int) -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        notify(IN)

    assert caught.value is error


def test_a_coroutine_function_stays_one(gate: Gate) -> None:
    """Awaited for units that are in; for the others nothing begins."""
    calls: list[int] = []

    @gate.guards(unit="unit", otherwise="skipped")
    async def notify(unit: int) -> str:
        calls.append(unit)
        await asyncio.sleep(0)
        return "sent"

    assert asyncio.iscoroutinefunction(notify)
    assert asyncio.run(notify(IN)) == "sent"
    assert asyncio.run(notify(OUT)) == "skipped"
    assert calls == [IN]


def test_what_a_guarded_coroutine_raises_comes_out_untouched(gate: Gate) -> None:
    """The very same exception."""
    error = LookupError("mine")

    @gate.guards(unit="unit")
    async def notify(unit: int) -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        asyncio.run(notify(IN))

    assert caught.value is error


def test_partials_and_callable_objects_can_be_guarded(gate: Gate) -> None:
    """Also where their call is a coroutine function."""

    class Notify:
        async def __call__(self, unit: int) -> str:
            return "sent"

    async def notify(event: str, unit: int) -> str:
        return event

    wrapped = gate.guards(unit="unit")(functools.partial(notify, "a"))
    called = gate.guards(unit="unit")(Notify())

    assert asyncio.run(wrapped(unit=IN)) == "a"
    assert asyncio.run(called(unit=IN)) == "sent"
    assert asyncio.run(called(unit=OUT)) is None


@pytest.mark.parametrize("unit", ["tournament", "args", "kwargs"])
def test_a_parameter_that_is_not_there_is_told_while_wrapping(gate: Gate, unit: str) -> None:
    """Not at the first event in production."""

    def notify(tournament_id: int, *args: int, **kwargs: int) -> None: ...

    with pytest.raises(ConfigError, match=f"no parameter '{unit}'.*tournament_id"):
        gate.guards(unit=unit)(notify)


def test_generator_functions_are_told_while_wrapping(gate: Gate) -> None:
    """There is no one value to return in place of a generator."""

    def several(unit: int) -> Iterator[int]:
        yield unit

    async def several_async(unit: int) -> AsyncIterator[int]:
        yield unit

    for function in (several, several_async):
        with pytest.raises(ConfigError, match="generator"):
            gate.guards(unit="unit")(function)


def test_a_block_gets_the_decision(gate: Gate) -> None:
    """Synchronous and asynchronous."""
    with gate.entered(IN) as decision:
        assert decision
    with gate.entered(OUT) as decision:
        assert not decision

    async def block(unit: int) -> bool:
        async with gate.entered(unit) as decision:
            return decision.value

    assert asyncio.run(block(IN)) is True
    assert asyncio.run(block(OUT)) is False


def test_what_a_block_raises_comes_out_untouched(gate: Gate) -> None:
    """The very same exception, in both forms."""
    error = LookupError("mine")

    async def block() -> None:
        async with gate.entered(IN):
            raise error

    with pytest.raises(LookupError) as caught, gate.entered(IN):
        raise error
    with pytest.raises(LookupError) as caught_async:
        asyncio.run(block())

    assert (caught.value, caught_async.value) == (error, error)
