"""Who does something to a rollout, and in what words: a person, a command line, or the machine itself.

Names reach log lines and the journal, so they are ids, never e-mail addresses. Explained in
docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rollout.errors import ConfigError

__all__ = ["MACHINE", "MAX_REASON", "Actor", "clean_reason", "cut"]

# What a log line may hold of values from outside (the contract §8), in ASCII.
_NAME = re.compile(r"[A-Za-z0-9_.:/+-]{1,128}", re.ASCII)
#: A reason is cut to this many characters.
MAX_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it.

    Args:
        name: An id such as `user:17` or `deploy-bot`: letters, digits and `_.:/+-`, at most 128. Not an
            e-mail address: it is logged.
        authenticated: Whether somebody checked that it is really they; a name on a command line is not.

    Raises:
        ConfigError: *name* is no such id.
    """

    name: str
    authenticated: bool = False

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError("actor", "must be an id of letters, digits and _.:/+- , at most 128 characters")


#: The rollout itself. No person may use the name.
MACHINE = Actor(name="rollout", authenticated=True)


def clean_reason(text: str) -> str:
    """Return *text* as one line of printable characters, at most 500; never refused: a kill must not be."""
    printable = "".join(each if each.isprintable() else " " for each in text[: 4 * MAX_REASON])
    return cut(" ".join(printable.split()), MAX_REASON)


def cut(text: str, most: int) -> str:
    """Return *text* in *most* characters: cut at a word's end with an ellipsis, never inside a number.

    Only a word that fills half of it is cut itself.
    """
    if len(text) <= most:
        return text
    whole, _, _ = text[:most].rpartition(" ")
    return f"{whole.rstrip(' ,;:') if 2 * len(whole) > most else text[: most - 1]}…"
