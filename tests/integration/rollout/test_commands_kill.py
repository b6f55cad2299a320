"""`manage.py rollout kill`, `unkill` and `rollback`: who has stopped, and what stands in no way."""

from __future__ import annotations

import json
import platform
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import override_settings

from rollout.actor import Actor
from rollout.django import driving, running
from rollout.django.management import bounded
from rollout.django.management.killing import kill_file
from rollout.django.models import Rollout
from rollout.django.store import DjangoRolloutStore
from rollout.errors import StoreConflict
from rollout.fleet import Sender
from rollout.rollout_state import RolloutState, State
from rollout.sources.kill import KillFile
from rollout.sources.trip import Trip, Tripwire
from tests.conftest import NOW
from tests.integration.outbox.conftest import World
from tests.integration.rollout.commands import run, run_json
from tests.integration.rollout.processes import finish, start, until

pytestmark = pytest.mark.network
ANNA = Actor(name="user:17", authenticated=True)
ONCE = pytest.mark.parametrize("migrated", ["sqlite"], indirect=True, scope="module")


def state() -> RolloutState:
    """Where the rollout stands."""
    return driving.store().load(driving.driving().flag)


def senders(count: int, *, epoch: int = 1) -> None:
    """Let senders tell that they are alive."""
    for number in range(count):
        driving.store().beat(f"web-{number}", {driving.driving().flag: epoch}, lease_seconds=3.0)


@pytest.mark.slow
def test_a_kill_is_acknowledged_by_a_worker_that_lives(world: World, tmp_path: Path) -> None:
    """A process of its own: it says so itself, by no lease that ran out; then ROLLED_BACK is said."""
    kill = tmp_path / "kill"
    assert finish(start(world, kill, "rollout", "start", "--reason", "go"))[0] == 0
    worker = start(world, kill, "webhooks", "worker")
    store = DjangoRolloutStore(world.outbox.database, environment="test")
    flag = driving.driving().flag
    until(lambda: any(each.epoch == 1 for each in store.senders(flag)))

    code, out, _ = finish(start(world, kill, "rollout", "kill", "--reason", "drill", "--json"))

    said = json.loads(out)
    assert (code, said["stopped"], said["acknowledged"], said["ran_out"]) == (0, True, 1, 0)
    assert said["slowest_seconds"] < 3.0
    assert (said["state"], said["database"], kill.exists()) == ("ROLLED_BACK", True, True)
    assert worker.poll() is None


def test_who_was_not_reached_is_named(under_way: dict[str, Any]) -> None:
    """One acknowledges, one does not: 1, with both names."""
    senders(2)
    run("kill", "--reason", "drill", "--no-wait")
    driving.store().beat("web-0", {driving.driving().flag: 2}, lease_seconds=3.0)

    code, text = run("kill", "--reason", "drill", "--timeout", "0.1")
    said = run_json("kill", "--reason", "drill", "--timeout", "0.1")

    assert code == 1
    assert "1 of 2 stopped" in text and "web-0: stopped after 0." in text
    assert "web-1: NOT REACHED" in text
    assert (said[0], said[1]["not_reached"], said[1]["total"]) == (1, ["web-1"], 2)
    assert state().state is State.ROLLING_BACK


