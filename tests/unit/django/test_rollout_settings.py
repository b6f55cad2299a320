"""Settings of the gate: the table `ROLLOUT`, who owns the percentage, and the master switch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from rollout.django import conf
from rollout.django.conf import SourceName

FLAGS = {"tournament-webhooks": {"percentage": 5}}


def load(table: object, **environ: str) -> conf.RolloutSettings:
    """Parse a table, and an environment of these variables."""
    return conf.load(table, environ=environ)


def ids(found: conf.RolloutSettings) -> list[str]:
    """The ids of the problems, in order."""
    return [problem.id for problem in found.problems]


def test_the_defaults_define_no_flag() -> None:
    """Installed and untouched it lets nobody in."""
    found = load(None)

    assert found.problems == ()
    assert (found.flag, found.source, dict(found.flags)) == ("tournament-webhooks", SourceName.SETTINGS, {})
    assert (found.file, found.kill_file, found.units, found.refresh_seconds) == (None, None, None, 0.25)


@pytest.mark.parametrize(
    ("table", "source"),
    [
        ({}, SourceName.SETTINGS),
        ({"FLAGS": FLAGS}, SourceName.SETTINGS),
        ({"FILE": "/srv/flags.json"}, SourceName.FILE),
        ({"SOURCE": "settings", "FLAGS": FLAGS}, SourceName.SETTINGS),
        ({"SOURCE": "file", "FILE": Path("/srv/flags.json")}, SourceName.FILE),
        ({"SOURCE": "environment"}, SourceName.ENVIRONMENT),
    ],
)
def test_the_owner_is_the_one_that_is_named_or_the_only_one_there(
    table: dict[str, Any], source: SourceName
) -> None:
    """Contract §2: one source owns a flag's percentage."""
    found = load(table)

    assert (found.problems, found.source) == ((), source)


@pytest.mark.parametrize(
    ("table", "id_", "setting"),
    [
        ("text", "rollout.E002", "ROLLOUT"),
        ({"FLAG_": "x"}, "rollout.E002", 'ROLLOUT["FLAG_"]'),
        ({"flags": {}}, "rollout.E002", 'ROLLOUT["flags"]'),
        ({"SOURCE": "redis"}, "rollout.E003", 'ROLLOUT["SOURCE"]'),
        ({"SOURCE": 3}, "rollout.E003", 'ROLLOUT["SOURCE"]'),
        ({"FLAGS": FLAGS, "FILE": "/srv/flags.json"}, "rollout.E004", 'ROLLOUT["FILE"]'),
        ({"SOURCE": "file", "FLAGS": FLAGS, "FILE": "/srv/f.json"}, "rollout.E004", 'ROLLOUT["FLAGS"]'),
        ({"SOURCE": "environment", "FLAGS": FLAGS}, "rollout.E004", 'ROLLOUT["FLAGS"]'),
        ({"SOURCE": "environment", "FILE": "/srv/f.json"}, "rollout.E004", 'ROLLOUT["FILE"]'),
        ({"FLAGS": [FLAGS]}, "rollout.E005", 'ROLLOUT["FLAGS"]'),
        ({"SOURCE": "file"}, "rollout.E006", 'ROLLOUT["FILE"]'),
        *[({"FILE": bad}, "rollout.E006", 'ROLLOUT["FILE"]') for bad in ("flags.json", "", 3, "/a\0b")],
        *[
            ({"FLAG": bad}, "rollout.E007", 'ROLLOUT["FLAG"]')
            for bad in ("", "a b", "-x", "x" * 200, 3, "x\n")
        ],
        *[
            ({"REFRESH_SECONDS": bad}, "rollout.E008", 'ROLLOUT["REFRESH_SECONDS"]')
            for bad in (-1, 30.5, "soon", True, float("nan"))
        ],
        *[({"KILL_FILE": bad}, "rollout.E009", 'ROLLOUT["KILL_FILE"]') for bad in ("kill", "", 3, "./kill")],
        *[
            ({"UNITS": bad}, "rollout.E011", 'ROLLOUT["UNITS"]')
            for bad in ("no.such.callable", "word", len, [1])
        ],
        *[
            ({"PLAN": bad}, "rollout.E013", 'ROLLOUT["PLAN"]')
            for bad in ("default", {"stage": []}, {"stages": [{"percentage": "101"}]}, {"stages": []}, [])
        ],
        *[({"DATABASE": bad}, "rollout.E014", 'ROLLOUT["DATABASE"]') for bad in ("", 3, " x", "x" * 99)],
        *[
            ({"LAST_KNOWN_GOOD": bad}, "rollout.E015", 'ROLLOUT["LAST_KNOWN_GOOD"]')
            for bad in ("kept", "", 3)
        ],
    ],
)
def test_a_bad_key_of_the_table_is_a_problem_with_its_id(table: object, id_: str, setting: str) -> None:
    """It names the setting, the type and what is allowed."""
    found = load(table)

    assert (found.problems[0].id, found.problems[0].setting) == (id_, setting)
    assert len(found.problems) == 1


