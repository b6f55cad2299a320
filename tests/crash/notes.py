"""What a process tells before it may be killed: one line in one `write`, which survives `kill -9`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Note(NamedTuple):
    """One line: when (epoch seconds), a word, an id or a name, and what else there is to say."""

    at: float
    word: str
    name: str
    more: str = ""


class Notebook:
    """Append notes to a file that several processes may share."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, word: str, name: str, more: str = "") -> None:
        """Append one line at once."""
        os.write(self._file, f"{time.time():.6f} {word} {name} {more}\n".encode())

    def note_all(self, word: str, names: Iterable[str]) -> None:
        """Append one line for each of *names*, all in one `write`."""
        lines = "".join(f"{time.time():.6f} {word} {name} \n" for name in names)
        os.write(self._file, lines.encode())


def read(path: Path) -> Iterator[Note]:
    """Yield the notes of a file, in their order; none where it was never begun."""
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        at, word, name, more = line.split(" ", 3)
        yield Note(float(at), word, name, more)
