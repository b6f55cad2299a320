"""A trip is cleared by another person, who gives a reason; the journal first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from rollout.actor import MACHINE, Actor
from rollout.commands import ChangeFlag, Start
from rollout.django import clearing, dispatch, driving, wiring
from rollout.django.flag_rows import Moved
from rollout.errors import ConfigError, KillFileStuck
from rollout.journal import replay, verify
from rollout.percentage import Percentage
from rollout.rollout_state import State
from rollout.sources.trip import Tripwire
from tests.integration.outbox.conftest import World
from tests.integration.rollout.commands import run, run_json

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("rollout_project")]
ANNA, BERT = Actor(name="anna"), Actor(name="user:18", authenticated=True)
REASON = "the note is an id now"


@pytest.fixture(autouse=True)
def _tripped(world: World, rollout_project: None) -> None:
    driving.runner().obey(Start(by=ANNA, reason="go"))
    send(world, recipient_count="anna@example.com")


def send(world: World, **data: object) -> Any:
    """Record one event."""
    payload = {"tournament_id": 1, **data}
    return dispatch("payment_verified", payload, tournament_id=1, using=world.alias)


def causes() -> list[str]:
    """The journal's causes, oldest first."""
    return [entry.cause for entry in driving.store().journal(driving.driving().flag)]


def test_another_person_clears_and_a_start_lets_units_in_again(world: World, tmp_path: Path) -> None:
    """The file goes, the latch of this process too; the journal has who, why and that they were checked."""
    done = clearing.clear_trip(by=BERT, reason=REASON)
    before = send(world)
    driving.runner().tick()
    driving.runner().obey(Start(by=ANNA, reason="again"))

    entries = driving.store().journal(driving.driving().flag)
    entry = next(each for each in entries if each.cause == "a person clears a trip on personal data")
    assert (done.was_there, [trip.place for trip in done.trips]) == (True, ["data.recipient_count"])
    assert not (tmp_path / "kill.trip").exists()
    assert not wiring.built().switches.state().killed
    assert (entry.actor, entry.authenticated) == ("user:18", True)
    assert entry.reason == f"trip cleared: {REASON}"
    assert not before
    assert send(world)
    verify(entries)
    state = driving.store().load(driving.driving().flag)
    assert replay(state.flag, entries).without_progress() == state.without_progress()


@pytest.mark.parametrize("name", ["anna", "Anna"])
def test_who_let_the_units_in_cannot_clear_alone(name: str, tmp_path: Path) -> None:
    """By whatever spelling; nothing is cleared."""
    with pytest.raises(ConfigError, match="another person clears"):
        clearing.clear_trip(by=Actor(name=name), reason=REASON)
    with pytest.raises(ConfigError, match="another person clears"):
        clearing.clear_trip(by=BERT, reason=REASON, known_as=[name])

    assert (tmp_path / "kill.trip").exists()
    assert "a person clears a trip on personal data" not in causes()


@pytest.mark.parametrize(
    ("before", "after", "who"),
    [("5", "25", "bert"), ("5", "5", "bert"), (None, "5", "bert"), ("25", "5", "anna"), ("5", None, "anna")],
    ids=["raised", "other rules", "new", "lowered", "gone"],
)
def test_who_raised_the_flag_in_the_database_let_units_in(
    before: str | None, after: str | None, who: str
) -> None:
    """Whoever lowered it did not, so that who started cannot hide behind that."""
    old, new = (None if each is None else Percentage.parse(each) for each in (before, after))
    moved = Moved(before=old, after=new)

    driving.runner().obey(ChangeFlag(by=Actor(name="bert"), reason=f"{moved}; as agreed"))

    assert clearing.let_in_by(driving.store().journal(driving.driving().flag)) == who