@pytest.mark.parametrize(
    ("table", "alias"),
    [
        ({}, None),
        ({"FLAGS": FLAGS}, None),
        ({"SOURCE": "database"}, "default"),
        ({"PLAN": {}}, "default"),
        ({"PLAN": {}, "FLAGS": FLAGS, "DATABASE": "main"}, "main"),
        ({"DATABASE": "main"}, "main"),
    ],
    ids=["nothing", "flags", "source", "plan", "plan-elsewhere", "database"],
)
def test_a_database_is_asked_for_by_a_plan_or_by_the_source(table: object, alias: str | None) -> None:
    """Who wants neither needs no tables, and reads no database."""
    found = load(table)

    assert found.problems == ()
    assert found.state_database == alias


def test_two_owners_are_told_by_name() -> None:
    """Contract §2: two owners are an error."""
    found = load({"FLAGS": FLAGS, "FILE": "/srv/flags.json"})

    assert 'while "settings" owns the percentage: two owners' in str(found.problems[0])


def test_a_percentage_in_the_environment_is_an_owner_too() -> None:
    """`ROLLOUT_FLAG_TOURNAMENT_WEBHOOKS`: alone it owns the percentage, beside another it is an error."""
    variable = "ROLLOUT_FLAG_TOURNAMENT_WEBHOOKS"

    assert load({}, **{variable: "5"}).source is SourceName.ENVIRONMENT
    assert load({}, **{variable: ""}).source is SourceName.SETTINGS
    assert ids(load({"SOURCE": "environment"}, **{variable: "5"})) == []
    found = load({"FLAGS": FLAGS}, **{variable: "5"})
    assert [(problem.id, problem.setting) for problem in found.problems] == [
        ("rollout.E004", f"environment variable {variable}")
    ]


def test_the_variable_of_the_kill_file_overrides_the_setting() -> None:
    """Contract §10: the command line works without settings and must look at the same file."""
    assert load({"KILL_FILE": "/srv/kill"}).kill_file == "/srv/kill"
    assert load({"KILL_FILE": "/srv/kill"}, ROLLOUT_KILL_FILE="/run/kill").kill_file == "/run/kill"
    assert load({"KILL_FILE": "/srv/kill"}, ROLLOUT_KILL_FILE="").kill_file == "/srv/kill"
    assert ids(load({}, ROLLOUT_KILL_FILE="kill")) == ["rollout.E009"]


def test_settings_are_parsed_once_and_again_after_a_change() -> None:
    """`setting_changed` is honoured."""
    before = conf.current()
    assert conf.current() is before

    with override_settings(ROLLOUT={"FLAG": "other"}):
        assert conf.current().flag == "other"

    assert conf.current() == before


