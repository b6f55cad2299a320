"""What the demo prints: plain text, short lines, numbers under each other. Made for three in the morning."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 96
INDENT = "   "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, at least *width* wide; figures stand to the right, words to the left."""

    heading: str
    width: int = 0
    left: bool = False

    def cell(self, text: str) -> str:
        """Return *text* in this column's width."""
        width = max(self.width, len(self.heading))
        return text.ljust(width) if self.left else text.rjust(width)


class Table:
    """A table whose rows appear one by one, so that something is seen while it runs."""

    def __init__(self, *columns: Column) -> None:
        self._columns = columns

    def head(self) -> None:
        """Print the headings and a line below each."""
        _line("  ".join(column.cell(column.heading) for column in self._columns))
        _line("  ".join("-" * len(column.cell("")) for column in self._columns))

    def row(self, *cells: str) -> None:
        """Print one row."""
        _line("  ".join(column.cell(cell) for column, cell in zip(self._columns, cells, strict=True)))


def title(text: str) -> None:
    """Print the demo's name."""
    print(f"{text}\n{'=' * len(text)}", flush=True)


def chapter(number: int, text: str, *, see: str) -> None:
    """Begin a part: its title, and one sentence that says what will be seen."""
    print(f"\n{number}. {text}", flush=True)
    paragraph(see)
    print(flush=True)


def paragraph(text: str) -> None:
    """Print *text* in lines of a calm length."""
    for line in textwrap.wrap(text, WIDTH - len(INDENT)):
        _line(line)


def lines(texts: Sequence[str]) -> None:
    """Print *texts*, one a line, cut where they would run over the edge."""
    for text in texts:
        _line(text if len(text) <= WIDTH - len(INDENT) else text[: WIDTH - len(INDENT) - 3] + "...")


def blank() -> None:
    """Print an empty line."""
    print(flush=True)


def milliseconds(value: float | None) -> str:
    """Return `12 ms`, or a dash where nothing was measured."""
    return "-" if value is None else f"{value:,.0f} ms"


def _line(text: str) -> None:
    print(f"{INDENT}{text}".rstrip(), flush=True)
