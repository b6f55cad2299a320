"""System checks: each problem with its stable id; what is merely odd as a warning."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.checks import CheckMessage
from django.test import override_settings

from tests.integration.django.project import FLAG, SECRET, Override


def run(*, deploy: bool = False) -> list[CheckMessage]:
    """What `manage.py check` says about us."""
    return checks.run_checks(tags=["webhooks"], include_deployment_checks=deploy)


def ids(*, deploy: bool = False) -> list[str | None]:
    """The ids only."""
    return [message.id for message in run(deploy=deploy)]


def sink(settled: object) -> None:
    """A project's own, which counts nothing."""


def test_an_untouched_project_has_nothing_to_say() -> None:
    """Installed and untouched: no error, no warning."""
    assert run() == []


def test_a_whole_project_has_nothing_to_say(sends: None) -> None:
    """All is set."""
    assert run() == []


@pytest.mark.parametrize(
    ("changes", "id_", "level"),
    [
        ({"NOTIFICATIONS_WEBHOOK_ENABLED": "maybe"}, "rollout.E001", checks.ERROR),
        ({"ROLLOUT": {"FLAGG": "x"}}, "rollout.E002", checks.ERROR),
        ({"ROLLOUT": {"SOURCE": "nowhere"}}, "rollout.E003", checks.ERROR),
        ({"ROLLOUT": {"FILE": "/srv/flags.json"}}, "rollout.E004", checks.ERROR),
        ({"ROLLOUT": {"FLAGS": {FLAG: {"percentage": 101}}}}, "rollout.E005", checks.ERROR),
        ({"ROLLOUT": {"FLAGS": None, "FILE": "/no/such/file.json"}}, "rollout.E006", checks.ERROR),
        ({"ROLLOUT": {"FLAG": ""}}, "rollout.E007", checks.ERROR),
        ({"ROLLOUT": {"REFRESH_SECONDS": -1}}, "rollout.E008", checks.ERROR),
        ({"ROLLOUT": {"KILL_FILE": "kill"}}, "rollout.E009", checks.ERROR),
        ({"ROLLOUT": {"UNITS": "nothing.of.the.kind"}}, "rollout.E011", checks.ERROR),
        ({"WEBHOOK_SECRET": None}, "rollout.E012", checks.ERROR),
        ({"ROLLOUT": {"PLAN": {"stages": []}}}, "rollout.E013", checks.ERROR),
        ({"ROLLOUT": {"DATABASE": ""}}, "rollout.E014", checks.ERROR),
        ({"ROLLOUT": {"LAST_KNOWN_GOOD": "here"}}, "rollout.E015", checks.ERROR),
        ({"ROLLOUT": {"PLAN": {}, "DATABASE": "elsewhere"}}, "rollout.E016", checks.ERROR),
        ({"ROLLOUT": {"FLAG": "other"}}, "rollout.W001", checks.WARNING),
        ({"WEBHOOK_ENDPOINT": None}, "rollout.W002", checks.WARNING),
        ({"NOTIFICATION_WEBHOOKS_ENABLED": True}, "rollout.W005", checks.WARNING),
        ({"WEBHOOK_TIMEOUT": 0}, "webhooks.E007", checks.ERROR),
        ({"WEBHOOKS": {"EVENTS": {}}}, "webhooks.W001", checks.WARNING),
        ({"WEBHOOK_CB_MAX_FAILS": 9999}, "webhooks.W002", checks.WARNING),
        ({"WEBHOOK_TIMOUT": 3}, "webhooks.W003", checks.WARNING),
        ({"WEBHOOKS": {"SLOW_RETRIES": [43_200, 43_201]}}, "webhooks.W012", checks.WARNING),
        ({"WEBHOOKS": {"RATE": 5, "ENGINE": "inline"}}, "webhooks.W014", checks.WARNING),
        ({"WEBHOOKS": {"SLOW_RETRIES": [60], "ENGINE": "inline"}}, "webhooks.W013", checks.WARNING),
    ],
)
def test_each_problem_has_its_id(using: Override, changes: dict[str, Any], id_: str, level: int) -> None:
    """The ids are stable; the values of `webhooks.E…` are in tests/unit/django."""
    with using(**changes):
        messages = run()

    assert [(message.id, message.level) for message in messages] == [(id_, level)]


