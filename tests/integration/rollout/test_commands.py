"""`manage.py rollout …`: what each command does to a rollout, what it refuses, and its exit codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import override_settings

from rollout.django import conf, dispatch, driving
from rollout.django.management import words
from rollout.django.management.killing import kill_file
from rollout.django.stage_rate import apply_rate
from rollout.django.store import DjangoRolloutStore
from rollout.django.units import Cohort
from rollout.errors import StoreConflict
from rollout.percentage import Percentage
from rollout.rollout_state import State
from rollout.sources.trip import Trip, Tripwire
from tests.conftest import NOW
from tests.integration.rollout.commands import run, run_json
from tests.integration.rollout.staged import ONCE, TWELVE, staged, state
from webhooks_core.django import working
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.django.outbox.database import Database
from webhooks_core.django.stores.rates import DatabaseRateStore

__all__ = ["staged"]
pytestmark = [pytest.mark.network, pytest.mark.usefixtures("staged")]


def stage_rate(database: Database) -> float | None:
    """The cap that workers go by."""
    return DatabaseRateStore(database, environment="test").stage_rate()


def record(alias: str, count: int) -> None:
    """Record events of units that are in only at 100 %."""
    for unit in range(count):
        dispatch("payment_verified", {"tournament_id": unit}, tournament_id=unit, using=alias)


def hold(alias: str, count: int, *, stop: str) -> None:
    """Have deliveries held by the command *stop*."""
    run("start")
    record(alias, count)
    run(stop, "--reason", "drill")
    working.shell().run(until_idle=True)
    driving.runner().tick()


@pytest.fixture
def all_at_once(staged: dict[str, Any]) -> Iterator[None]:
    """A plan of one stage."""
    stages = [{"percentage": "100", "bake": "1h"}]
    with override_settings(ROLLOUT={**staged["ROLLOUT"], "PLAN": {"stages": stages}}):
        yield


def test_a_rollout_is_taken_through_its_plan_by_hand() -> None:
    """Start, approve, advance, pause, resume, set, rollback: each with its arrow, actor and journal entry."""
    steps = [
        run("start", "--actor", "deploy-bot", "--reason", "go"),
        run("approve"),
        run("advance", "--force", "--to", "25", "--reason", "looks good"),
        run("pause", "--reason", "lunch"),
        run("resume"),
        run("set", "5", "--yes", "--reason", "slower"),
        run("rollback", "--reason", "no more"),
    ]

    assert [code for code, _ in steps] == [0] * 7
    assert "NOT_STARTED at no ceiling -> RUNNING at 5 %, stage 1 of 3, by deploy-bot." in steps[0][1]
    assert "RUNNING at 5 %, stage 1 of 3 -> RUNNING at 25 %, stage 2 of 3" in steps[2][1]
    assert "25 % -> 5 %: about 20 % of the units go out." in steps[5][1]
    assert "No sender that tells its heartbeat was alive" in steps[6][1]
    assert state().state is State.ROLLED_BACK
    entries = driving.store().journal(driving.driving().flag)
    assert [(each.actor, each.authenticated) for each in entries][:1] == [("deploy-bot", False)]
    assert len(entries) == 8


def test_a_stages_rate_cap_is_in_force_with_its_stage_and_gone_after_it(database: Database) -> None:
    """By command, and put right by the next pass where a process died in between."""
    run("start")
    started = stage_rate(database)
    DatabaseRateStore(database, environment="test").set_stage_rate(99)
    run("run", "--once")
    put_right = stage_rate(database)
    run("rollback", "--reason", "x")

    assert (started, put_right, stage_rate(database)) == (2.0, 2.0, None)


class Killed(BaseException):
    """`kill -9`: nothing that follows is done."""


@ONCE
@pytest.mark.parametrize(("before", "left"), [(None, 2.0), (1.0, 1.0), (5.0, 2.0)])
def test_before_a_way_up_the_lower_of_both_caps_is_in_force(
    database: Database, monkeypatch: pytest.MonkeyPatch, before: float | None, left: float
) -> None:
    """Whatever was in force; the stage's own is two a second."""

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    DatabaseRateStore(database, environment="test").set_stage_rate(before)
    monkeypatch.setattr(DjangoRolloutStore, "swap", dies)
    with pytest.raises(Killed):
        run("start")

    assert stage_rate(database) == left


