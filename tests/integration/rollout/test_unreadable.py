"""A row that this release cannot read: a newer one wrote it and was taken back, or it is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, connections

from rollout.actor import Actor
from rollout.commands import RollBack
from rollout.django import driving, tripping, unreadable, wiring
from rollout.django.admin_acts import Form, act
from rollout.django.models import Rollout
from rollout.errors import StoreConflict
from rollout.flags import FlagKey
from rollout.percentage import NOBODY
from rollout.rollout_state import RolloutState, State
from rollout.sources.trip import Trip
from tests.integration.rollout.commands import Person, run, run_json

pytestmark = pytest.mark.network
NEWER = "a_key_of_a_newer_release"


def state() -> RolloutState:
    """Where the rollout stands."""
    return driving.store().load(driving.driving().flag)


def content(change: Callable[[str], str], alias: str) -> None:
    """Change the text of the row, as another release or an accident would."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT content FROM rollout_rollout")
        (text,) = cursor.fetchone()
        cursor.execute("UPDATE rollout_rollout SET content = %s", [change(text)])


def with_newer_key(text: str) -> str:
    """What a newer release wrote."""
    return json.dumps({**json.loads(text), NEWER: {"deep": [1.5, None]}})


def without_newer_key(text: str) -> str:
    """What it reads itself: the key is known to it, and kept."""
    data = json.loads(text)
    assert data.pop(NEWER) == {"deep": [1.5, None]}
    return json.dumps(data)


def columns(alias: str) -> tuple[Any, ...]:
    """What senders obey."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT version, epoch, ceiling, is_killed, state FROM rollout_rollout")
        version, epoch, ceiling, is_killed, name = cursor.fetchone()
    return version, epoch, ceiling, bool(is_killed), name


@pytest.mark.parametrize(("verb", "killed"), [("kill", True), ("rollback", False)])
def test_a_row_of_a_newer_release_is_stopped_and_stays_so_when_that_release_is_back(
    under_way: dict[str, Any], alias: str, verb: str, *, killed: bool
) -> None:
    """Every host obeys the columns; the newer release reads the stop in the row, and in a whole journal."""
    before = state()
    content(with_newer_key, alias)

    code, text = run(verb, "--reason", "garbage", "--timeout", "1")
    history = run_json("history", "--verify")
    seen = columns(alias)
    ceilings = wiring.built().poll.ceilings() if wiring.built().poll else {}
    content(without_newer_key, alias)
    after = state()

    assert code == 0
    assert "cannot read the row of tournament-webhooks (state: " in text and NEWER in text
    assert "the journal has it" in text and "NOT REACHED" not in text
    assert seen == (before.version + 1, before.epoch + 1, "0", killed, "ROLLING_BACK")
    assert ceilings == {after.flag: NOBODY}
    assert (after.state, after.ceiling, after.killed, after.reason) == (
        State.ROLLING_BACK, NOBODY, killed, "garbage",
    )  # fmt: skip
    assert (history[0], history[1]["head"]) == (0, after.head)
    assert history[1]["entries"][-1]["reason"] == "garbage"


def test_the_newer_release_goes_on_from_the_stop(
    under_way: dict[str, Any], alias: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its runner finishes the rollback, and every moment of the past can be told. The log has the stop."""
    content(with_newer_key, alias)
    run("kill", "--reason", "garbage", "--no-wait")
    logged = caplog.text
    content(without_newer_key, alias)

    ended = run("run", "--once")
    past = run("explain", "11", "--at", "0s")

    assert (ended[0], state().state, state().killed) == (0, State.ROLLED_BACK, True)
    assert past[0] == 0
    assert "from=10000, to=0, state=ROLLING_BACK" in logged and "Rollout journal: " in logged
    assert run("history", "--verify")[0] == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-9],
        lambda _text: "[]",
        lambda text: text.replace('"killed":false', '"killed":"no"'),
        lambda text: text.replace('"head":', '"heads":'),
        lambda text: text.replace('"baked_seconds":0.0', '"baked_seconds":NaN'),
    ],
    ids=["cut", "no-object", "another-type", "no-head", "no-number"],
)
@pytest.mark.parametrize("verb", ["kill", "rollback"])
def test_a_damaged_row_is_stopped_in_its_columns_and_the_missing_entry_is_told(
    under_way: dict[str, Any], alias: str, verb: str, damage: Callable[[str], str]
) -> None:
    """No entry can be chained to a last one that nobody knows; the text stays for a person."""
    content(damage, alias)
    kept: list[str] = []
    content(lambda text: kept.append(text) or text, alias)  # type: ignore[func-returns-value]

    code, text = run(verb, "--reason", "garbage", "--timeout", "1")
    content(lambda text: kept.append(text) or text, alias)  # type: ignore[func-returns-value]
    history = run("history", "--verify")

    assert code == 0
    assert columns(alias)[2:] == ("0", verb == "kill", "ROLLING_BACK")
    assert "WITHOUT A JOURNAL ENTRY" in text and "Mend the row" in text
    assert kept[0] == kept[1]
    assert history[0] == 1
    assert "does not say where it ends" in history[1]


