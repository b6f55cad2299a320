"""`manage.py rollout …`: what each command does to a rollout, what it refuses, and its exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import Start
from rollout.django import conf, dispatch, driving
from rollout.django.management import words
from rollout.django.stage_rate import apply_rate
from rollout.django.store import DjangoRolloutStore
from rollout.errors import StoreConflict
from rollout.percentage import Percentage
from rollout.rollout_state import RolloutState, State
from tests.integration.django.project import project
from tests.integration.rollout.commands import run, run_json
from webhooks_core.django import working
from webhooks_core.django.outbox.database import Database
from webhooks_core.django.stores.rates import DatabaseRateStore
from webhooks_core.testing.captured import real_delivery

ONCE = pytest.mark.parametrize("migrated", ["sqlite"], indirect=True, scope="module")
"""For what no database has a part in."""
pytestmark = [pytest.mark.network, pytest.mark.usefixtures("staged")]
STAGES = [
    {"percentage": "5", "bake": "1h", "rate_per_second": 2},
    {"percentage": "25", "bake": "1h", "approval": True},
    {"percentage": "100", "bake": "1h"},
]


def twelve() -> list[int]:
    """The units of a small project; none of them is in at 5 %."""
    return [number for number in range(1_000) if not _is_early(number)][:12]


def _is_early(number: int) -> bool:
    from rollout.bucketing import position

    return position("tournament-webhooks", str(number)) * 20 < 2**64


@pytest.fixture
def staged(alias: str, tmp_path: Path) -> Any:
    """A project with a plan of three stages; nothing of it is ever sent."""
    values = project(
        WEBHOOKS={"ENGINE": "worker", "DATABASE": alias},
        ROLLOUT={"PLAN": {"stages": STAGES}, "DATABASE": alias, "KILL_FILE": str(tmp_path / "kill")},
    )
    with override_settings(**values), real_delivery():
        yield values


def state() -> RolloutState:
    """Where the rollout stands."""
    return driving.store().load(driving.driving().flag)


def stage_rate(database: Database) -> float | None:
    """The cap that workers go by."""
    return DatabaseRateStore(database, environment="test").stage_rate()


def record(alias: str, count: int) -> None:
    """Record events of units that are in only at 100 %."""
    for unit in range(count):
        dispatch("payment_verified", {"tournament_id": unit}, tournament_id=unit, using=alias)


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
    assert "No sender was alive" in steps[6][1]
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
        pytest.param(("accept-store", "--reason", "x"), 2, "did not go back", id="accept-store"),
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
    units = {**staged["ROLLOUT"], "UNITS": f"{__name__}.twelve"}
    with override_settings(ROLLOUT=units):
        refused = run_json("start")
        started = run_json("start", "--yes")

    assert (refused[0], refused[1]["cohort"], refused[1]["needs"]) == (2, 0, "--yes")
    assert "nobody is in" in refused[1]["error"]
    assert (started[0], started[1]["to"]["percentage"], started[1]["cohort"]) == (0, "5", 0)


def test_fewer_units_are_let_in_only_with_a_word(staged: dict[str, Any]) -> None:
    """How many go out is counted, where somebody can count."""
    units = {**staged["ROLLOUT"], "UNITS": f"{__name__}.twelve"}
    with override_settings(ROLLOUT=units):
        run("start", "--yes")
        run("approve")
        run("advance", "--force", "--reason", "x")
        in_at_25 = driving.Cohort(units["UNITS"], driving.driving().flag)(Percentage.parse(25))
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
        started = run_json("start", "--held", choice, "--rate", "100")
        status = run_json("status")[1]

    assert (asked[0], asked[1]["held"], asked[1]["needs"]) == (2, 3, "--held")
    assert (started[0], started[1]["held"]["before"]) == (0, 3)
    assert started[1]["held"]["moved"] == (0 if choice == "keep" else 3)
    assert status["queue"]["held"] == left
    assert status["queue"]["pending"] == (3 if choice == "release" else 0)


def test_the_plan_is_shown_with_its_drift(staged: dict[str, Any]) -> None:
    """Edited after the start: both are named, and lint judges the one in the settings."""
    run("start")
    edited = {**staged["ROLLOUT"], "PLAN": {"stages": [{"percentage": "100", "bake": "1m"}]}}
    with override_settings(ROLLOUT=edited):
        code, text = run("plan", "show")
        shown = run_json("plan", "show")[1]
        linted = run("plan", "lint")
        replanned = run("replan")
        after = run_json("plan", "show")[1]

    assert code == 0
    assert "drift: the settings have another plan" in text
    assert text.splitlines()[2].split()[:3] == ["1", "5", "%"]
    assert (shown["drift"], len(shown["pinned"]["stages"]), len(shown["written"]["stages"])) == (True, 3, 1)
    assert linted[0] == 0 and "shorter than the 5 minutes" in linted[1]
    assert (replanned[0], after["drift"]) == (0, False)


@ONCE
@pytest.mark.parametrize(
    ("text", "name", "code", "says"),
    [
        ('{"stages": [{"percentage": "100", "bake": "1h"}]}', "plan.json", 0, "nothing looks wrong"),
        ('stages = [{percentage = "100", bake = "1h"}]', "plan.toml", 0, "nothing looks wrong"),
        ('{"stages": [{"percentage": 1e2}]}', "plan.json", 1, "'1e2' is not allowed"),
        ('{"stagse": []}', "plan.json", 1, "stages"),
        ("{", "plan.json", 1, "no JSON"),
        (None, "plan.json", 1, "cannot be read"),
    ],
    ids=["json", "toml", "exponent", "misspelt", "broken", "missing"],
)
def test_a_plan_in_a_file_is_judged(
    tmp_path: Path, text: str | None, name: str, code: int, says: str
) -> None:
    """With the file and the place of what is wrong."""
    file = tmp_path / name
    if text is not None:
        file.write_text(text)

    ended, said = run("plan", "lint", str(file))

    assert ended == code
    assert says in said and str(file) in said


def test_history_shows_verifies_and_finds_what_was_cut_off() -> None:
    """The head is the one that the log was told."""
    run("start", "--reason", "go")
    run("pause", "--reason", "lunch")
    head = state().head

    code, text = run("history", "--limit", "1", "--head", head)
    cut = run_json("history", "--head", "0" * 64)
    whole = run_json("history", "--verify")

    assert code == 0
    assert "PAUSED 5 %" in text and "lunch" in text and "NOT_STARTED" not in text
    assert f"ends where the log says: head {head}" in text
    assert (cut[0], cut[1]["verified"]) == (1, False)
    assert (whole[0], whole[1]["head"], len(whole[1]["entries"])) == (0, head, 2)


def test_a_unit_is_explained_now_and_at_a_moment_of_the_past() -> None:
    """From the journal: in at 100 %, not before the start, not after the rollback."""
    before = driving.store().now()
    driving.runner().obey(Start(by=Actor(name="user:17", authenticated=True)))
    run("set", "100", "--yes", "--reason", "all")
    run("rollback", "--reason", "x")
    entries = driving.store().journal(driving.driving().flag)

    now = run_json("explain", "101")
    early = run_json("explain", "101", "--at", _iso(before - 1))
    code, text = run("explain", "101", "--at", _iso(entries[1].at + 0.0001))

    assert (now[0], now[1]["is_in"], now[1]["ceiling"]) == (0, False, "0")
    assert (early[1]["is_in"], early[1]["ceiling"], early[1]["state"]) == (False, "0", "NOT_STARTED")
    assert code == 0
    assert "101 was in. It stands at 15.4397 %; the ceiling was 100 %." in text
    assert "not in the journal" in text


def _iso(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat()


@ONCE
def test_a_past_that_lies_ahead_or_a_unit_that_is_none_is_refused() -> None:
    """With the reason."""
    ahead = run("explain", "101", "--at", "2999-01-01")
    nobody = run("explain", "", "--at", "1s")

    assert (ahead[0], nobody[0]) == (2, 1)
    assert "in the future" in ahead[1] and "no unit given" in nobody[1]


@ONCE
def test_a_plan_in_the_settings_that_is_none_is_named_and_the_pinned_one_shown(
    staged: dict[str, Any],
) -> None:
    """A person who broke the settings sees what is under way, and why nothing goes up; none at all is 4."""
    bad = {**staged["ROLLOUT"], "PLAN": {"stages": "none"}}
    none = {key: value for key, value in staged["ROLLOUT"].items() if key != "PLAN"}
    run("start")

    with override_settings(ROLLOUT=bad):
        linted = run("plan", "lint")
    with override_settings(ROLLOUT=none):
        pinned = run("plan", "show")
    with override_settings(ROLLOUT={**none, "DATABASE": None}):
        nothing = run("plan", "show")

    assert (linted[0], pinned[0], nothing[0]) == (1, 0, 4)
    assert 'ROLLOUT["PLAN"]' in linted[1] and "is not set" in nothing[1]
    assert 'drift: ROLLOUT["PLAN"]: is not set' in pinned[1]


@ONCE
def test_cohorts_are_judged_with_the_units_that_there_are(staged: dict[str, Any]) -> None:
    """Of twelve, 5 % is nobody; a callable that fails leaves the count out."""
    counted = {**staged["ROLLOUT"], "UNITS": f"{__name__}.twelve"}
    broken = {**staged["ROLLOUT"], "UNITS": f"{__name__}.missing"}

    with override_settings(ROLLOUT=counted):
        linted = run("plan", "lint")[1]
        shown = run("plan", "show")[1]
    with override_settings(ROLLOUT=broken):
        without = run("plan", "lint")[1]

    assert "5 % of 12 is nobody" in linted
    assert "units in" in shown and shown.splitlines()[-1].split()[-1] == "12"
    assert "of 12" not in without


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
def test_an_entry_that_cannot_be_read_is_said(alias: str) -> None:
    """Somebody wrote into the table: 4, and never a shorter history."""
    run("start")
    with connections[alias].cursor() as cursor:
        cursor.execute("UPDATE rollout_journalentry SET content = 'x'")

    code, text = run("history")

    assert code == 4
    assert "an entry of the journal cannot be read" in text


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
def test_worlds_are_simulated_with_the_plans_thresholds() -> None:
    """The table, and the promises."""
    code, said = run_json("simulate", "--worlds", "1", "--like", "the only receiver dead, 50/min")

    assert (code, said["not_kept"]) == (0, [])
    assert "the only receiver dead, 50/min" in said["table"]


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
