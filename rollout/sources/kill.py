"""The kill switch: a file whose being there stops everything, with the database and the cache down.

One path per host, one `stat`, no parsing. The invariant: any answer to `stat` but "not there" means
killed: no permission, a loop of links, a directory, a path that cannot be a path. Explained in
docs/explanation/bucketing.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rollout.controls import NOT_KILLED, KillState

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

    def __repr__(self) -> str:
        return f"KillFile({self.path!r})"
