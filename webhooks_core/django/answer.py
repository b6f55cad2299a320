"""What a command has to say: an exit code, lines for a person, and an object for a program.

Commands of both apps return one and print it with `tell`, so that `--json` is the same everywhere.
Invariant: standard output holds the answer and nothing else. The exit codes are listed in
docs/reference/commands.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from django.core.management.base import BaseCommand


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    #: What was asked for was tried and did not succeed: not delivered, not valid.
    FAILED = 1
    #: Refused, and nothing was changed: bad arguments, a missing `--yes`, somebody else's percentage.
    REFUSED = 2
    #: There is no such flag, endpoint or delivery.
    NOT_FOUND = 3
    #: The settings, the flags or the database cannot be read.
    UNREADABLE = 4
    #: The kill switch is pulled.
    KILLED = 5
    #: A rollout holds: the guard does not let it go on.
    HOLD = 10
    #: Nobody can say whether it may go on: too little evidence, or nobody watches.
    UNDECIDED = 11
    #: It is rolled back, or on the way there.
    ROLLED_BACK = 12
    #: It waits for a person: paused, or for an approval.
    PAUSED = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The end of a command.

    Args:
        code: Its exit code.
        lines: For a person.
        data: For a program; `ok` and `exit_code` are added.
        is_report: Whether the lines are what was asked for, whatever the code, and so go to standard output.
    """

    code: Exit = Exit.DONE
    lines: Sequence[str] = ()
    data: Mapping[str, object] = field(default_factory=dict)
    is_report: bool = False


def as_line(answer: Answer) -> str:
    """Return *answer* as one line of JSON."""
    whole = {"ok": answer.code is Exit.DONE, "exit_code": int(answer.code), **answer.data}
    return json.dumps(whole, ensure_ascii=False, default=str)


def tell(command: BaseCommand, answer: Answer, *, as_json: bool) -> None:
    """Print *answer* and end the process with its code, unless that is 0."""
    if as_json:
        command.stdout.write(as_line(answer))
    else:
        is_answer = answer.code is Exit.DONE or answer.is_report
        stream = command.stdout if is_answer else command.stderr
        for line in answer.lines:
            stream.write(line)
    if answer.code is not Exit.DONE:
        sys.exit(int(answer.code))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a plain table, columns aligned."""
    texts = [list(head), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[place]) for row in texts) for place in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]