@pytest.mark.parametrize("is_written", [False, True], ids=["before", "after"])
def test_a_process_that_dies_at_a_way_up_leaves_the_lower_cap_in_force(
    database: Database, monkeypatch: pytest.MonkeyPatch, is_written: bool
) -> None:
    """Before the ceiling rises the new stage's cap is there; one that is lifted, is lifted only after it."""
    swap = DjangoRolloutStore.swap

    def dies(self: DjangoRolloutStore, *args: Any, **options: Any) -> None:
        if is_written:
            swap(self, *args, **options)
        raise Killed

    rates = []
    for way_up in (("start",), ("advance", "--force", "--reason", "go on")):
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(DjangoRolloutStore, "swap", dies)
            run(*way_up)
        rates.append(stage_rate(database))
        if not is_written:
            run(*way_up)
    run("run", "--once")

    assert rates == [2.0, 2.0]
    assert (str(state().ceiling), stage_rate(database)) == ("25", None)


@ONCE
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(("pause",), 2, "possible only while", id="pause"),
        pytest.param(("resume",), 2, "possible only while", id="resume"),
        pytest.param(("approve",), 2, "no further stage", id="approve"),
        pytest.param(("advance",), 2, "no further stage", id="advance"),
        pytest.param(("set", "5", "--reason", "x"), 2, "possible only while", id="set"),
        pytest.param(("set", "101", "--reason", "x"), 2, "not a number from 0 to 100", id="no-percentage"),
        pytest.param(("replan",), 2, "possible only while", id="replan"),
        pytest.param(("unkill", "--reason", " "), 2, "--reason must not be empty", id="no-reason"),
        pytest.param(("start", "--actor", "anna@example.com"), 2, "--actor: must be an id", id="address"),
        pytest.param(("start", "--actor", "rollout"), 2, "the machine's own name", id="machine"),
        pytest.param(("run", "--interval", "11"), 2, "at most a third of the lease", id="interval"),
        pytest.param(("simulate", "--like", "nowhere"), 2, "no such world", id="no-world"),
        pytest.param(("status",), 0, "NOT_STARTED at no ceiling", id="status"),
        pytest.param(("history",), 0, "Nothing has happened", id="history"),
    ],
)
def test_what_cannot_be_done_before_the_start_is_refused_with_its_reason(
    arguments: tuple[str, ...], code: int, says: str
) -> None:
    """Nothing is changed."""
    ended, text = run(*arguments)

    assert (ended, state().state) == (code, State.NOT_STARTED)
    assert says in text


def test_a_cohort_of_nobody_is_said_before_the_start(staged: dict[str, Any]) -> None:
    """5 % of 12 tournaments: refused, and begun by a person who says so."""
    units = {**staged["ROLLOUT"], "UNITS": TWELVE}
    with override_settings(ROLLOUT=units):
        refused = run_json("start")
        started = run_json("start", "--yes")

    assert (refused[0], refused[1]["cohort"], refused[1]["needs"]) == (2, 0, "--yes")
    assert "nobody is in" in refused[1]["error"]
    assert (started[0], started[1]["to"]["percentage"], started[1]["cohort"]) == (0, "5", 0)


def test_a_tiny_cohort_is_said_while_the_stage_before_it_holds(staged: dict[str, Any]) -> None:
    """By `status`, and by whoever would begin it by hand: that takes `--yes`."""
    units = {**staged["ROLLOUT"], "UNITS": TWELVE}
    with override_settings(ROLLOUT=units):
        run("start", "--yes")
        count = Cohort(units["UNITS"], driving.driving().flag)(Percentage.parse(25))
        text, said = run("status")[1], run_json("status")[1]
        advance = run_json("advance", "--force", "--reason", "x")
        by_hand = run_json("set", "25", "--reason", "x")
        before = state().ceiling
        begun = run_json("advance", "--force", "--reason", "x", "--yes")

    note = f"only {count} in: the cohort is tiny"
    assert f"next: 25 %, {count} units, after a person's approval: {note}" in text
    assert said["next"]["cohort_note"] == note
    for code, answer in (advance, by_hand):
        assert (code, answer["needs"]) == (2, "--yes") and note in answer["error"]
    assert (before, begun[0], begun[1]["to"]["percentage"]) == (Percentage.parse(5), 0, "25")


def test_fewer_units_are_let_in_only_with_a_word(staged: dict[str, Any]) -> None:
    """How many go out is counted, where somebody can count."""
    units = {**staged["ROLLOUT"], "UNITS": TWELVE}
    with override_settings(ROLLOUT=units):
        run("start", "--yes")
        run("approve")
        run("advance", "--force", "--reason", "x", "--yes")
        in_at_25 = Cohort(units["UNITS"], driving.driving().flag)(Percentage.parse(25))
        code, said = run_json("set", "5", "--reason", "x")

    assert (code, said["needs"], said["in_before"], said["in_after"]) == (2, "--yes", in_at_25, 0)
    assert state().ceiling == Percentage.parse(25)


