"""The journal and the state's text: what was written comes back, what was touched is found."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rollout import state_text
from rollout.commands import Approve, Kill, Pause, RollBack, Start, Unkill
from rollout.errors import ConfigError, JournalBroken, StoreConflict, TransitionError
from rollout.flags import FlagKey
from rollout.journal import JournalEntry, follow, replay, verify
from rollout.percentage import NOBODY
from rollout.rollout_state import Progress, RolloutState, State
from tests.unit.rollout.rollout_world import ANNA, BREACH, FLAG, NOW, PLAN, Driven, pct, plan_of


def a_whole_life() -> Driven:
    """Start, approve, advance, pause, roll back, kill, unkill, start again."""
    driven = Driven(plan=plan_of(5, 25, 100, approval=(25,))).start()
    driven.do(Approve(by=ANNA, reason="looked at it"))
    driven.bake().tick()
    driven.do(Pause(by=ANNA))
    driven.tick(BREACH)
    driven.do(Kill(by=ANNA, reason="now"))
    driven.tick()
    driven.do(Unkill(by=ANNA, reason="fixed"))
    return driven.start()


def test_the_journal_replays_to_the_state() -> None:
    """All but what grows from tick to tick: through JSON, and at any past moment."""
    driven = a_whole_life()
    entries = [JournalEntry.loads(entry.dumps()) for entry in driven.entries]

    state = replay(FLAG, entries)
    then = replay(FLAG, entries, until=driven.entries[2].at)
    before = replay(FLAG, entries, until=NOW - 1)

    assert entries == driven.entries
    assert state.without_progress() == driven.state.without_progress()
    assert (then.state, then.ceiling) == (State.RUNNING, pct(25))
    assert before == RolloutState(flag=FLAG)


def test_the_chain_ends_at_the_states_head() -> None:
    """Whole: the head comes back; an empty journal has an empty head."""
    driven = a_whole_life()

    assert verify(driven.entries, head=driven.state.head) == driven.state.head
    assert verify([], head="") == ""


def test_an_entry_tells_who_why_and_on_what() -> None:
    """Actor, whether authenticated, cause, reason, evidence and rule version; and only what changed."""
    driven = Driven().start()
    driven.tick(BREACH)

    by_person, by_guard = driven.entries

    assert (by_person.actor, by_person.authenticated, by_person.reason) == (ANNA.name, True, "go")
    assert (by_guard.actor, by_guard.rule_version) == ("rollout", 1)
    assert by_guard.evidence is not None
    assert by_guard.evidence["call"] == "roll_back"
    assert by_guard.before["ceiling"] == "5"
    assert by_guard.after["ceiling"] == "0"
    assert "plan" not in by_guard.after


@pytest.mark.parametrize(
    "field", ["version", "at", "actor", "authenticated", "cause", "reason", "before", "after", "evidence"]
)
def test_an_entry_that_was_changed_is_found(field: str) -> None:
    """Any field of any entry."""
    entries = list(a_whole_life().entries)
    other: dict[str, Any] = {
        "version": entries[3].version + 1_000,
        "at": NOW - 1,
        "authenticated": not entries[3].authenticated,
        "before": {"state": "RUNNING"},
        "after": {"state": "RUNNING"},
        "evidence": {"call": "hold"},
    }
    entries[3] = replace(entries[3], **{field: other.get(field, "somebody else")})

    with pytest.raises(JournalBroken) as caught:
        verify(entries)

    assert caught.value.version == entries[3].version


def test_an_entry_that_is_missing_or_moved_is_found() -> None:
    """From the beginning, the middle, or, with a head noted elsewhere, the end."""
    driven = a_whole_life()
    entries, head = driven.entries, driven.state.head

    for broken in (entries[1:], entries[:2] + entries[3:], [entries[0], *entries], entries[::-1]):
        with pytest.raises(JournalBroken, match="does not follow"):
            verify(broken)
    verify(entries[:-1])
    with pytest.raises(JournalBroken, match="not at the head"):
        verify(entries[:-1], head=head)
    with pytest.raises(JournalBroken, match="ends at nothing"):
        verify([], head=head)


def test_a_head_that_was_noted_earlier_is_found_where_it_stands() -> None:
    """The log has one of each entry: yesterday's is no break, and one that is nowhere is."""
    entries = a_whole_life().entries

    early, last = follow(entries, noted=entries[1].hash), follow(entries, noted=entries[-1].hash)

    assert (early.head, early.noted_version, early.after) == (
        entries[-1].hash,
        entries[1].version,
        len(entries) - 2,
    )
    assert (last.noted_version, last.after) == (entries[-1].version, 0)
    assert follow([], noted="").head == ""
    for nowhere in ("0" * 64, ""):
        with pytest.raises(JournalBroken, match=r"^the journal ends at [0-9a-f]{12}, and no entry"):
            follow(entries, noted=nowhere)


def test_a_chain_that_was_forged_anew_still_needs_growing_versions() -> None:
    """Whoever computes all hashes again cannot put a second change under one version."""
    entries = a_whole_life().entries
    forged = replace(entries[1], version=entries[0].version)
    forged = replace(forged, hash=forged.computed_hash())

    with pytest.raises(JournalBroken, match="versions only grow"):
        verify([entries[0], forged])