def test_breakers_that_the_guard_cannot_see_are_a_warning(using: Override) -> None:
    """Each worker's own; beside the warning of the sending side about the same setting."""
    with using(ROLLOUT={"PLAN": {}}, WEBHOOKS={"BREAKER_STORE": "memory"}):
        found = [message.id for message in run()]

    assert "rollout.W006" in found


@pytest.mark.parametrize(
    ("rollout", "engine", "warned"),
    [({"PLAN": {}}, "inline", True), ({"PLAN": {}}, "worker", False), ({}, "inline", False)],
    ids=["plan-inline", "plan-worker", "no-plan"],
)
def test_a_plan_over_deliveries_that_are_no_evidence_is_a_warning(
    using: Override, rollout: dict[str, Any], engine: str, warned: bool
) -> None:
    """It would hold at its first stage for ever."""
    with using(ROLLOUT=rollout, WEBHOOKS={"ENGINE": engine}):
        found = [message.id for message in run()]

    assert ("rollout.W008" in found) is warned


@pytest.mark.parametrize(
    ("rollout", "sink", "warned"),
    [
        ({"PLAN": {}}, f"{__name__}.sink", True),
        ({"PLAN": {}}, "rollout.django.sink.settle_sink", False),
        ({"PLAN": {}}, None, False),
        ({}, f"{__name__}.sink", False),
    ],
    ids=["plan-theirs", "plan-ours", "plan-unset", "no-plan"],
)
def test_a_sink_that_takes_the_place_of_ours_is_a_warning_under_a_plan(
    using: Override, rollout: dict[str, Any], sink: str | None, warned: bool
) -> None:
    """Without our counts the guard is undecided for ever, and never rolls back."""
    with using(ROLLOUT=rollout, WEBHOOKS={"SETTLE_SINK": sink}):
        found = ids()

    assert ("rollout.W009" in found) is warned


def test_flags_in_the_database_are_not_read_by_a_check(using: Override) -> None:
    """Checks run before `migrate` has made the table."""
    with using(ROLLOUT={"FLAGS": None, "SOURCE": "database"}):
        assert run() == []


def test_the_flag_that_is_missing_is_said_exactly(using: Override) -> None:
    """Contract §2: nobody gets webhooks, and a check warning says exactly that."""
    with using(ROLLOUT={"FLAG": "other"}):
        (message,) = run()

    assert 'no flag "other" is defined: nobody gets webhooks' in message.msg
    assert FLAG in (message.hint or "")


def test_while_switched_off_a_missing_flag_endpoint_or_secret_is_no_warning() -> None:
    """They are missing only once something is to be sent."""
    with override_settings(WEBHOOK_ENDPOINT="https://api.example.com/", WEBHOOKS={"ENVIRONMENT": "test"}):
        assert ids() == ["webhooks.W001"]


def test_the_environment_is_required_outside_debug() -> None:
    """Contract §1."""
    with override_settings(WEBHOOKS={}):
        assert ids() == ["webhooks.E014"]
    with override_settings(WEBHOOKS={}, DEBUG=True):
        assert ids() == []


def test_no_message_holds_a_secret(using: Override) -> None:
    """The type is told, never the value."""
    weak = "hunter2hunter2"

    tables = {"a": {"URL": "https://a.example/", "SECRET": SECRET}, "b": {"URL": "x", "SECRET": SECRET}}
    with using(WEBHOOK_SECRET=weak, WEBHOOKS={"ENDPOINTS": tables}):
        text = "".join(f"{message.msg}{message.hint}" for message in run())

    assert weak not in text
    assert SECRET not in text


