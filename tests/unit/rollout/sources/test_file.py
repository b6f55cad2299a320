"""Flags from a file: picked up by one `stat`, and the last good kept whatever happens to it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.snapshot import Snapshot, SourceStatus
from rollout.sources import file as file_module
from rollout.sources.file import MAX_BYTES, FileSource

KEY = FlagKey("tournament-webhooks")


def text(percentage: str, version: int = 1, extra: str = "") -> str:
    """Write a configuration of one flag."""
    flag = f'{{"percentage": "{percentage}"{extra}}}'
    return f'{{"schema": 1, "version": {version}, "flags": {{"{KEY}": {flag}}}}}'


def percentage(snapshot: Snapshot) -> str:
    """Return the flag's percentage."""
    return str(snapshot.flags[KEY].percentage)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file at 5 %, a day old."""
    path = tmp_path / "flags.json"
    path.write_text(text("5"))
    return path


@pytest.fixture
def late() -> Callable[[], float]:
    """A clock by which every file is old."""
    return lambda: 2.0**40


@pytest.fixture
def source(path: Path, late: Callable[[], float]) -> FileSource:
    """A source that has read the file."""
    source = FileSource(path, clock=late)
    assert source.snapshot().status is SourceStatus.READY
    return source


def test_json_and_toml_by_the_name(tmp_path: Path) -> None:
    """`.toml` is TOML, anything else JSON."""
    (tmp_path / "flags.TOML").write_text(f'schema = 1\n[flags.{KEY}]\npercentage = "5"\n')
    (tmp_path / "flags.conf").write_text(text("5"))

    assert percentage(FileSource(tmp_path / "flags.TOML").snapshot()) == "5"
    assert percentage(FileSource(tmp_path / "flags.conf").snapshot()) == "5"


def test_a_relative_path_is_made_absolute_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its directory goes on with its file."""
    monkeypatch.chdir(path.parent)
    source = FileSource("flags.json")
    monkeypatch.chdir("/")

    assert percentage(source.snapshot()) == "5"
    assert repr(source) == f"FileSource({str(path)!r})"


