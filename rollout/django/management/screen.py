"""Tables and colours: with `rich` where it is installed and a person is looking, plain text everywhere else.

Invariants: a program, a file and a pipe get plain text; the words are the same either way, and colour says
nothing that a word does not. Explained in docs/reference/commands.md.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, TypeAlias

from webhooks_core.django.answer import table

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Grid", "Line", "as_lines"]

_COLOURS = {
    "bold red": (
        r"\b(KILLED|TRIPPED|ROLL BACK|ROLLED_BACK|ROLLING_BACK|NOT REACHED|NOT STOPPED BY A FILE"
        r"|STILL STOPPED|THE DATABASE WAS NOT REACHED|NOBODY DRIVES THIS ROLLOUT)\b"
    ),
    "yellow": (
        r"\b(HOLD|UNDECIDED|PAUSED|AWAITING_APPROVAL|MASTER SWITCH|BAD SETTING|STORE WENT BACK"
        r"|waits for \w+)\b"
    ),
    "green": r"\b(RUNNING|COMPLETED|ok|pass)\b",
}
_WIDEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table: its head and its rows, all text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, head: Sequence[object], rows: Sequence[Sequence[object]]) -> Grid:
        """Return a table of these cells; columns in which no row has anything are left out."""
        texts = [tuple(str(cell) for cell in row) for row in rows]
        kept = [place for place in range(len(head)) if any(row[place] for row in texts)]
        return cls(
            head=tuple(str(head[place]) for place in kept),
            rows=tuple(tuple(row[place] for place in kept) for row in texts),
        )


Line: TypeAlias = str | Grid


def as_lines(lines: Sequence[Line], *, is_plain: bool | None = None) -> list[str]:
    """Return lines to print.

    Args:
        lines: Text and tables.
        is_plain: Whether without colours; None: looks whether a person does.
    """
    plain = not _somebody_looks() if is_plain is None else is_plain
    if not plain:
        try:
            return _rich(lines)
        except ImportError:
            pass
    found: list[str] = []
    for line in lines:
        found += table(line.head, line.rows) if isinstance(line, Grid) else [line]
    return found


def _somebody_looks() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _rich(lines: Sequence[Line]) -> list[str]:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = StringIO()
    console = Console(file=out, force_terminal=True, width=_width(), highlight=False, soft_wrap=True)
    for line in lines:
        if isinstance(line, str):
            console.print(_coloured(Text(line)))
            continue
        grid = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in line.head:
            grid.add_column(name)
        for row in line.rows:
            grid.add_row(*(_coloured(Text(cell)) for cell in row))
        console.print(grid)
    return [each.rstrip() for each in out.getvalue().rstrip("\n").split("\n")]


def _width() -> int:
    return min(_WIDEST, max(80, shutil.get_terminal_size().columns))


def _coloured(text: Text) -> Text:
    for style, words in _COLOURS.items():
        text.highlight_regex(words, style)
    return text