@given(
    st.dictionaries(
        st.sampled_from(conf.TABLE),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=9)
        | st.lists(st.text(max_size=3)),
    )
)
def test_no_table_stops_the_process(table: dict[str, object]) -> None:
    """A bad value never stops the process."""
    assert isinstance(load(table), conf.RolloutSettings)


# --- the master switch ---

NAME = "NOTIFICATIONS_WEBHOOK_ENABLED"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment without the switch."""
    monkeypatch.delenv(NAME, raising=False)
    yield monkeypatch


@pytest.mark.parametrize(
    ("said", "exported", "answer"),
    [
        (None, None, False),
        (True, None, True),
        (False, None, False),
        (None, "true", True),
        (None, "false", False),
        (True, "true", True),
        (True, "false", False),
        (False, "true", False),
        ("on", " Yes\n", True),
        ("on", "", False),
        ("", None, False),
        ("maybe", None, None),
        (None, "maybe", None),
        (True, "maybe", None),
        ("maybe", "true", None),
        ("maybe", "off", False),
        (False, "maybe", False),
        (2, None, None),
        ([], None, None),
    ],
)
def test_off_wins(
    environment: pytest.MonkeyPatch, said: object, exported: str | None, answer: bool | None
) -> None:
    """Contract §1: if either says off, it is off; an unknown word is no *on* either."""
    if exported is not None:
        environment.setenv(NAME, exported)

    with override_settings(**{NAME: said}):
        assert conf.master() is answer
        assert conf.master() is answer


def test_a_project_that_does_not_name_the_switch_may_export_it(environment: pytest.MonkeyPatch) -> None:
    """The runbook's option A."""
    assert not hasattr(settings, NAME)
    assert conf.master() is False

    environment.setenv(NAME, "true")

    assert conf.master() is True


def test_each_change_is_seen_at_the_next_question(environment: pytest.MonkeyPatch) -> None:
    """It alone is read live; assigning to `settings` in a shell reaches that process."""
    with override_settings(**{NAME: True}):
        assert conf.master() is True
        settings.NOTIFICATIONS_WEBHOOK_ENABLED = False
        assert conf.master() is False
        settings.NOTIFICATIONS_WEBHOOK_ENABLED = "yes"
        assert conf.master() is True
        environment.setenv(NAME, "0")
        assert conf.master() is False
        environment.delenv(NAME)
        assert conf.master() is True
        del settings.NOTIFICATIONS_WEBHOOK_ENABLED
        assert conf.master() is False


def test_another_mapping_in_the_environment_s_place_is_asked_too(environment: pytest.MonkeyPatch) -> None:
    """Tests of other people put a plain dictionary there."""
    environment.setattr(os, "environ", {NAME: "on"})

    assert conf.master() is True


def test_each_unknown_word_is_a_problem_with_its_place(environment: pytest.MonkeyPatch) -> None:
    """The check names the source."""
    environment.setenv(NAME, "perhaps")

    with override_settings(**{NAME: "maybe"}):
        problems = conf.master_problems()

    assert [problem.id for problem in problems] == ["rollout.E001", "rollout.E001"]
    assert [problem.setting for problem in problems] == [NAME, f"environment variable {NAME}"]
    assert all("it counts as off" in str(problem) for problem in problems)


@pytest.mark.parametrize(
    ("said", "exported", "source"),
    [
        (None, None, "default"),
        (True, None, "setting"),
        (None, "on", "environment"),
        (True, "off", "environment"),
        (False, "on", "setting"),
        (False, "off", "setting"),
    ],
)
def test_the_source_that_decided_can_be_named(
    environment: pytest.MonkeyPatch, said: object, exported: str | None, source: str
) -> None:
    """`flag show` says it."""
    if exported is not None:
        environment.setenv(NAME, exported)

    with override_settings(**{NAME: said}):
        assert conf.master_source() == source
