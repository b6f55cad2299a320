"""`rolloutctl`: the kill switch with nothing else working."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rollout import cli
from rollout.sources.kill import KillFile
from rollout.sources.trip import Trip, Tripwire
from tests.conftest import NOW


def run(*arguments: str) -> int:
    """One command in this process, at a fixed moment by a fixed person."""
    return cli.main(arguments, clock=lambda: NOW, user=lambda: "ana")


def test_kill_makes_the_file_and_says_who_is_not_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file holds when, who and why, on one line."""
    path = tmp_path / "kill"

    code = run("kill", "--reason", "smoke\nin the logs", "--file", str(path))

    said = capsys.readouterr()
    assert code == 0
    assert KillFile(str(path)).state().killed
    assert path.read_text().startswith("2025-11-13T02:13:20Z ana@")
    assert path.read_text().endswith(": smoke in the logs\n")
    assert "Stopped: " in said.out and "Other hosts are not reached" in said.out
    assert str(path) in said.out and "whose kill file it is" in said.out


def test_the_variable_names_the_file_where_nothing_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--file` without a path is the documented place."""
    monkeypatch.setenv("ROLLOUT_KILL_FILE", str(tmp_path / "kill"))

    code = run("kill", "--reason", "drill", "--file", "--json")

    assert code == 0
    assert json.loads(capsys.readouterr().out)["kill_file"] == {
        "path": str(tmp_path / "kill"),
        "killed": True,
    }


@pytest.mark.parametrize("left_on", ['"{}"', "{} \n"], ids=["quotes", "line-end"])
def test_kill_makes_the_file_that_the_workers_look_at_whatever_an_env_file_left_on_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_on: str
) -> None:
    """Docker's `--env-file` hands quotes and spaces on: they are no part of the path, here as in Django."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLOUT_KILL_FILE", left_on.format(tmp_path / "kill"))

    code = run("kill", "--reason", "drill")

    assert code == 0
    assert [each.name for each in tmp_path.iterdir()] == ["kill"]


@pytest.mark.parametrize(
    ("verb", "says"),
    [("kill", "NOT STOPPED"), ("unkill", "NOTHING REMOVED"), ("status", "NOT KNOWN")],
    ids=["kill", "unkill", "status"],
)
@pytest.mark.parametrize("by", ["variable", "option"])
def test_a_path_that_is_not_absolute_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *,
    by: str, verb: str, says: str,
) -> None:  # fmt: skip
    """What lies below the directory somebody happens to stand in is where no worker looks."""
    monkeypatch.chdir(tmp_path)
    named = ("--file", "run/kill") if by == "option" else ()
    if by == "variable":
        monkeypatch.setenv("ROLLOUT_KILL_FILE", '"run/kill"')

    code = run(verb, *(() if verb == "status" else ("--reason", "drill")), *named)

    said = capsys.readouterr().err
    assert code == 1
    assert says in said and "absolute path" in said and "run/kill" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("named", "killed"), [((), True), (("--file", "run/kill"), None)], ids=["variable", "option"]
)
def test_a_status_of_a_path_that_is_not_absolute_tells_a_program_what_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *,
    named: tuple[str, ...], killed: bool | None,
) -> None:  # fmt: skip
    """A process with such a variable counts as killed; of a path that was mistyped nothing is known."""
    if not named:
        monkeypatch.setenv("ROLLOUT_KILL_FILE", "run/kill")

    code = run("status", "--json", *named)

    said = json.loads(capsys.readouterr().out)
    assert (code, said["exit_code"], said["killed"]) == (1, 1, killed)
    assert "absolute path" in said["error"]


def test_unkill_removes_the_file_and_tells_what_else_stops_the_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A host that has tripped on personal data stays stopped, and the exit code says so."""
    path = str(tmp_path / "kill")
    run("kill", "--reason", "drill", "--file", path)
    Tripwire(KillFile(path)).trip(
        Trip(at=NOW, flag="f", event="e", kind="phone", place="data.x", process="p")
    )
    capsys.readouterr()

    code = run("unkill", "--reason", "drill over", "--file", path)

    assert code == 5
    assert not (tmp_path / "kill").exists()
    assert "personal data was found" in capsys.readouterr().err


def test_unkill_tells_of_a_folder_that_keeps_other_users_processes_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root's tool sees that the file is gone; a worker of another user may not look, and stays stopped."""
    folder = tmp_path / "rollout"
    folder.mkdir(0o700)

    code = run("unkill", "--reason", "over", "--file", str(folder / "kill"))

    assert code == 0
    assert f"Only its owner may look into '{folder}'" in capsys.readouterr().out


def test_status_is_0_only_where_nothing_stops_the_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """5 while it is stopped; the answer names the file."""
    path = str(tmp_path / "kill")
    codes = [run("status", "--file", path)]
    run("kill", "--reason", "drill", "--file", path)
    codes.append(run("status", "--file", path, "--json"))
    codes.append(run("unkill", "--reason", "over", "--file", path))

    assert codes == [0, 5, 0]
    assert "Not stopped on this host" in capsys.readouterr().out


def test_a_file_that_cannot_be_made_or_removed_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody may go back to sleep believing that it stopped."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    stuck = run("unkill", "--reason", "x", "--file", str(tmp_path / "folder"))
    below_a_file = run("kill", "--reason", "x", "--file", f"{tmp_path}/file/kill")

    assert (stuck, below_a_file) == (1, 0)  # what cannot be asked for counts as killed
    assert "STILL STOPPED" in capsys.readouterr().err


def test_a_kill_that_did_not_take_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder may not be written to, and nothing is there: exit code 1."""

    def refused(*_arguments: object, **_options: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)

    code = run("kill", "--reason", "x", "--file", str(tmp_path / "kill"))

    assert code == 1
    assert "NOT STOPPED" in capsys.readouterr().err


@pytest.mark.parametrize("reason", ["", "  ", "x" * 256], ids=["none", "blank", "long"])
def test_a_reason_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str], *, reason: str) -> None:
    """Nothing is changed without one."""
    code = run("kill", "--reason", reason, "--file", str(tmp_path / "kill"))

    assert code == 2
    assert not (tmp_path / "kill").exists()
    assert "--reason" in capsys.readouterr().err


def test_a_user_without_a_name_can_stop_everything(tmp_path: Path) -> None:
    """A container often runs under a number that no account has."""

    def nobody() -> str:
        raise KeyError("uid not found")

    code = cli.main(["kill", "--reason", "x", "--file", str(tmp_path / "kill")], user=nobody)

    assert code == 0
    assert "uid " in (tmp_path / "kill").read_text()


def test_it_works_where_django_cannot_even_be_imported(tmp_path: Path) -> None:
    """A module `django` that raises, settings that do not exist: the file is there all the same."""
    (tmp_path / "django.py").write_text("raise RuntimeError('broken')")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}",
        "DJANGO_SETTINGS_MODULE": "nowhere.settings",
        "ROLLOUT_KILL_FILE": str(tmp_path / "kill"),
    }

    ended = subprocess.run(
        [sys.executable, "-m", "rollout.cli", "kill", "--reason", "all of it is on fire"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (ended.returncode, (tmp_path / "kill").exists()) == (0, True), ended.stderr


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ('{"stages": [{"percentage": "100", "bake": "1h"}]}', 0, "stages: 1, nothing looks wrong"),
        ('{"stages": [{"percentage": "50", "bake": "1m"}]}', 0, "the plan ends at 50 %"),
        ('{"stages": [{"percentage": 1e2}]}', 1, "plan.json.stages.0.percentage: '1e2' is not allowed"),
    ],
    ids=["good", "odd", "wrong"],
)
def test_a_plan_is_judged_without_django(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, code: int, says: str
) -> None:
    """With what looks wrong; one that is none is a failure with the place."""
    file = tmp_path / "plan.json"
    file.write_text(text)

    ended = run("plan", "lint", str(file))
    said = capsys.readouterr()
    as_json = run("plan", "lint", str(file), "--json")

    assert (ended, as_json) == (code, code)
    assert says in said.out + said.err
    assert json.loads(capsys.readouterr().out)["plan"] == str(file)