@pytest.mark.parametrize(("choice", "left"), [("release", 0), ("keep", 3), ("drop", 0)])
def test_a_new_start_asks_what_becomes_of_the_held_ones(
    alias: str, staged: dict[str, Any], choice: str, left: int
) -> None:
    """Not without a word; released ones are due one after the other, and asked for again."""
    whole = {**staged["ROLLOUT"], "PLAN": {"stages": [{"percentage": "100", "bake": "1h"}]}}
    with override_settings(ROLLOUT=whole):
        run("start")
        record(alias, 3)
        run("rollback", "--reason", "x")
        working.shell().run(until_idle=True)
        driving.runner().tick()

        asked = run_json("start")
        started = run_json("start", "--held", choice, "--rate", "100", "--yes")
        status = run_json("status")[1]

    assert (asked[0], asked[1]["held"], asked[1]["needs"]) == (2, 3, "--held")
    assert (started[0], started[1]["held"]["before"]) == (0, 3)
    assert started[1]["held"]["moved"] == (0 if choice == "keep" else 3)
    assert status["queue"]["held"] == left
    assert status["queue"]["pending"] == (3 if choice == "release" else 0)


@ONCE
def test_a_word_for_held_ones_is_answered_where_there_are_none(staged: dict[str, Any]) -> None:
    """Who asks hears what became of it; who did not is told nothing of it."""
    run("kill", "--reason", "drill")

    kept = run("unkill", "--reason", "over", "--held", "keep")
    silent = run("unkill", "--reason", "over")

    assert (kept[0], silent[0]) == (0, 0)
    assert "Nothing was held." in kept[1]
    assert "Nothing was held" not in silent[1]


@ONCE
@pytest.mark.parametrize(("stop", "word"), [("rollback", "start"), ("kill", "unkill")])
def test_held_ones_are_not_dropped_by_one_word(alias: str, all_at_once: None, stop: str, word: str) -> None:
    """As `webhooks drop`: how many they are, and `--yes`; nothing is changed before it."""
    hold(alias, 3, stop=stop)
    before = state()

    code, said = run_json(word, "--reason", "over", "--held", "drop")

    assert (code, said["needs"], said["held"]) == (2, "--yes", 3)
    assert "3 held deliveries for good" in said["error"]
    assert (state(), kill_file().state().killed) == (before, word == "unkill")


