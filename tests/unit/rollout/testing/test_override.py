"""An override decides everything, everywhere in the process, and leaves no trace."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from rollout.controls import KillState
from rollout.decision import Reason
from rollout.gate import Gate
from rollout.live import LiveFlags
from rollout.sources.memory import MappingSource
from rollout.testing import override_flag

KEY = "tournament-webhooks"


class Pulled:
    """A kill switch that is pulled."""

    def state(self) -> KillState:
        return KillState(killed=True)


@pytest.fixture
def gate() -> Gate:
    """Closed by everything: killed, switched off, not defined."""
    return Gate(KEY, LiveFlags(MappingSource({}), kill=Pulled(), master=lambda: False))


def test_it_turns_on_and_off_by_every_form_of_asking(gate: Gate) -> None:
    """The kill switch included: a test says what it wants to see."""
    with override_flag(KEY, on=True):
        assert gate(1).value and gate.is_open(1) and gate.recheck(1).value
        assert (gate(1).reason, gate(1).detail, gate(1).variant) == (Reason.STATIC, "override", "on")
        assert (gate(1).unit, gate(None).unit, gate(None).value) == ("1", "", True)
    with override_flag(KEY, on=False):
        assert not gate(1).value and not gate.is_open(1) and not gate.recheck(1).value
        assert gate(1).variant == "off"

    assert gate(1).reason is Reason.DISABLED


def test_other_flags_are_not_touched(gate: Gate) -> None:
    """An override is of one key."""
    with override_flag("another", on=True):
        assert not gate(1).value
        assert not gate.is_open(1)
        assert gate.recheck(1).reason is Reason.DISABLED


def test_overrides_nest(gate: Gate) -> None:
    """Inner ones win while they last, the same one twice included."""
    off = override_flag(KEY, on=False)

    with override_flag(KEY, on=True):
        with off, off:
            assert not gate(1).value
        assert gate(1).value
        with override_flag("another", on=False):
            assert gate(1).value

    assert gate(1).reason is Reason.DISABLED


def test_an_exception_ends_it(gate: Gate) -> None:
    """As any other way out does."""
    with pytest.raises(LookupError), override_flag(KEY, on=True):
        raise LookupError

    assert gate(1).reason is Reason.DISABLED


def test_it_decorates_functions(gate: Gate) -> None:
    """For the length of each call."""

    @override_flag(KEY, on=True)
    def ask(unit: int, *, times: int) -> list[bool]:
        """Ask."""
        return [gate.is_open(unit)] * times

    assert ask(1, times=2) == [True, True]
    assert ask.__doc__ == "Ask."
    assert not gate(1).value


def test_it_decorates_coroutine_functions(gate: Gate) -> None:
    """While they are awaited, also side by side."""

    @override_flag(KEY, on=True)
    async def ask() -> bool:
        before = gate.is_open(1)
        await asyncio.sleep(0)
        return before and gate.is_open(1)

    async def several() -> list[bool]:
        found = await asyncio.gather(ask(), ask(), ask())
        return [*found, gate.is_open(1)]

    assert asyncio.run(several()) == [True, True, True, False]


def test_tasks_see_the_override_they_were_made_under(gate: Gate) -> None:
    """And side by side they do not see each other's."""

    async def ask(on: bool) -> tuple[bool, bool]:
        with override_flag(KEY, on=on):
            task = asyncio.create_task(asyncio.to_thread(gate.is_open, 1))
            await asyncio.sleep(0)
            return gate.is_open(1), await task

    async def both() -> list[tuple[bool, bool]]:
        return await asyncio.gather(ask(True), ask(False))

    assert asyncio.run(both()) == [(True, True), (False, False)]


def test_threads_see_it_through_a_copied_context_only(gate: Gate) -> None:
    """A thread of its own is another world; a copied context travels."""
    seen: list[bool] = []

    def ask() -> None:
        seen.append(gate.is_open(1))

    with override_flag(KEY, on=True):
        copied = contextvars.copy_context()
        threads = [threading.Thread(target=ask), threading.Thread(target=copied.run, args=(ask,))]
        for thread in threads:
            thread.start()
            thread.join()

    assert seen == [False, True]
