"""A coroutine that asks another provider: the event loop goes on while it waits for the answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Iterator
from typing import TypeVar

import pytest
from openfeature import api

from rollout import Gate
from rollout.gate import aside
from rollout.testing import override_flag
from tests.unit.rollout.openfeature.test_remote import DOMAIN, KEY, ON, Scripted, flags

T = TypeVar("T")


@pytest.fixture
def provider() -> Iterator[Scripted]:
    """A provider that answers yes, or as a test says."""
    made = Scripted()
    api.set_provider_and_wait(made, DOMAIN)
    yield made
    api.shutdown()


async def beside(turn: threading.Event, ask: Awaitable[T]) -> T:
    """Await *ask* beside another task, that gives the provider its turn."""
    asyncio.get_running_loop().call_later(0.001, turn.set)
    return await ask


def test_a_block_and_a_guarded_coroutine_let_the_loop_go_on(provider: Scripted) -> None:
    """The provider waits for another task of the loop: asked on its thread, it would never hear of one."""
    gate, turns = Gate(KEY, flags(remote={"timeout_seconds": 5})), [threading.Event(), threading.Event()]

    @gate.guards(unit="tournament_id", otherwise="closed")
    async def send(tournament_id: int) -> str:
        return f"sent {tournament_id}"

    async def block() -> bool:
        async with gate.entered(101) as decision:
            return decision.value

    provider.answer = lambda: ON if turns[0].wait(4) else None
    in_block = asyncio.run(beside(turns[0], block()))
    provider.answer = lambda: ON if turns[1].wait(4) else None
    guarded = asyncio.run(beside(turns[1], send(101)))

    assert (in_block, guarded) == (True, "sent 101")


@pytest.mark.usefixtures("provider")
def test_an_override_of_the_caller_is_seen() -> None:
    """It goes along to the thread that asks."""
    gate = Gate(KEY, flags())

    async def block() -> bool:
        async with gate.entered(101) as decision:
            return decision.value

    with override_flag(str(KEY), on=False):
        overridden = asyncio.run(block())

    assert overridden is False
    assert asyncio.run(block()) is True


@pytest.mark.usefixtures("provider")
def test_without_a_loop_of_asyncio_it_is_asked_right_there() -> None:
    """As under another library's loop: slower, never an error."""
    coroutine = aside(flags(), lambda: "answer")

    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)

    assert ended.value.value == "answer"
