"""Breakers as text: what is read equals what was written, and nothing else is read."""

from __future__ import annotations

import pytest

from webhooks_core.breaker import (
    Admit,
    BreakerPolicy,
    BreakerState,
    Cancelled,
    Cell,
    Command,
    Failed,
    Force,
    Forced,
    ForcedMode,
    Release,
    State,
    Succeeded,
    Ticket,
    decide,
)
from webhooks_core.stores.breaker_text import Record, dump_record, dump_state, load_record, load_state

NOW = 1_763_000_000.1  # no float that is short
TICKET = Ticket(generation=1_795_301_190_975, is_probe=True, token="ü 1")

COMMANDS: list[Command] = [
    Admit(token="a", lease_seconds=12.5),
    Succeeded(ticket=TICKET, count=7),
    Failed(ticket=TICKET),
    Cancelled(ticket=Ticket(generation=0)),
    Force(mode=ForcedMode.OBSERVE_ONLY, actor="ops", reason='a "reason"\n', until=NOW),
    Release(actor="ops", reason=""),
]
STATES = [
    BreakerState(),
    BreakerState(
        state=State.HALF_OPEN,
        generation=-(10**15),
        failures=(NOW, NOW + 0.1),
        cells=(Cell(second=1, successes=2, failures=3),),
        retry_at=NOW / 3,
        open_for_seconds=0.1 + 0.2,
        failed_probes=4,
        probe_token="t",
        probe_lease_seconds=15.0,
        openings=(NOW,),
        forced=Forced(mode=ForcedMode.FORCED_OPEN, actor="a", reason="b", until=NOW),
    ),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_a_record_comes_back_equal(command: Command) -> None:
    """Command, policy and chance, to the last bit; the text is ASCII on one line."""
    record = Record(command=command, policy=BreakerPolicy(window_seconds=0.1 + 0.2), jitter_value=1 / 3)

    text = dump_record(record)

    assert load_record(text) == record
    assert text.isascii()
    assert "\n" not in text


@pytest.mark.parametrize("state", STATES)
def test_a_state_comes_back_equal(state: BreakerState) -> None:
    """Every field, to the last bit."""
    assert load_state(dump_state(state)) == state


def test_a_record_decides_by_its_own_policy_and_chance() -> None:
    """Whoever applies a record gets the step of whoever wrote it."""
    policy = BreakerPolicy(max_fails=1, open_seconds=7.0)
    record = Record(command=Failed(ticket=Ticket(generation=0)), policy=policy, jitter_value=0.5)

    step = load_record(dump_record(record)).applied(BreakerState(), now=NOW)

    assert step == decide(policy, BreakerState(), record.command, now=NOW, jitter_value=0.5)
    assert step.state.retry_at == NOW + 7.0


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "7", '[[1,2,3,4,5],0,"z"]', '[[120,5,60,600,15],0,"a",1,2,3]']
)
def test_what_is_no_record_is_a_value_error(text: str) -> None:
    """A spoilt log is one kind of error, whatever it holds."""
    with pytest.raises(ValueError, match=r".*"):
        load_record(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"forced": null, "state": "ajar"}'])
def test_what_is_no_state_is_a_value_error(text: str) -> None:
    """The same for a state."""
    with pytest.raises(ValueError, match=r".*"):
        load_state(text)
