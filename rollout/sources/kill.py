"""The kill switch: a file whose being there stops everything, with the database and the cache down.

One path per host, one `stat`, no parsing. The invariants: any answer to `stat` but "not there" means
killed: no permission, a loop of links, a directory, a path that cannot be a path; and whoever pulls or
releases the switch has looked afterwards. Explained in docs/how-to/stop-everything.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rollout.controls import NOT_KILLED, KillState
from rollout.errors import KillFileStuck

__all__ = ["DEFAULT_PATH", "VARIABLE", "KillFile"]

#: Where the file stands on every host unless the environment says otherwise (the contract §10).
DEFAULT_PATH = "/var/lib/rollout/kill"
#: The environment variable that moves it.
VARIABLE = "ROLLOUT_KILL_FILE"


class KillFile:
    """Tell whether the kill file is there.

    Args:
        path: Where to look; None: what `ROLLOUT_KILL_FILE` says, or `/var/lib/rollout/kill`. A link is
            followed, so that the path may point at a file shared by hosts.
        environ: Where to look for the variable.
    """

    __slots__ = ("path",)

    def __init__(self, path: str | None = None, *, environ: Mapping[str, str] = os.environ) -> None:
        # Made absolute once: a process that changes its directory must go on looking at the same place.
        self.path = os.path.abspath(path or environ.get(VARIABLE) or DEFAULT_PATH)

    def state(self) -> KillState:
        """Look once. Never raises; the content is never read."""
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
        problem = ""
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o644)
            try:
                os.write(handle, f"{note}\n".encode(errors="replace"))
                os.fsync(handle)
            finally:
                os.close(handle)
        except (OSError, ValueError) as error:  # it may be there all the same, as something else: look
            problem = type(error).__name__
        if not self.state().killed:
            raise KillFileStuck(self.path, f"could not be made ({problem})")

    def release(self) -> bool:
        """Remove the file; of a link, what it points at. Return whether there was one.

        Raises:
            KillFileStuck: It is still there, or cannot be asked for.
        """
        was_there = self.state().killed
        problem = ""
        try:
            os.unlink(os.path.realpath(self.path))
        except (OSError, ValueError) as error:  # not there is what was wanted; for the rest, look
            problem = type(error).__name__
        if self.state().killed:
            raise KillFileStuck(self.path, f"could not be removed ({problem})")
        return was_there

    def __repr__(self) -> str:
        return f"KillFile({self.path!r})"