def test_the_inline_engine_is_refused_for_deployment(using: Override) -> None:
    """It retries inside the request; in DEBUG that is what it is for."""
    with using(WEBHOOKS={"ENGINE": "inline"}):
        assert "webhooks.E031" not in ids()
        assert "webhooks.E031" in ids(deploy=True)
        with override_settings(DEBUG=True):
            assert "webhooks.E031" not in ids(deploy=True)


def test_the_default_engine_is_fit_for_deployment(sends: None) -> None:
    """Nobody has to name one."""
    assert [id_ for id_ in ids(deploy=True) if id_ and id_.startswith("webhooks.")] == []


def test_the_apps_that_are_missing_are_named() -> None:
    """Level 4 of the runbook, half done."""
    installed = ["django.contrib.contenttypes", "django.contrib.auth", "rollout.django"]
    with override_settings(INSTALLED_APPS=installed):
        (message,) = run()

    assert (message.id, message.level) == ("rollout.W003", checks.WARNING)
    assert "webhooks_core.django is not in INSTALLED_APPS" in message.msg


def test_the_kill_file_that_is_there_is_said(using: Override, tmp_path: Path) -> None:
    """Who deploys while the switch is pulled should know."""
    (tmp_path / "kill").touch()

    with using(ROLLOUT={"KILL_FILE": str(tmp_path / "kill")}):
        assert ids() == ["rollout.W004"]


def test_a_variable_that_is_no_absolute_path_is_one_error_and_no_file_to_remove(
    using: Override, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate is closed by it; there is nothing that a person could remove."""
    monkeypatch.setenv("ROLLOUT_KILL_FILE", '"run/kill"')

    with using(ROLLOUT={}):
        assert ids() == ["rollout.E009"]


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda place: place.chmod(0o777), ["rollout.E010"]),
        (lambda place: place.chmod(0o1777), ["rollout.E010"]),
        (lambda place: place.chmod(0o775), []),
    ],
    ids=["all", "sticky", "group"],
)
def test_a_kill_file_that_anybody_could_make_is_an_error(
    using: Override, tmp_path: Path, make: Callable[[Path], object], found: list[str]
) -> None:
    """Contract §10: a world-writable parent is a check error."""
    place = tmp_path / "run"
    place.mkdir()
    make(place)

    with using(ROLLOUT={"KILL_FILE": str(place / "kill")}):
        assert ids() == found


def test_a_link_into_a_directory_that_anybody_could_write_to_is_an_error(
    using: Override, tmp_path: Path
) -> None:
    """Hosts may share one file by a link: what is at its end is the switch. Each directory is told once."""
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    own.mkdir()
    (own / "kill").symlink_to(shared / "kill")
    (tmp_path / "alias").symlink_to(shared)
    shared.chmod(0o777)

    for path in (own / "kill", tmp_path / "alias" / "kill"):
        with using(ROLLOUT={"KILL_FILE": str(path)}):
            assert ids() == ["rollout.E010"]


def test_a_directory_above_that_anybody_could_replace_is_an_error(using: Override, tmp_path: Path) -> None:
    """Without the sticky bit, whoever may write above may rename what is below."""
    above, below = tmp_path / "above", tmp_path / "above" / "below"
    below.mkdir(parents=True)

    for mode, found in ((0o777, ["rollout.E010"]), (0o1777, [])):
        above.chmod(mode)
        with using(ROLLOUT={"KILL_FILE": str(below / "kill")}):
            assert ids() == found


def test_a_parent_that_is_not_there_is_judged_by_the_nearest_that_is(using: Override, tmp_path: Path) -> None:
    """Whoever may make the directory may make the file."""
    tmp_path.chmod(0o777)

    with using(ROLLOUT={"KILL_FILE": str(tmp_path / "not" / "yet" / "kill")}):
        assert ids() == ["rollout.E010"]
    os.chmod(tmp_path, 0o755)
