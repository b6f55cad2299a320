"""Flags from a file, JSON or TOML, picked up while the process runs: by one `stat`, without a thread.

A change is any difference in device, inode, times or size. The invariants: whatever is wrong with the
file, the last good flags stay and nothing blocks (a pipe is not waited for, 100 MB are refused unread);
and a write that leaves the stamp as it was, because the file system's clock is coarse, is not missed: a
file younger than two seconds is read again at the next look. Works after a fork. Explained in
docs/reference/flag-file.md.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable
from typing import TypeAlias
from weakref import WeakSet

from rollout.errors import ConfigError
from rollout.snapshot import Snapshot
from rollout.sources.lastgood import LastGood
from rollout.sources.schema import loader_of

__all__ = ["MAX_BYTES", "FileSource"]

#: The largest file that is read: 64 MiB, more than 400,000 flags.
MAX_BYTES = 64 * 1024 * 1024
# FAT keeps times to two seconds, the coarsest of the file systems in use.
_COARSEST_SECONDS = 2.0
# A look that finds another thread reading does not wait for it longer than this (the contract §3: 100 ms) …
_PATIENCE_SECONDS = 0.1
# … unless nothing was ever read: then every answer before the first reading would be off.
_FIRST_PATIENCE_SECONDS = 5.0

# Not waiting for the other end of a pipe; no handing down to children; Windows knows neither.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)

_Stamp: TypeAlias = tuple[int, int, int, int, int]


class FileSource:
    """Serve the flags of a file.

    Args:
        path: The file; `.toml` is TOML, anything else JSON. A relative one is made absolute here, once.
        clock: Seconds since the epoch, to tell how young the file is.
    """

    __slots__ = (
        *("__weakref__", "_clock", "_digest", "_last", "_loads", "_lock", "_settled", "_stamp"),
        "path",
    )

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time) -> None:
        self.path = os.path.abspath(path)
        self._loads = loader_of(self.path)
        self._clock = clock
        self._last = LastGood(self.path)
        self._stamp: _Stamp | None = None
        self._settled = False
        self._digest = b""
        self._lock = threading.Lock()
        _sources.add(self)

    def snapshot(self) -> Snapshot:
        """Return the flags in force, after one `stat`, and a reading where the file has changed."""
        patience = _PATIENCE_SECONDS if self._last.is_there else _FIRST_PATIENCE_SECONDS
        if not self._lock.acquire(timeout=patience):
            return self._last.snapshot
        try:
            return self._look()
        except _Unusable as error:
            self._forget()
            return self._last.keep(f"{self.path}: {error}")
        except Exception as error:  # noqa: BLE001 (whatever a file system comes up with: the last good stays)
            self._forget()
            reason = getattr(error, "strerror", None) or type(error).__name__
            return self._last.keep(f"{self.path}: cannot be read: {reason}")
        finally:
            self._lock.release()

    def _forget(self) -> None:
        self._stamp, self._settled, self._digest = None, False, b""

    def _look(self) -> Snapshot:
        status = os.stat(self.path)
        if self._settled and _stamp(status) == self._stamp:
            return self._last.snapshot
        _check(status)  # Before it is opened: to open a device can do anything.
        text = self._read()
        digest = hashlib.sha256(text).digest()
        if digest == self._digest:
            return self._last.snapshot
        self._digest = digest
        try:
            return self._last.take(self._loads(text, origin=self.path))
        except ConfigError as error:
            return self._last.keep(str(error))

    def _read(self) -> bytes:
        with os.fdopen(os.open(self.path, _FLAGS), "rb") as file:
            before = os.fstat(file.fileno())
            _check(before)
            # What is asked for is set aside at once, so no more than there is; a file that grows is read
            # again.
            text = file.read(before.st_size + 1)
        # From before it was read: a write in the meantime then shows as a difference at the next look.
        self._stamp = _stamp(before)
        age_seconds = self._clock() - max(before.st_mtime, before.st_ctime)
        self._settled = age_seconds > _COARSEST_SECONDS
        return text

    def __repr__(self) -> str:
        return f"FileSource({self.path!r})"


class _Unusable(Exception):
    """The file is none that can be read."""


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _Unusable("is no regular file")
    if status.st_size > MAX_BYTES:
        raise _Unusable(f"has {status.st_size} bytes; {MAX_BYTES} are allowed")


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


_sources: WeakSet[FileSource] = WeakSet()


def _renew_locks() -> None:
    """Give every source a new lock: in a child, the thread that held the old one does not exist."""
    for source in _sources:
        source._lock = threading.Lock()
        source._forget()


if hasattr(os, "register_at_fork"):  # pragma: no branch (Windows does not fork)
    os.register_at_fork(after_in_child=_renew_locks)