@pytest.mark.parametrize(
    ("by", "reason", "names"), [(BERT, "  ", "reason"), (MACHINE, REASON, "actor")], ids=["blank", "machine"]
)
def test_a_reason_and_a_person_are_needed(by: Actor, reason: str, names: str, tmp_path: Path) -> None:
    """The machine clears nothing."""
    with pytest.raises(ConfigError, match=names):
        clearing.clear_trip(by=by, reason=reason)

    assert (tmp_path / "kill.trip").exists()


def test_a_rollback_that_was_not_told_yet_is_told_before_the_trip_is_cleared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file gone, nobody would tell of it any more."""
    clearing.clear_trip(by=BERT, reason=REASON)
    driving.runner().tick()
    driving.runner().obey(Start(by=ANNA, reason="again"))
    with monkeypatch.context() as patched:
        patched.setattr("rollout.django.tripping.report", lambda: None)
        send(world, recipient_count="anna@example.com")
    before = driving.store().load(driving.driving().flag).state

    clearing.clear_trip(by=BERT, reason=REASON)

    assert before is State.RUNNING
    assert driving.store().load(driving.driving().flag).state is State.ROLLING_BACK
    assert causes()[-2:] == [
        "a person or a tripwire rolls back",
        "a person clears a trip on personal data",
    ]


def test_without_a_trip_there_is_nothing_to_clear(world: World) -> None:
    """No second row in the journal."""
    clearing.clear_trip(by=BERT, reason=REASON)
    before = causes()

    done = clearing.clear_trip(by=BERT, reason=REASON)

    assert (done.was_there, done.trips, causes()) == (False, (), before)


def test_without_a_plan_the_log_has_who_and_why(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract §8: another named actor and a reason; where no journal is kept, outside the database."""
    flags = {"tournament-webhooks": {"percentage": "100"}}
    with override_settings(ROLLOUT={"FLAGS": flags, "KILL_FILE": str(tmp_path / "kill")}):
        code, text = run("clear-trip", "--actor", "bert", "--reason", REASON)
        again = run("clear-trip", "--actor", "bert", "--reason", REASON)

    told = [record.getMessage() for record in caplog.records if "trip cleared" in record.getMessage()]
    assert (code, again[0], (tmp_path / "kill.trip").exists()) == (0, 0, False)
    assert "Without a plan there is no journal: the log has who, and why" in text
    assert told == [
        "Rollout trip cleared: flag=tournament-webhooks, actor=bert, authenticated=False,"
        " found=address:data.recipient_count, reason=the%20note%20is%20an%20id%20now"
    ]


def test_a_file_that_stays_is_told_and_stops_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The journal has it; the host does not send."""

    def stuck(self: Tripwire) -> bool:
        raise KillFileStuck(self.path, "could not be removed (PermissionError)")

    monkeypatch.setattr(Tripwire, "clear", stuck)

    code, text = run("clear-trip", "--actor", "bert", "--reason", REASON)

    assert (code, wiring.built().switches.state().killed) == (1, True)
    assert "STILL STOPPED" in text


def test_the_command_clears_by_a_name_that_nobody_checked(tmp_path: Path) -> None:
    """`--json` says so, and so does the journal."""
    code, said = run_json("clear-trip", "--actor", "bert", "--reason", REASON)

    entry = driving.store().journal(driving.driving().flag)[-1]
    assert (code, said["was_there"], said["actor"], said["authenticated"]) == (0, True, "bert", False)
    assert said["trips"] == [
        {"event": "payment_verified", "kind": "address", "place": "data.recipient_count"}
    ]
    assert (entry.actor, entry.authenticated) == ("bert", False)
    assert not (tmp_path / "kill.trip").exists()


@pytest.mark.parametrize(
    ("actor", "reason"), [("anna", REASON), ("b e", REASON), ("bert", " ")], ids=["same", "no-id", "blank"]
)
def test_the_command_refuses_with_2(actor: str, reason: str, tmp_path: Path) -> None:
    """Who let the units in, what is no id, and no reason."""
    code, text = run("clear-trip", "--actor", actor, "--reason", reason)

    assert code == 2, text
    assert (tmp_path / "kill.trip").exists()
