"""The log of a breaker: the arguments of its script, and the view that comes of its replies."""

from __future__ import annotations

import pytest

from webhooks_core.breaker import Admit, BreakerPolicy, BreakerState, Failed, State, Ticket
from webhooks_core.stores.breaker_log import APPEND, Entry, LogReply, LogView, is_worth_keeping
from webhooks_core.stores.breaker_text import Record, dump_record, dump_state, load_state

NOW = 1_763_000_000.0
BIRTH = "1763000000.000123"
FIRST = 1_763_000_000_000


def record(generation: int = FIRST, **policy: int) -> Record:
    return Record(command=Failed(ticket=Ticket(generation=generation)), policy=BreakerPolicy(**policy))


def reply(*entries: str, base: int = 0, state: str | None = "") -> LogReply:
    return LogReply(now=NOW, birth=BIRTH, base=base, state=state, entries=entries)


def test_an_empty_log_begins_closed_at_the_generation_of_its_birth() -> None:
    """No earlier log of the endpoint has reached it, so that tickets of that one are stale."""
    view, steps = LogView().after(reply())

    assert view.state == BreakerState(generation=FIRST)
    assert steps == []


def test_entries_are_applied_each_at_its_moment() -> None:
    """One step for each entry, in their order; two views of one log are equal."""
    entries = [f"{NOW + number} {dump_record(record(max_fails=3))}" for number in range(3)]

    view, steps = LogView().after(reply(*entries))
    again, _ = LogView().after(reply(*entries[:2]))
    again, _ = again.after(reply(entries[2], state=None))

    assert [bool(step.changes) for step in steps] == [False, False, True]
    assert view.state.state is State.OPEN
    assert view.state.openings == (NOW + 2,)
    assert view == again
    assert view.version == 3


def test_a_kept_state_replaces_what_the_reader_knew() -> None:
    """A reader who is behind the kept state begins at it."""
    kept = BreakerState(generation=FIRST + 4, retry_at=NOW)

    view, _ = LogView(birth=BIRTH, version=2).after(reply(base=40, state=dump_state(kept)))

    assert (view.state, view.base, view.version) == (kept, 40, 40)


def test_arguments_name_what_is_known_and_what_is_to_be_appended() -> None:
    """Birth, version, milliseconds, nothing to keep, then moment and record; the empty moment is now."""
    entries = [Entry(record=record()), Entry(record=record(), moment=NOW)]

    found = LogView(birth=BIRTH, version=7).arguments(entries, keep_seconds=1.5, compact_from=32, lost=None)

    assert found[:5] == [BIRTH, "7", "1500", "", ""]
    assert found[5:] == ["", dump_record(record()), repr(NOW), dump_record(record())]


def test_a_long_log_is_given_its_state() -> None:
    """Once enough entries lie on the kept state, the state after them goes along."""
    view = LogView(birth=BIRTH, base=3, version=35)

    found = view.arguments([], keep_seconds=1, compact_from=32, lost=None)

    assert found[3:] == ["35", dump_state(view.state)]


def test_a_lost_state_begins_the_new_log_with_a_generation_of_its_own() -> None:
    """Tickets of the empty log, and of the lost one, are stale."""
    lost = BreakerState(state=State.OPEN, generation=5, retry_at=NOW)

    found = LogView(birth=BIRTH).arguments([], keep_seconds=1, compact_from=32, lost=lost)

    assert found[3] == "1"
    assert load_state(found[4]) == BreakerState(state=State.OPEN, generation=FIRST + 1, retry_at=NOW)
    assert is_worth_keeping(lost)
    assert not is_worth_keeping(BreakerState(generation=9))


@pytest.mark.parametrize(
    "wrong",
    [None, b"OK", [], [b"1", b"2", b"3", None, []], [b"x", b"2", 3, None, []], [b"1", b"2", 3, 4, []]],
)
def test_what_is_no_reply_is_a_value_error(wrong: object) -> None:
    """Another program's key, or another release's script."""
    with pytest.raises(ValueError, match=r".*"):
        LogReply.parse(wrong)


def test_a_reply_is_read_as_redis_gives_it() -> None:
    """Bytes and whole numbers; no state where the reader's own stands."""
    assert LogReply.parse([b"1.5", BIRTH.encode(), 3, None, [b"a", b"b"]]) == LogReply(
        now=1.5, birth=BIRTH, base=3, state=None, entries=("a", "b")
    )


def test_the_script_takes_values_only_as_keys_and_arguments() -> None:
    """Fixed text: one key, no place where a value could be put in."""
    assert "KEYS[1]" in APPEND
    assert "KEYS[2]" not in APPEND
    assert "{}" not in APPEND
    assert Admit.__name__ not in APPEND