def test_a_replay_that_does_not_fit_is_refused() -> None:
    """An entry must begin where the one before ended, and end in a state."""
    entries = a_whole_life().entries
    nowhere = replace(entries[1], before={"nonsense": 1})
    no_state = replace(entries[1], after={**entries[1].after, "ceiling": "101"})

    for broken in ([entries[1]], [entries[0], entries[0]], [entries[0], nowhere]):
        with pytest.raises(JournalBroken, match="begins with another"):
            replay(FLAG, broken)
    with pytest.raises(JournalBroken, match="ends in what is no state"):
        replay(FLAG, [entries[0], no_state])


def test_the_hash_is_pinned() -> None:
    """Journals outlive versions of this code: the hash of a given entry never changes."""
    entry = JournalEntry(
        flag=FLAG,
        version=1,
        at=NOW,
        actor="user:17",
        authenticated=True,
        cause="a person starts the plan",
        reason="go",
        before={"state": "NOT_STARTED"},
        after={"state": "RUNNING"},
        evidence=None,
        rule_version=None,
        previous="",
    )

    assert (
        entry.computed_hash() == "facb5225dd6cde595bbebc9b3cd5b50c3dc10c07d6f8e7fa5c8b616dbcf3c034"
    )  # gitleaks:allow (a hash)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"flag":5}'])
def test_what_is_no_entry_is_refused(text: str) -> None:
    """With an error of ours."""
    with pytest.raises(ConfigError):
        JournalEntry.loads(text)


def test_an_entry_with_another_type_is_refused() -> None:
    """Tables must be tables."""
    data = json.loads(a_whole_life().entries[0].dumps())

    with pytest.raises(ConfigError, match=r"entry\.before: must be a table"):
        JournalEntry.loads(json.dumps({**data, "before": 5}))


@pytest.mark.parametrize("state", list(State))
def test_a_state_comes_back_from_its_text(state: State) -> None:
    """Every state, with plan, approvals and progress."""
    before = Driven().at(state).state

    assert state_text.loads(state_text.dumps(before)) == before


def test_a_state_with_approvals_comes_back() -> None:
    """Who, when, and for which stage."""
    driven = Driven(plan=plan_of(5, 25, approval=(25,))).start()
    driven.do(Approve(by=ANNA))

    after = state_text.loads(state_text.dumps(driven.state))

    assert after == driven.state
    assert after.has_approved(pct(25))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "GONE"}, "must be one of NOT_STARTED"),
        ({"ceiling": "30"}, None),
        ({"ceiling": "101"}, "0 to 100"),
        ({"ceiling": None}, "always one after"),
        ({"version": "7"}, "whole number"),
        ({"version": -1}, "0 or more"),
        ({"epoch": True}, "whole number"),
        ({"epoch_at": "now"}, "must be a number"),
        ({"epoch_at": 10**400}, "finite"),
        ({"plan": None}, "must be a plan"),
        ({"killed": True}, "is not killed"),
        ({"killed": None}, "true or false"),
        ({"approvals": [{}]}, "is missing"),
        ({"progress": {"baked_seconds": -1, "ticked_at": None, "evidence": ""}}, "0 or more"),
        ({"flag": "two words"}, "not allowed"),
        ({"other": 1}, "unknown key"),
    ],
)
def test_a_damaged_state_is_refused(change: dict[str, object], words: str | None) -> None:
    """No state that exists is an invalid one: a damaged row is never obeyed."""
    data = {**state_text.as_dict(Driven().start().state), **change}

    if words is None:
        assert state_text.from_dict(data).ceiling == pct(30)
        return
    with pytest.raises(ConfigError, match=words):
        state_text.from_dict(data)


@pytest.mark.parametrize("text", ["", "nothing", "[" * 100_000, "5"])
def test_what_is_no_state_is_refused(text: str) -> None:
    """With an error of ours."""
    with pytest.raises(ConfigError):
        state_text.loads(text)


@pytest.mark.parametrize(
    "build",
    [
        lambda: replace(Driven().start().state, ceiling=pct(100), plan=plan_of(5)),
        lambda: replace(Driven().start().state, flag=FlagKey("another")),
        lambda: replace(Driven().at(State.ROLLING_BACK).state, ceiling=pct(5)),
        lambda: RolloutState(flag=FLAG, ceiling=NOBODY),
        lambda: RolloutState(flag=FLAG, epoch_at=float("nan")),
        lambda: Progress(baked_seconds=float("inf")),
        lambda: Progress(ticked_at=float("nan")),
    ],
)
def test_no_state_in_memory_is_invalid(build: Any) -> None:
    """Above the plan, of another flag's plan, letting through after a rollback, without a moment."""
    with pytest.raises(ConfigError):
        build()


def test_what_is_not_under_way_has_no_stage_no_rate_and_no_shadow() -> None:
    """Before the start and after a rollback."""
    for state in (RolloutState(flag=FLAG), Driven().at(State.ROLLED_BACK).state):
        assert (state.stage, state.stage_plan, state.rate_per_second, state.is_shadow) == (
            *(None, None, None),
            False,
        )
    assert Driven(plan=PLAN).start().state.stage == 0


def test_errors_carry_their_facts() -> None:
    """And say what to do."""
    conflict, broken = StoreConflict("version 1", "version 2"), JournalBroken(3, "was changed")

    assert str(conflict) == "expected version 1, found version 2: read again, then decide again"
    assert str(broken) == "journal entry of version 3: was changed"
    with pytest.raises(TransitionError) as caught:
        Driven().do(RollBack(by=ANNA)) and Driven().do(Start(by=ANNA)) and Driven().do(Pause(by=ANNA))
    assert (caught.value.command, caught.value.problem[:14]) == ("Pause", "possible only ")
