"""The kill switch: a file whose being there stops everything, with the database and the cache down.

One path per host, one `stat`, no parsing. The invariants: any answer to `stat` but "not there" means
killed: no permission, a loop of links, a directory, a path that cannot be a path; and whoever pulls or
releases the switch has looked afterwards. Explained in docs/how-to/stop-everything.md.
"""

from __future__ import annotations

import os
import platform
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from rollout.controls import NOT_KILLED, KillState
from rollout.errors import KillFileStuck

__all__ = ["DEFAULT_PATH", "VARIABLE", "KillFile", "append_line", "host_name", "note"]

#: Where the file stands on every host unless the environment says otherwise (the contract §10).
DEFAULT_PATH = "/var/lib/rollout/kill"
#: The environment variable that moves it.
VARIABLE = "ROLLOUT_KILL_FILE"
# The right to search a folder, for its group and for everybody else.
_OTHERS_SEARCH = stat.S_IXGRP | stat.S_IXOTH


def host_name() -> str:
    """Return the name of the host that the kill file stops; `host` where it has none."""
    return platform.node() or "host"


def note(by: str, reason: str, *, at: float) -> str:
    """Return the line for a person who finds the file: when, who, where and why.

    Args:
        by: Who pulls, an id.
        reason: Why; brought into one line.
        at: When, epoch seconds.
    """
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"{moment} {by}@{host_name()}: {' '.join(reason.split())}"


class KillFile:
    """Tell whether the kill file is there.

    Args:
        path: Where to look; None: what `ROLLOUT_KILL_FILE` says, or `/var/lib/rollout/kill`. A link is
            followed, so that the path may point at a file shared by hosts.
        environ: Where to look for the variable. White space and quotes around it are taken away; one that is
            no absolute path after that names no file that others could find: it counts as killed, and
            nothing is made or removed by it.
    """

    __slots__ = ("path", "problem")

    def __init__(self, path: str | None = None, *, environ: Mapping[str, str] = os.environ) -> None:
        exported = "" if path else _exported(environ)
        # Made absolute once: a process that changes its directory must go on looking at the same place.
        self.path = os.path.abspath(path or exported or DEFAULT_PATH)
        is_wrong = bool(exported) and not os.path.isabs(exported)
        self.problem = f"{VARIABLE} is no absolute path: {exported!a}" if is_wrong else ""

    def state(self) -> KillState:
        """Look once. Never raises; the content is never read."""
        if self.problem:
            return KillState(killed=True, why=self.problem)
        try:
            os.stat(self.path)
        except FileNotFoundError:
            return NOT_KILLED
        except Exception as error:  # noqa: BLE001 (whatever stat says but "not there" means killed)
            return KillState(killed=True, why=f"{self.path!a} cannot be asked for ({type(error).__name__})")
        return KillState(killed=True, why=f"{self.path!a} is there")

    def pull(self, note: str = "") -> None:
        """Make the file, and its directory where that is missing; a file that is there stays, and counts.

        Args:
            note: One line for a person who finds the file. Nobody else reads it.

        Raises:
            KillFileStuck: It could not be made, so nothing was stopped by it.
        """
        self._check_path()
        problem = ""
        try:
            append_line(self.path, note)
        except (OSError, ValueError) as error:  # it may be there all the same, as something else: look
            problem = type(error).__name__
        if not self.state().killed:
            raise KillFileStuck(self.path, f"could not be made ({problem})")

    def release(self) -> bool:
        """Remove the file; of a link, what it points at. Return whether there was one.

        Raises:
            KillFileStuck: It is still there, or cannot be asked for.
        """
        self._check_path()
        was_there = self.state().killed
        problem = ""
        try:
            os.unlink(os.path.realpath(self.path))
        except (OSError, ValueError) as error:  # not there is what was wanted; for the rest, look
            problem = type(error).__name__
        if self.state().killed:
            raise KillFileStuck(self.path, f"could not be removed ({problem})")
        return was_there

    def closed_note(self) -> str:
        """Tell of a folder on the way that nobody but its owner may search; empty where there is none.

        For processes of other users the file counts as there, whether it is or not.
        """
        for place in Path(self.path).parents:
            with suppress(OSError, ValueError):  # what cannot be asked for is what `state` tells
                if not os.stat(place).st_mode & _OTHERS_SEARCH:
                    return (
                        f"Only its owner may look into {str(place)!a}: other users' processes stay stopped."
                    )
        return ""

    def _check_path(self) -> None:
        if self.problem:
            raise KillFileStuck(self.path, self.problem)

    def __repr__(self) -> str:
        return f"KillFile({self.path!r})"


def append_line(path: str, text: str) -> None:
    """Add a line to a file, made with its folders where they are missing; it is on the disk afterwards.

    Folders that are made can be searched by all, whatever the umask: a process that may not look into one
    takes the file for there, and would stay stopped when it is gone.

    Raises:
        OSError: It could not be written.
        ValueError: *path* is none.
    """
    folder = Path(path).parent
    for place in (*reversed(folder.parents), folder):
        if not os.path.isdir(place):
            with suppress(FileExistsError):  # another process has made it meanwhile
                os.mkdir(place, 0o755)
                os.chmod(place, 0o755)  # noqa: S103 - nobody else may write; all may look
    # A pipe that somebody put in its place must not hold up whoever pulls; Windows has no flag for that.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, flags, 0o644)
    try:
        os.write(handle, f"{text}\n".encode(errors="replace"))  # one write: lines of two processes stay whole
        os.fsync(handle)
    finally:
        os.close(handle)


def _exported(environ: Mapping[str, str]) -> str:
    """Return what the variable says, as the settings clean it: env files leave quotes and line ends on it."""
    return environ.get(VARIABLE, "").strip().strip("\"'").strip()