@ONCE
def test_a_database_that_fails_after_the_start_does_not_hide_it(
    alias: str, all_at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4, with what was begun, and that what was held may be held still."""

    def away(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    hold(alias, 3, stop="rollback")
    monkeypatch.setattr(DjangoOutbox, "drop", away)

    code, text = run("start", "--held", "drop", "--yes")

    assert code == 4
    assert "-> RUNNING at 100 %, stage 1 of 1" in text
    assert "What was held may still be: the database cannot be used: OperationalError" in text
    assert state().state is State.RUNNING


@pytest.mark.parametrize(("choice", "left"), [("keep", 3), ("drop", 0)])
def test_an_unkill_asks_what_becomes_of_the_held_ones(
    alias: str, staged: dict[str, Any], choice: str, left: int
) -> None:
    """Not without a word, and nothing is changed before it: the file and the kill stand."""
    whole = {**staged["ROLLOUT"], "PLAN": {"stages": [{"percentage": "100", "bake": "1h"}]}}
    with override_settings(ROLLOUT=whole):
        run("start")
        record(alias, 3)
        run("kill", "--reason", "drill")
        working.shell().run(until_idle=True)

        asked = run_json("unkill", "--reason", "over")
        stands = (state().killed, kill_file().state().killed)
        released = run_json("unkill", "--reason", "over", "--held", "release")
        done = run_json("unkill", "--reason", "over", "--held", choice, "--yes")
        status = run_json("status")[1]

    assert (asked[0], asked[1]["held"], asked[1]["needs"], stands) == (2, 3, "--held", (True, True))
    assert (released[0], "nobody is let in before `rollout start`" in released[1]["error"]) == (2, True)
    assert (done[0], done[1]["killed"]) == (0, False)
    assert done[1]["held"] == {"before": 3, "at_least": False, "choice": choice, "moved": 3 - left}
    assert (status["queue"]["held"], kill_file().state().killed) == (left, False)


@ONCE
def test_who_loses_every_race_is_told_so(staged: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """1, and nothing was changed."""

    def lost(*_: object, **__: object) -> None:
        raise StoreConflict("version 1", "version 2")

    monkeypatch.setattr(DjangoRolloutStore, "swap", lost)
    code, text = run("start")

    assert code == 1
    assert "others write at the same time; nothing was changed" in text


@ONCE
def test_a_container_without_a_user_has_a_name_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a login that is called like the machine is no machine."""
    names = iter([OSError("no user"), "rollout", "Ana Müller"])

    def user() -> str:
        name = next(names)
        if isinstance(name, OSError):
            raise name
        return name

    monkeypatch.setattr(words.getpass, "getuser", user)

    assert [words.login() for _ in range(3)] == ["unknown", "login:rollout", "Ana-M-ller"]


@ONCE
def test_a_stage_has_nothing_to_cap_without_an_outbox(staged: dict[str, Any]) -> None:
    """The engine `inline` sends in the caller's own time."""
    run("start")
    with override_settings(WEBHOOKS={**staged["WEBHOOKS"], "ENGINE": "inline"}):
        assert apply_rate(state()) is False


@ONCE
def test_without_a_plan_and_a_database_only_the_percentage_is_shown(staged: dict[str, Any]) -> None:
    """Nothing is asked of any database; commands say what is missing."""
    plain = {key: value for key, value in staged["ROLLOUT"].items() if key not in ("PLAN", "DATABASE")}
    with override_settings(ROLLOUT=plain):
        status = run_json("status")
        codes = [
            run(*words)[0] for words in (("start",), ("run",), ("rollback", "--reason", "x"), ("history",))
        ]
        killed = run("kill", "--reason", "drill")
        unkilled = run("unkill", "--reason", "drill")

    assert (status[0], status[1]["state"], status[1]["problem"]) == (0, None, "")
    assert codes == [4, 4, 4, 4]
    assert (killed[0], unkilled[0]) == (0, 0)
    assert "no rollout is kept in a database" in killed[1]


def rename(old: str, new: str, *, alias: str) -> None:
    """Give a table another name."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")


def test_a_column_that_is_not_there_is_told_with_its_remedy(alias: str) -> None:
    """The code is newer than its tables."""
    change = "ALTER TABLE rollout_sender RENAME COLUMN {} TO {}"
    with connections[alias].cursor() as cursor:
        cursor.execute(change.format("stopped_by", "away"))

    code, text = run("status")

    with connections[alias].cursor() as cursor:
        cursor.execute(change.format("away", "stopped_by"))
    assert code == 4
    assert "manage.py migrate rollout" in text


def test_tables_that_are_not_there_are_told_with_their_remedy(
    alias: str,
) -> None:
    """An upgrade without its migration."""
    rename("rollout_rollout", "rollout_away", alias=alias)

    codes = [run("status"), run("start"), run("history")]

    rename("rollout_away", "rollout_rollout", alias=alias)
    assert [code for code, _ in codes[:2]] == [4, 4]
    assert "manage.py migrate rollout" in codes[0][1] and "manage.py migrate rollout" in codes[1][1]
    assert conf.current().problems == ()


def trip(**_: object) -> None:
    """Let this host trip."""
    found = Trip(at=NOW, flag="f", event="e", kind="address", place="data.note", process="web:1")
    Tripwire(kill_file()).trip(found)


def pull(**_: object) -> None:
    """Pull this host's kill file."""
    kill_file().pull("drill")


@ONCE
@pytest.mark.parametrize(
    ("stop", "remedy"), [(pull, "`rollout unkill` first"), (trip, "`rollout clear-trip` first")]
)
def test_a_start_is_refused_while_a_file_stops_this_host(stop: Callable[[], None], remedy: str) -> None:
    """5: the next pass on this host would roll it back again. Nothing was changed."""
    stop()

    code, text = run("start", "--reason", "go")

    assert (code, state().state) == (5, State.NOT_STARTED)
    assert remedy in text and "nothing was changed" in text


@ONCE
@pytest.mark.parametrize("said", [False, "maybe"])
def test_a_start_says_that_the_master_switch_is_off_here(said: object) -> None:
    """It begins all the same: other hosts have a switch of their own."""
    with override_settings(NOTIFICATIONS_WEBHOOK_ENABLED=said):
        code, text = run("start", "--reason", "go")

    assert (code, state().state) == (0, State.RUNNING)
    assert "MASTER SWITCH: " in text and "nothing is sent from here" in text