def test_a_lease_that_ran_out_counts_as_stopped(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that died: it does not send any more, by its own promise."""
    senders(1)
    now = driving.store().now()
    dead = Sender(name="web-0", epoch=1, acknowledged_at=now, seen_at=now - 2.0, lease_seconds=3.0)
    monkeypatch.setattr(DjangoRolloutStore, "senders", lambda *_: [dead])

    code, text = run("rollback", "--reason", "drill", "--timeout", "2")

    assert code == 0
    assert "1 of 1 stopped, 1 by a lease that ran out" in text and "its lease ran out" in text


def test_nobody_is_waited_for_where_that_was_said(under_way: dict[str, Any]) -> None:
    """`--no-wait`: 0, and what is known at this moment."""
    senders(1)

    code, said = run_json("kill", "--reason", "drill", "--no-wait")

    assert (code, said["stopped"], said["not_reached"]) == (0, False, ["web-0"])


def test_a_second_kill_waits_for_the_first_one(under_way: dict[str, Any]) -> None:
    """The same epoch: nothing new is written, and who has stopped by now is said."""
    run("kill", "--reason", "drill", "--no-wait")
    before = state()

    code, said = run_json("kill", "--reason", "again", "--actor", "anna@example.com")

    assert (code, said["epoch"], state().head) == (0, before.epoch, before.head)
    assert said["actor"] == "anna-example.com"  # never refused


BAD: list[tuple[str, dict[str, Any], int, bool]] = [
    ("timeout", {"WEBHOOK_TIMEOUT": 0}, 0, True),
    ("secret", {"WEBHOOK_SECRET": "short"}, 0, True),
    ("master", {"NOTIFICATIONS_WEBHOOK_ENABLED": "maybe"}, 0, True),
    ("environment", {"WEBHOOKS": {"ENVIRONMENT": "NOT GOOD"}}, 4, False),
    ("webhooks", {"WEBHOOKS": "nonsense"}, 4, False),
    ("rollout", {"ROLLOUT": "nonsense"}, 4, False),
    ("no-database", {"ROLLOUT": {"DATABASE": "nowhere"}}, 4, False),
]


@ONCE
@pytest.mark.parametrize(("changes", "code", "reached"), [pytest.param(*row, id=name) for name, *row in BAD])
def test_a_bad_setting_does_not_disable_the_kill_switch(
    under_way: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    code: int,
    reached: bool,
) -> None:
    """The file always; the database wherever the settings still say whose rows; status says what is bad."""
    monkeypatch.setenv("ROLLOUT_KILL_FILE", str(tmp_path / "kill"))
    merged = {
        name: {**under_way[name], **value} if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    with override_settings(**merged):
        answer = run_json("kill", "--reason", "drill")
        status = run_json("status")

    assert (answer[0], answer[1]["database"]) == (code, reached)
    assert KillFile(str(tmp_path / "kill")).state().killed
    assert (state().killed, status[0]) == (reached, 5)


@ONCE
def test_a_bad_setting_keeps_no_rollback_from_its_row(under_way: dict[str, Any]) -> None:
    """Other hosts have good settings and go on; status does not call the rollout none because of one."""
    with override_settings(WEBHOOK_TIMEOUT=0):
        code, said = run_json("rollback", "--reason", "drill")
        status = run("status")[1]

    assert (code, said["stopped"], state().state, state().killed) == (0, True, State.ROLLING_BACK, False)
    assert "the rollout was not looked at: a setting is bad" in status
    assert "BAD SETTING" in status


@pytest.mark.parametrize("found", ["good-settings", "bad-setting", "broken-module"])
def test_a_rollback_keeps_its_evidence_wherever_the_settings_let_it(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    """Contract §10: evidence and rule version with every change, by hand too; without them it still stops."""

    def broken(*_arguments: object, **_more: object) -> None:
        raise ModuleNotFoundError("receiver.permits")

    if found == "broken-module":
        monkeypatch.setattr(driving, "FleetEvidence", broken)
    with override_settings(**({"WEBHOOK_TIMEOUT": 0} if found == "bad-setting" else {})):
        code, _ = run("rollback", "--reason", "drill")

    entry = next(each for each in driving.store().journal(driving.driving().flag) if each.reason == "drill")
    assert (code, entry.after["ceiling"]) == (0, "0")
    is_blind = found != "good-settings"
    assert (entry.evidence is None, entry.rule_version is None) == (is_blind, is_blind)


@ONCE
def test_a_rollback_that_nobody_can_place_names_the_kill(under_way: dict[str, Any]) -> None:
    """Without whose rows, or where: 4, that nothing was rolled back, and what stops all the same."""
    with override_settings(ROLLOUT={**under_way["ROLLOUT"], "DATABASE": "nowhere"}):
        code, text = run("rollback", "--reason", "drill")

    assert code == 4
    assert "nothing was rolled back: `rollout kill` stops this host all the same" in text
    assert state().state is State.RUNNING


@ONCE
def test_a_plan_that_is_none_does_not_keep_a_kill_from_its_row(under_way: dict[str, Any]) -> None:
    """Which database it is kept in is still said."""
    bad = {**under_way["ROLLOUT"], "PLAN": {"stages": "none"}}
    with override_settings(ROLLOUT=bad):
        code, said = run_json("kill", "--reason", "drill")

    assert (code, said["database"], state().killed) == (0, True, True)


@pytest.mark.slow
@pytest.mark.parametrize("is_silent", [False, True], ids=["closed", "silent"])
def test_without_its_database_a_kill_leaves_the_file_and_says_so(tmp_path: Path, is_silent: bool) -> None:
    """Refused at once, or a server that takes the connection and never says a word: 4, in its time."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if is_silent:
            server.listen()
        database = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "nowhere",
            "HOST": "127.0.0.1",
            "PORT": str(server.getsockname()[1]),
        }
        world = World("away", database, receiver=type("Nobody", (), {"port": 9})())
        kill = tmp_path / "kill"

        begun = time.monotonic()
        status = start(world, tmp_path / "other", "rollout", "status", "--timeout", "1", "--json")
        code, out, _ = finish(start(world, kill, "rollout", "kill", "--reason", "x", "--timeout", "1"))
        seen = finish(status)
        took = time.monotonic() - begun

    assert seen[0] == 4 and json.loads(seen[1])["problem"]
    assert code == 4
    assert "THE DATABASE WAS NOT REACHED" in out and "Other hosts are not reached" in out
    assert kill.exists()
    assert took < 20


