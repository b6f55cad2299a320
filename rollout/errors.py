"""Every error this package raises on purpose: one tree, drawn here, each with the facts it is made of.

    RolloutError
    ├ ConfigError (path, problem)                a setting, a file, a value: correct it
    ├ FlagNotFound (key, known_near)             no such flag: define it or correct the key
    ├ TargetingKeyMissing (key)                  no unit was given
    ├ InvalidContext (key, problem)              a unit or attribute that cannot be used
    ├ KillFileStuck (path, problem)              the kill file could not be made, or removed
    ├ TransitionError (state, command, problem)  not from where the rollout stands: the text says what helps
    ├ StoreConflict (expected, found)            written by another meanwhile: load again, decide again
    └ JournalBroken (version, problem)           the journal was changed: find out by whom before going on

Evaluating a flag raises none of them: there they become the reason and the code of a `Decision`. They are
raised where a person builds something (a percentage, a flag, a configuration), or where a rollout is moved,
written or read back. Messages name the place and what is allowed, and never hold a secret, a body or
personal data. Explained in docs/reference/flag-file.md.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "FlagNotFound",
    "InvalidContext",
    "JournalBroken",
    "KillFileStuck",
    "RolloutError",
    "StoreConflict",
    "TargetingKeyMissing",
    "TransitionError",
]


class RolloutError(Exception):
    """The root: catch it to catch whatever this package raises on purpose."""


class ConfigError(RolloutError):
    """Something a person wrote cannot be used. Correct the value at *path*; the last good one stays in force.

    Args:
        path: Where it stands, such as `flags.tournament-webhooks.percentage` or a setting's name.
        problem: What is wrong and what is allowed, without the value where that could be a secret.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class FlagNotFound(RolloutError):
    """No flag has this key. Define it, or use one of *known_near*."""

    def __init__(self, key: str, known_near: tuple[str, ...] = ()) -> None:
        super().__init__(key, known_near)
        self.key = key
        self.known_near = known_near

    def __str__(self) -> str:
        near = f" (nearest known: {', '.join(self.known_near)})" if self.known_near else ""
        return f"no flag {self.key!r}{near}"


class TargetingKeyMissing(RolloutError):
    """No unit was given to take the percentage of. Pass its id: an integer, a text or a UUID."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"flag {self.key!r}: no unit given; pass an integer, a text that is not empty, or a UUID"


class InvalidContext(RolloutError):
    """A unit or the attributes cannot be used. The message names their type, never their value."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(key, problem)
        self.key = key
        self.problem = problem

    def __str__(self) -> str:
        return f"flag {self.key!r}: {self.problem}"


class KillFileStuck(RolloutError):
    """The kill file is not as it was asked to be. Make or remove it by hand: *path* says where."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"kill file {self.path!a}: {self.problem}"


class TransitionError(RolloutError):
    """A command cannot be followed from where the rollout stands. The message says what would help.

    Args:
        state: Where it stands.
        command: What was asked.
        problem: Why not, and what to do instead.
    """

    def __init__(self, state: str, command: str, problem: str) -> None:
        super().__init__(state, command, problem)
        self.state = state
        self.command = command
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.command} while {self.state}: {self.problem}"


class StoreConflict(RolloutError):
    """A write was based on what is no longer so. Nothing was written: load again, decide again.

    Args:
        expected: What the writer went by, such as "version 7" or "fence 3".
        found: What the store holds.
    """

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"expected {self.expected}, found {self.found}: read again, then decide again"


class JournalBroken(RolloutError):
    """The journal does not hold together: an entry was changed, removed, added or put elsewhere.

    Args:
        version: The state version of the first entry that does not fit; 0 where the end does not.
        problem: What does not fit.
    """

    def __init__(self, version: int, problem: str) -> None:
        super().__init__(version, problem)
        self.version = version
        self.problem = problem

    def __str__(self) -> str:
        if not self.version:
            return f"the journal {self.problem}"
        return f"journal entry of version {self.version}: {self.problem}"
