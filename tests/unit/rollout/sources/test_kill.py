"""Any answer to `stat` but "not there" means killed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.django import conf
from rollout.errors import KillFileStuck
from rollout.sources.kill import DEFAULT_PATH, KillFile
from rollout.sources.trip import Trip, Tripwire


def test_not_there_is_not_killed(tmp_path: Path) -> None:
    """Neither the file nor its directory, nor what a link points at."""
    (tmp_path / "link").symlink_to(tmp_path / "nothing")

    for path in (tmp_path / "kill", tmp_path / "no" / "kill", tmp_path / "link"):
        state = KillFile(str(path)).state()
        assert (state.killed, state.why) == (False, "")


def test_there_is_killed_whatever_it_holds(tmp_path: Path) -> None:
    """Empty, unreadable, a directory, a link to one: the content is never read."""
    (tmp_path / "empty").touch()
    (tmp_path / "locked").write_text("false")
    (tmp_path / "locked").chmod(0)
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    os.mkfifo(tmp_path / "pipe")

    for name in ("empty", "locked", "directory", "link", "pipe"):
        state = KillFile(str(tmp_path / name)).state()
        assert state.killed
        assert state.why == f"'{tmp_path / name}' is there"


def test_it_is_seen_at_once_and_gone_at_once(tmp_path: Path) -> None:
    """Nothing is remembered between looks."""
    kill = KillFile(str(tmp_path / "kill"))
    seen = [kill.state().killed]

    (tmp_path / "kill").touch()
    seen.append(kill.state().killed)
    (tmp_path / "kill").unlink()
    seen.append(kill.state().killed)

    assert seen == [False, True, False]


def test_what_cannot_be_asked_is_killed(tmp_path: Path) -> None:
    """A file for a directory, a loop of links, a name too long, a NUL."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    for path in (f"{tmp_path}/file/kill", f"{tmp_path}/loop", f"{tmp_path}/{'x' * 5000}", "a\0b"):
        state = KillFile(path).state()
        assert state.killed
        assert "cannot be asked for" in state.why


def test_a_missing_permission_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the directory may not be searched. (Told by a stand-in: root may search everything.)"""

    def refused(path: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refused)

    assert KillFile(str(tmp_path / "kill")).state().killed


@pytest.mark.parametrize(
    ("path", "environ", "expected"),
    [
        (None, {}, DEFAULT_PATH),
        (None, {"ROLLOUT_KILL_FILE": ""}, DEFAULT_PATH),
        (None, {"ROLLOUT_KILL_FILE": "/run/kill"}, "/run/kill"),
        ("/srv/kill", {"ROLLOUT_KILL_FILE": "/run/kill"}, "/srv/kill"),
    ],
)
def test_where_it_looks(path: str | None, environ: dict[str, str], expected: str) -> None:
    """The documented path, the variable, or what the code says."""
    kill = KillFile(path, environ=environ)

    assert kill.path == expected
    assert repr(kill) == f"KillFile({expected!r})"


@pytest.mark.parametrize(
    "left_on",
    ['"/run/kill"', "'/run/kill'", " /run/kill\n", '" /run/kill "', "/run/kill\r\n"],
    ids=["double", "single", "space", "both", "line-end"],
)
def test_what_env_files_leave_on_the_variable_is_taken_away_as_the_settings_do(left_on: str) -> None:
    """Whoever pulls the switch from a shell must make the file that the workers look at."""
    environ = {"ROLLOUT_KILL_FILE": left_on}

    by_itself, by_the_settings = KillFile(environ=environ).path, conf.load(None, environ=environ).kill_file

    assert by_itself == by_the_settings == "/run/kill"


@pytest.mark.parametrize("said", ["kill", "~/kill", "'\"run/kill\"'"], ids=["name", "home", "quoted"])
def test_a_variable_that_is_no_absolute_path_stops_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """Each process would look below its own directory, so that nobody could pull the switch."""
    monkeypatch.chdir(tmp_path)
    kill = KillFile(environ={"ROLLOUT_KILL_FILE": said})

    state = kill.state()
    for act in (kill.pull, kill.release):
        with pytest.raises(KillFileStuck, match="no absolute path"):
            act()

    assert state.killed and "ROLLOUT_KILL_FILE is no absolute path" in state.why
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_is_made_absolute_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its directory goes on looking at the same place."""
    monkeypatch.chdir(tmp_path)
    kill = KillFile("kill")
    (tmp_path / "kill").touch()

    monkeypatch.chdir("/")

    assert kill.state().killed


