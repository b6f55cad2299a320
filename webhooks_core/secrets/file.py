"""Secrets in a file: several lines, newest first, or a JSON list. A new content is noticed within a second.

Made for what an orchestrator mounts and an operator replaces. Invariants: a file that others can read is
refused; a file that is being written, or gone for a moment, is covered by what was read before. Explained in
docs/how-to/keep-secrets-in-a-secrets-manager.md.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from webhooks_core.errors import ConfigError
from webhooks_core.secrets.base import STALE_SECONDS, CachedSecrets, SecretText, parsed

FILE_TTL_SECONDS = 1.0
MAX_FILE_BYTES = 65_536
"""A thousand secrets; whatever is larger is another file."""

_FORBIDDEN = stat.S_IRWXO | stat.S_IWGRP


class FileSecrets(CachedSecrets):
    """Read *path*; call it to get the texts, newest first.

    Others may neither read nor write the file, the group may read it: mode 0440, 0400 or 0600, owned by root
    or by the user of this process. (Kubernetes mounts with 0644 unless `defaultMode` says 0440.)

    Args:
        path: The file; a symbolic link is followed.
        ttl_seconds: For so long the file is not looked at again.
        stale_seconds: For so long a file that cannot be read is covered by what was read before.
        monotonic: Seconds that only grow.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        ttl_seconds: float = FILE_TTL_SECONDS,
        stale_seconds: float = STALE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - a service's default
    ) -> None:
        self._path = str(path)
        super().__init__(
            self._read, ttl_seconds=ttl_seconds, stale_seconds=stale_seconds, monotonic=monotonic
        )

    def __repr__(self) -> str:
        return f"FileSecrets({self._path!r})"

    def _read(self) -> object:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise ConfigError(self._path, f"cannot be opened ({type(error).__name__})") from None
        try:
            self._check(os.fstat(descriptor))  # of what was opened, not of what has the name by now
            with os.fdopen(descriptor, encoding="utf-8", newline="", closefd=False) as file:
                return parsed(SecretText(file.read()), path=self._path)
        except UnicodeDecodeError:
            pass  # it holds the bytes: nobody may see it
        finally:
            os.close(descriptor)
        raise ConfigError(self._path, "is not UTF-8")

    def _check(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(self._path, "must be a file")
        if found.st_size > MAX_FILE_BYTES:
            raise ConfigError(self._path, f"must have at most {MAX_FILE_BYTES} bytes, not {found.st_size}")
        if os.name == "nt":  # pragma: no cover - modes say nothing there
            return
        if found.st_mode & _FORBIDDEN:
            mode = stat.S_IMODE(found.st_mode)
            raise ConfigError(
                self._path, f"must not be open to others: its mode is {mode:04o}; chmod 0400 or 0440"
            )
        if found.st_uid not in (0, os.geteuid()):
            raise ConfigError(self._path, "must be owned by root or by the user of this process")