@ONCE
def test_a_file_that_cannot_be_made_is_told_and_the_fleet_stopped_all_the_same(
    under_way: dict[str, Any], tmp_path: Path
) -> None:
    """1: this host may have processes that ask the file alone."""
    (tmp_path / "file").write_text("")
    stuck = {**under_way["ROLLOUT"], "KILL_FILE": str(tmp_path / "link")}
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "kill")
    with override_settings(ROLLOUT=stuck):
        code, text = run("kill", "--reason", "drill")

    assert code == 1
    assert "NOT STOPPED BY A FILE" in text
    assert state().killed


@ONCE
def test_a_database_that_goes_away_while_waiting_does_not_hide_what_was_committed(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill is in; who has stopped is what was seen last."""
    senders(1)
    real, calls = DjangoRolloutStore.senders, []

    def once(self: DjangoRolloutStore, flag: Any) -> Any:
        calls.append(flag)
        if len(calls) > 2:
            raise OperationalError("away")
        return real(self, flag)

    monkeypatch.setattr(DjangoRolloutStore, "senders", once)
    code, said = run_json("kill", "--reason", "drill", "--timeout", "5")

    assert (code, said["database"], said["not_reached"]) == (1, True, ["web-0"])


@ONCE
def test_unkill_lets_a_new_start_through_and_nothing_else(under_way: dict[str, Any], tmp_path: Path) -> None:
    """Rolled back before and after; a start is refused while killed, by the file or without it."""
    run("kill", "--reason", "drill")
    stopped = run("start")
    (tmp_path / "kill").unlink()
    refused = run("start")
    code, said = run_json("unkill", "--reason", "over")
    after = run_json("status")
    started = run("start")

    assert stopped[0] == 5 and "`rollout unkill` first" in stopped[1]
    assert refused[0] == 2 and "unkill first" in refused[1]
    assert (code, said["state"], said["killed"]) == (0, "ROLLED_BACK", False)
    assert (after[0], (tmp_path / "kill").exists()) == (12, False)
    assert started[0] == 0


def test_an_unkill_while_the_store_went_back_leaves_everything(
    under_way: dict[str, Any], tmp_path: Path
) -> None:
    """What lets more through comes last: 2, the file is there, and the kill stands; then the way out."""
    run("kill", "--reason", "drill", "--no-wait")
    senders(1, epoch=99)

    code, said = run_json("unkill", "--reason", "over")
    stands = (state().killed, (tmp_path / "kill").exists())
    accepted = run("accept-store", "--reason", "it is right")
    done = run("unkill", "--reason", "over")

    assert code == 2 and "store went back" in said["error"] and "nothing was changed" in said["error"]
    assert stands == (True, True)
    assert (accepted[0], done[0], state().killed, (tmp_path / "kill").exists()) == (0, 0, False, False)


@ONCE
@pytest.mark.parametrize(
    ("error", "code"), [(OperationalError("gone"), 4), (StoreConflict("1", "2"), 1)], ids=["away", "conflict"]
)
def test_an_unkill_that_cannot_be_written_leaves_the_file(
    under_way: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    """In doubt this host stays stopped, and a program is told by a documented code."""

    def refuse(_self: object, _command: object) -> None:
        raise error

    run("kill", "--reason", "drill", "--no-wait")
    monkeypatch.setattr("rollout.runner.Runner.obey", refuse)

    ended, said = run_json("unkill", "--reason", "over")

    assert ended == code and said["error"]
    assert (state().killed, (tmp_path / "kill").exists()) == (True, True)


@ONCE
def test_a_row_that_cannot_be_read_keeps_the_file(under_way: dict[str, Any], tmp_path: Path) -> None:
    """Of a newer release, or damaged: 4."""
    run("kill", "--reason", "drill", "--no-wait")
    Rollout.objects.using(driving.store().database.alias).update(content="{")

    code, said = run_json("unkill", "--reason", "over")

    assert (code, (tmp_path / "kill").exists()) == (4, True)
    assert said["error"]


@ONCE
def test_a_runner_that_kills_again_by_the_file_in_between_is_answered(
    under_way: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is the last to go: a pass meanwhile sees it and kills by it."""
    release = KillFile.release

    def late(self: KillFile) -> bool:
        running.once()
        return release(self)

    run("kill", "--reason", "drill")
    monkeypatch.setattr(KillFile, "release", late)

    code, said = run_json("unkill", "--reason", "over")

    entries = driving.store().journal(driving.driving().flag)
    assert (code, said["killed"], (tmp_path / "kill").exists()) == (0, False, False)
    assert [entry.after["killed"] for entry in entries[-3:]] == [False, True, False]
    assert entries[-2].actor == "kill-file"


@ONCE
def test_a_kill_by_a_file_names_its_host_and_unkill_that_there_are_others(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file on web-3 is seen by nobody on web-1 but by what the runner wrote."""
    monkeypatch.setattr(platform, "node", lambda: "web-3")
    kill_file().pull("drill")
    run("run", "--once")
    said = run("status")[1]
    kill_file().release()

    code, text = run("unkill", "--reason", "over")

    assert "is there on web-3 (by kill-file)" in said
    assert code == 0
    assert "is not there. Other hosts have files of their own." in text


@ONCE
def test_unkill_says_what_is_missing_before_a_start_can_begin(under_way: dict[str, Any]) -> None:
    """While a sender is waited for nothing can be started: who it is, and what finishes it."""
    senders(1)
    run("kill", "--reason", "drill", "--no-wait")

    code, text = run("unkill", "--reason", "over")
    refused = run("start")

    assert (code, refused[0], state().state) == (0, 2, State.ROLLING_BACK)
    for said in (text, refused[1]):
        assert "0 of 1 stopped; waiting for web-0" in said
        assert "`rollout run`, or `rollout rollback --reason …`, finishes it" in said
    assert "begins again." not in text


@ONCE
def test_unkill_does_not_hide_a_trip(under_way: dict[str, Any]) -> None:
    """Personal data was found on this host: 5, with the reason."""
    run("kill", "--reason", "drill")
    found = Trip(at=NOW, flag="f", event="e", kind="address", place="data.note", process="web:1")
    Tripwire(kill_file()).trip(found)

    code, text = run("unkill", "--reason", "over")
    status = run("status")

    assert code == 5
    assert "STILL STOPPED: personal data was found" in text
    assert status[0] == 5
    assert "is there: address at data.note in e\n" in status[1] and "`rollout clear-trip`" in status[1]


@ONCE
def test_a_kill_file_that_stays_is_a_failure(under_way: dict[str, Any], tmp_path: Path) -> None:
    """A folder in its place: said with how the rollout stands, which is told first."""
    (tmp_path / "kill").mkdir()

    code, text = run("unkill", "--reason", "over")

    assert code == 1
    assert "STILL STOPPED" in text
    assert "RUNNING, and not killed" in text


@ONCE
def test_held_ones_are_not_released_into_a_closed_gate(under_way: dict[str, Any]) -> None:
    """They would be held again at once: the word is for the start."""
    run("kill", "--reason", "drill")

    code, text = run("unkill", "--reason", "over", "--held", "release")

    assert (code, state().killed) == (2, True)
    assert "`rollout start`, which takes the same word" in text


@ONCE
def test_a_rollback_whose_database_does_not_answer_names_the_kill(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """4, in its time. What was left behind ends here, and does not roll back the next test's rollout."""
    given_up = threading.Event()

    def silent(_self: DjangoRolloutStore, _flag: Any) -> Any:
        given_up.wait(10)
        raise OperationalError("gone")

    monkeypatch.setattr(DjangoRolloutStore, "load", silent)
    others = set(threading.enumerate())
    code, text = run("rollback", "--reason", "x", "--timeout", "0.1")
    given_up.set()
    for left_behind in set(threading.enumerate()) - others:
        left_behind.join(10)

    assert code == 4
    assert "no answer within" in text and "`rollout kill`" in text


def test_a_call_within_a_transaction_is_made_as_it_is(database: Any) -> None:
    """Another thread would see another world."""
    with database.transaction():
        inside = bounded.within(5.0, threading.current_thread, alias=database.alias)
    outside = bounded.within(5.0, threading.current_thread, alias=database.alias)

    assert inside is threading.current_thread()
    assert outside is not threading.current_thread()