def test_an_unchanged_file_costs_one_stat(source: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not opened again."""
    stats: list[object] = []
    real = os.stat

    def counted(target: object) -> os.stat_result:
        stats.append(target)
        return real(target)  # type: ignore[arg-type]

    def refused(*_: object) -> int:
        raise AssertionError("opened")

    monkeypatch.setattr(os, "stat", counted)
    monkeypatch.setattr(os, "open", refused)

    assert source.snapshot().status is SourceStatus.READY
    assert len(stats) == 1


def test_a_file_written_in_place_is_picked_up(source: FileSource, path: Path) -> None:
    """Another size, another time."""
    path.write_text(text("50"))

    assert percentage(source.snapshot()) == "50"


def test_a_file_put_in_its_place_is_picked_up(source: FileSource, path: Path) -> None:
    """Another inode, though size and time are the same: the way that never shows half a file."""
    new = path.with_suffix(".new")
    new.write_text(text("6"))
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new.replace(path)

    assert percentage(source.snapshot()) == "6"


def test_a_link_turned_to_another_file_is_picked_up(tmp_path: Path, late: Callable[[], float]) -> None:
    """How Kubernetes swaps a config map."""
    for name, share in (("one", "5"), ("two", "6")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "flags.json").write_text(text(share))
    link = tmp_path / "data"
    link.symlink_to("one")
    source = FileSource(link / "flags.json", clock=late)
    assert percentage(source.snapshot()) == "5"

    (tmp_path / "data.new").symlink_to("two")
    (tmp_path / "data.new").rename(link)

    assert percentage(source.snapshot()) == "6"


def test_a_write_that_leaves_the_stamp_is_not_missed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same inode, size and times, as on a coarse clock: a young file is read again at the next look."""
    written_at = path.stat().st_mtime
    real = os.stat(path)
    source = FileSource(path, clock=lambda: written_at + 1.9)
    assert percentage(source.snapshot()) == "5"
    monkeypatch.setattr(os, "stat", lambda target: real)
    monkeypatch.setattr(os, "fstat", lambda target: real)

    path.write_text(text("6"))

    assert percentage(source.snapshot()) == "6"


def test_a_young_file_is_read_but_not_parsed_again(path: Path) -> None:
    """The same bytes are the same snapshot."""
    source = FileSource(path, clock=lambda: path.stat().st_mtime)

    assert source.snapshot() is source.snapshot()


def test_a_file_that_changes_while_it_is_read_is_read_again(
    path: Path, late: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stamp is from before the reading, so that a write in the meantime shows at the next look."""
    source = FileSource(path, clock=late)
    real = os.fstat

    def overtaken(descriptor: int) -> os.stat_result:
        before = real(descriptor)
        path.write_text(text("50")[:-1])
        return before

    monkeypatch.setattr(os, "fstat", overtaken)
    assert source.snapshot().status is SourceStatus.ERROR
    monkeypatch.setattr(os, "fstat", real)
    path.write_text(text("50"))

    assert percentage(source.snapshot()) == "50"


def spoil_empty(path: Path) -> None:
    path.write_text("")


def spoil_truncated(path: Path) -> None:
    path.write_text(text("50", 2)[:-1])


def spoil_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def spoil_missing(path: Path) -> None:
    path.unlink()


def spoil_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def spoil_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)


def spoil_binary(path: Path) -> None:
    path.write_bytes(os.urandom(64) + b"\xff")


def spoil_misspelt(path: Path) -> None:
    path.write_text(text("50", 2, ', "percent": 5'))


def spoil_percentage(path: Path) -> None:
    path.write_text(text("101", 2))


def spoil_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


SPOILT = [
    (spoil_empty, "no JSON"),
    (spoil_truncated, "no JSON"),
    (spoil_directory, "is no regular file"),
    (spoil_missing, "cannot be read: No such file or directory"),
    (spoil_pipe, "is no regular file"),
    (spoil_huge, "has 104857600 bytes"),
    (spoil_binary, "is not UTF-8"),
    (spoil_misspelt, "unknown key 'percent'"),
    (spoil_percentage, "'101'|not a number from 0 to 100"),
    (spoil_loop, "cannot be read: Too many levels"),
]


@pytest.mark.parametrize(("spoil", "problem"), SPOILT, ids=[row[0].__name__ for row in SPOILT])
def test_whatever_happens_to_the_file_the_last_good_flags_stay(
    source: FileSource, path: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    """Stale, with reason and path; the same object while nothing changes; and good again afterwards."""
    spoil(path)
    snapshot = source.snapshot()

    assert snapshot.status is SourceStatus.STALE
    assert percentage(snapshot) == "5"
    assert re.search(problem, str(snapshot.problem))
    assert str(path) in str(snapshot.problem)
    assert source.snapshot() is snapshot

    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_text(text("7", 3))
    assert (percentage(source.snapshot()), source.snapshot().status) == ("7", SourceStatus.READY)


@pytest.mark.parametrize("spoil", [row[0] for row in SPOILT], ids=[row[0].__name__ for row in SPOILT])
def test_what_was_never_good_is_no_flags(path: Path, spoil: Callable[[Path], None]) -> None:
    """ERROR: every flag off."""
    spoil(path)

    snapshot = FileSource(path).snapshot()

    assert (snapshot.status, snapshot.flags) == (SourceStatus.ERROR, {})


def test_100_megabytes_are_refused_unread(
    source: FileSource, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `stat`: the file is not opened."""
    spoil_huge(path)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))

    assert source.snapshot().status is SourceStatus.STALE
    assert MAX_BYTES < 100 * 1024 * 1024