def test_a_stop_of_an_unreadable_row_is_above_all_that_senders_have_seen(
    under_way: dict[str, Any], alias: str
) -> None:
    """They refuse what lies below: a database that was put back must not keep them from stopping."""
    flag = driving.driving().flag
    driving.store().beat("web-0", {flag: 9}, lease_seconds=3.0, seen={flag: 20})
    content(with_newer_key, alias)

    code, said = run_json("kill", "--reason", "garbage", "--timeout", "0.1")

    assert (code, said["epoch"], said["not_reached"]) == (1, 10, ["web-0"])
    assert columns(alias)[:2] == (21, 10)


def test_every_other_command_says_what_cannot_be_read(under_way: dict[str, Any], alias: str) -> None:
    """4, in a sentence; nothing is changed."""
    content(with_newer_key, alias)
    before = columns(alias)

    answers = [run(*words) for words in (("pause",), ("start",), ("set", "5", "--reason", "x"), ("status",))]

    assert [code for code, _ in answers] == [4] * 4
    assert all("state: " in text and NEWER in text for _, text in answers)
    assert columns(alias) == before


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (StoreConflict("version 1", "version 2"), "Other hosts GO ON SENDING"),
        (RuntimeError("no stop either"), "Other hosts MAY GO ON SENDING"),
        (ImproperlyConfigured("no driver"), "Other hosts MAY GO ON SENDING"),
    ],
    ids=["ours", "any", "improperly-configured"],
)
def test_what_was_not_stopped_is_not_said_to_be_away(
    under_way: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    """Where the database answers, other hosts do not wait by themselves; only an error of ours shows that."""

    def broken(*_arguments: object) -> object:
        raise error

    monkeypatch.setattr("rollout.runner.Runner.obey", broken)

    code, text = run("kill", "--reason", "garbage")

    assert code == 4
    assert f"THE ROLLOUT IN THE DATABASE WAS NOT STOPPED: {type(error).__name__}" in text
    assert says in text and "wait by themselves" not in text
    assert ("the database is there" in text) is isinstance(error, StoreConflict)
    assert (tmp_path / "kill").exists()


def test_a_connection_that_broke_is_a_database_that_was_not_reached(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django's `InterfaceError` is no `DatabaseError`."""

    def broken(*_arguments: object) -> object:
        raise InterfaceError("connection already closed")

    monkeypatch.setattr("rollout.runner.Runner.obey", broken)

    code, text = run("kill", "--reason", "garbage")

    assert code == 4
    assert "THE DATABASE WAS NOT REACHED" in text and "InterfaceError" in text


@pytest.mark.parametrize(("action", "killed"), [("kill", True), ("roll_back", False)])
def test_the_admin_stops_it_too(under_way: dict[str, Any], alias: str, action: str, *, killed: bool) -> None:
    """As the commands do, by whoever is logged in; what a person must know of the row is said."""
    content(with_newer_key, alias)

    said = act(action, Person(), form=Form(reason="garbage"), picked=list(Rollout.objects.using(alias)))

    assert said.done
    assert "cannot read the row of tournament-webhooks" in said.text and "the journal has it" in said.text
    assert columns(alias)[2:] == ("0", killed, "ROLLING_BACK")


def test_personal_data_stops_it_too_and_once(under_way: dict[str, Any], alias: str) -> None:
    """By whoever sees the trip file; the next look finds it stopped, and writes nothing more."""
    content(with_newer_key, alias)
    found = Trip(at=0.0, flag="f", event="e", kind="address", place="data.note", process="web:1")
    wiring.built().switches.tripwire.trip(found)

    tripping.report()
    once = columns(alias)
    tripping.report()
    history = run_json("history", "--verify")

    assert once[2:] == ("0", False, "ROLLING_BACK")
    assert columns(alias) == once
    assert history[0] == 0
    assert "personal data found: address at data.note in e" in history[1]["entries"][-1]["reason"]


def test_a_row_that_is_gone_meanwhile_is_a_conflict(under_way: dict[str, Any]) -> None:
    """Told in our own words, and nothing is written."""
    command = RollBack(by=Actor(name="user:17"), reason="garbage")

    with pytest.raises(StoreConflict, match="no row"):
        unreadable.stop(driving.store(), FlagKey("nowhere"), command, problem="x")