def test_pulling_makes_the_file_and_its_folder_and_says_why_inside(tmp_path: Path) -> None:
    """The note is for a person; a second pull adds one and changes nothing."""
    kill = KillFile(str(tmp_path / "lib" / "kill"))

    kill.pull("smoke in the logs")
    kill.pull()

    assert kill.state().killed
    assert (tmp_path / "lib" / "kill").read_text() == "smoke in the logs\n\n"


def test_pulling_what_is_there_as_something_else_is_pulled(tmp_path: Path) -> None:
    """A folder in its place counts as killed, so there is nothing to complain about."""
    (tmp_path / "kill").mkdir()

    KillFile(str(tmp_path / "kill")).pull("why")

    assert KillFile(str(tmp_path / "kill")).state().killed


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may believe that everything stopped when it did not."""

    def refused(*_arguments: object, **_options: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)

    with pytest.raises(KillFileStuck, match=r"could not be made \(PermissionError\)") as caught:
        KillFile(str(tmp_path / "kill")).pull("why")

    assert caught.value.path == str(tmp_path / "kill")


def test_releasing_removes_the_file_and_says_whether_there_was_one(tmp_path: Path) -> None:
    """Of a link, what it points at: a link to nothing is not killed."""
    (tmp_path / "shared").touch()
    (tmp_path / "kill").symlink_to(tmp_path / "shared")
    kill = KillFile(str(tmp_path / "kill"))

    answers = [kill.release(), kill.release()]

    assert answers == [True, False]
    assert not (tmp_path / "shared").exists()
    assert not kill.state().killed


def test_a_file_that_cannot_be_removed_is_told(tmp_path: Path) -> None:
    """A folder in its place has to be looked at by a person."""
    (tmp_path / "kill").mkdir()

    with pytest.raises(KillFileStuck, match="could not be removed"):
        KillFile(str(tmp_path / "kill")).release()


@pytest.fixture(name="strict_umask")
def _strict_umask() -> Iterator[None]:
    """What hardened hosts give root."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("strict_umask")
def test_folders_that_are_made_can_be_searched_by_all_whatever_the_umask(tmp_path: Path) -> None:
    """Else a worker of another user stays stopped after the unkill; what was there keeps its mode."""
    kill = KillFile(str(tmp_path / "var" / "rollout" / "kill"))

    kill.pull("drill")
    Tripwire(KillFile(str(tmp_path / "lib" / "kill"))).trip(
        Trip(at=0.0, flag="f", event="e", kind="phone", place="data.x", process="p")
    )

    made = (tmp_path / "var", tmp_path / "var" / "rollout", tmp_path / "lib")
    assert [stat.S_IMODE(each.stat().st_mode) for each in made] == [0o755] * 3
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_folder_that_only_its_owner_may_search_is_told(tmp_path: Path) -> None:
    """The nearest one; the right of a group is enough, for it may be the workers'."""
    folder = tmp_path / "rollout"
    folder.mkdir(0o700)
    kill = KillFile(str(folder / "kill"))
    found = []

    for mode in (0o700, 0o710, 0o701):
        folder.chmod(mode)
        found.append(f"'{folder}'" in kill.closed_note())

    assert found == [True, False, False]


def test_it_is_pulled_where_the_system_has_no_flag_for_not_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has no `O_NONBLOCK`: told by a stand-in, since the tests run elsewhere."""
    monkeypatch.delattr(os, "O_NONBLOCK")
    kill = KillFile(str(tmp_path / "kill"))

    kill.pull("drill")
    is_written = Tripwire(kill).trip(
        Trip(at=0.0, flag="f", event="e", kind="phone", place="data.x", process="p")
    )

    assert kill.state().killed and is_written