def test_a_file_that_becomes_a_pipe_between_stat_and_open_does_not_block(
    source: FileSource, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened without waiting, and looked at again."""
    regular = os.stat(path)
    spoil_pipe(path)
    changed = os.stat_result((*regular[:6], regular.st_size + 1, *regular[7:]))
    monkeypatch.setattr(os, "stat", lambda target: changed)

    assert "no regular file" in str(source.snapshot().problem)


def test_an_unreadable_file_keeps_the_last_good_flags(
    source: FileSource, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permission denied. (Told by a stand-in: root may read everything.)"""

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    path.write_text(text("50"))
    monkeypatch.setattr(os, "open", refused)

    assert source.snapshot().problem == f"{path}: cannot be read: Permission denied"
    assert percentage(source.snapshot()) == "5"


def test_a_path_that_cannot_be_one_is_an_error(tmp_path: Path) -> None:
    """A NUL in it."""
    snapshot = FileSource(f"{tmp_path}/a\0b").snapshot()

    assert snapshot.status is SourceStatus.ERROR
    assert "ValueError" in str(snapshot.problem)


def test_an_older_file_put_back_is_not_taken(source: FileSource, path: Path) -> None:
    """The store went back: the last good stays until the version is high again."""
    path.write_text(text("50", 7))
    assert percentage(source.snapshot()) == "50"

    path.write_text(text("5", 6))
    snapshot = source.snapshot()
    assert (snapshot.status, percentage(snapshot)) == (SourceStatus.STORE_WENT_BACK, "50")
    path.write_text(text("5", 8))

    assert (source.snapshot().status, percentage(source.snapshot())) == (SourceStatus.READY, "5")


def test_the_same_version_edited_by_hand_is_taken(source: FileSource, path: Path) -> None:
    """A lower percentage takes effect at once."""
    path.write_text(text("1", 1))

    assert percentage(source.snapshot()) == "1"


def test_another_salt_is_not_taken(source: FileSource, path: Path) -> None:
    """It would deal every unit again."""
    path.write_text(text("50", 2, ', "salt": "another"'))

    snapshot = source.snapshot()

    assert (snapshot.status, percentage(snapshot)) == (SourceStatus.STALE, "5")
    assert "salt" in str(snapshot.problem)


def test_it_works_after_a_fork(source: FileSource, path: Path) -> None:
    """Also where another thread was half-way: the child has a lock of its own and reads anew."""
    path.write_text(text("50"))
    source._lock.acquire()
    source._digest = hashlib.sha256(
        path.read_bytes()
    ).digest()  # Read by the other thread, and not taken yet.
    try:
        file_module._renew_locks()  # What the child runs first of all.
        assert percentage(source.snapshot()) == "50"
    finally:
        source._lock = threading.Lock()


def test_a_look_does_not_wait_for_a_reading_that_hangs(
    source: FileSource, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 100 ms at the most, the last good flags."""
    monkeypatch.setattr(file_module, "_PATIENCE_SECONDS", 0.001)
    path.write_text(text("50"))

    with source._lock:
        assert percentage(source.snapshot()) == "5"

    assert percentage(source.snapshot()) == "50"


def test_exactness_survives_the_file(tmp_path: Path) -> None:
    """12.50 in JSON is 12.5, not a binary fraction."""
    path = tmp_path / "flags.json"
    path.write_text(f'{{"schema": 1, "flags": {{"{KEY}": {{"percentage": 12.50000000000000000001}}}}}}')

    assert FileSource(path).snapshot().flags[KEY].percentage == Percentage.parse("12.50000000000000000001")


FORKING = """
import os, sys, time
from rollout import FileSource, KillFile, LiveFlags
directory, before, after = sys.argv[1:]
path = directory + "/flags.json"
def write(text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)
write(before)
flags = LiveFlags(FileSource(path), kill=KillFile(directory + "/kill"), refresh_seconds=0)
seen = [flags.is_on("tournament-webhooks", 1)]
ready, done = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    os.read(ready[0], 1)
    seen.append(flags.is_on("tournament-webhooks", 1))
    open(directory + "/kill", "w").close()
    seen.append(flags.is_on("tournament-webhooks", 1))
    os.write(done[1], repr(seen).encode())
    os._exit(0)
write(after)
os.write(ready[1], b"x")
print(os.read(done[0], 99).decode(), flags.is_on("tournament-webhooks", 1))
os.waitpid(child, 0)
"""


def test_a_forked_worker_picks_up_changes_and_the_kill_file(tmp_path: Path) -> None:
    """As under gunicorn's preload: what the parent has read, the child reads anew when it changes."""
    done = subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path), text("0"), text("100")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(file_module.__file__).parents[2],
    )

    assert done.stdout.split("\n")[0] == "[False, True, False] False"
