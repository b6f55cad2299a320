"""What every command about a rollout shares: who says it and why, and what ends it early.

Invariant: a name from a command line is not authenticated, and is never an e-mail address. Explained in
docs/reference/commands.md.
"""

from __future__ import annotations

import getpass
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import Error as DatabaseError

from rollout.actor import MACHINE, Actor
from rollout.django import driving
from rollout.django.store import DjangoRolloutStore
from rollout.errors import ConfigError
from rollout.runner import Runner
from webhooks_core.django import schema
from webhooks_core.django.answer import Answer, Exit
from webhooks_core.django.management.picking import Refused

__all__ = [
    "WAIT_SECONDS",
    "actor",
    "add_words",
    "away",
    "fit_actor",
    "fit_seconds",
    "found_runner",
    "found_store",
    "login",
    "moment_text",
    "read_seconds",
    "refusal",
]

#: How long a command waits for the database, and for senders, where nothing else was said.
WAIT_SECONDS = 5.0
_MOST_SECONDS = 3_600
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.:/+-]", re.ASCII)
_MIGRATE = "tables missing or older than the code, run: manage.py migrate rollout"
# A table or a column that is not there: as PostgreSQL tells it, and as SQLite does.
_POSTGRES = ("42P01", "42703")
_SQLITE = ("no such table: rollout_", "no such column: ", "table rollout_sender has no column")


def add_words(parser: ArgumentParser, *, needs_reason: bool = False) -> None:
    """Add `--actor` and `--reason`."""
    parser.add_argument("--actor", help="who you are, an id and no address (default: your login name)")
    about = "why, for the journal"
    if needs_reason:
        parser.add_argument("--reason", required=True, help=about)
    else:
        parser.add_argument("--reason", default="", help=about)


def actor(options: dict[str, Any]) -> Actor:
    """Return who gives the command; nobody has checked that it is really they.

    Raises:
        Refused: `--actor` is no id.
    """
    said: str | None = options["actor"]
    if said == MACHINE.name:
        raise refusal(f"--actor: {said!r} is the machine's own name; say who you are")
    try:
        return Actor(name=said) if said is not None else Actor(name=login())
    except ConfigError as error:
        raise refusal(f"--{error}") from error


def fit_actor(options: dict[str, Any]) -> Actor:
    """Return who gives the command, with a name that cannot be used made fit: a kill is never refused."""
    said: str | None = options["actor"]
    return Actor(name=login() if said is None else _fit(said))


def login() -> str:
    """Return the login name in an actor's letters; `unknown` where there is none."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container without this user
        name = ""
    return _fit(name)


def _fit(name: str) -> str:
    cleaned = _NOT_IN_A_NAME.sub("-", name)[:100] or "unknown"
    return f"login:{cleaned}" if cleaned == MACHINE.name else cleaned


def read_seconds(text: str) -> float:
    """Return the waiting time that *text* says, 0 to 3600 seconds.

    Raises:
        ArgumentTypeError: It says none.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _MOST_SECONDS:
        raise ArgumentTypeError(f"must be from 0 to {_MOST_SECONDS} (seconds)")
    return value


def fit_seconds(text: str) -> float:
    """Return the waiting time that *text* says, or 5 where it says none: a kill is never refused."""
    try:
        return read_seconds(text)
    except ArgumentTypeError:
        return WAIT_SECONDS


def refusal(problem: str, *, code: Exit = Exit.REFUSED, data: Mapping[str, object] | None = None) -> Refused:
    """Return what ends a command; with the code that stands by itself, nothing was changed."""
    return Refused(Answer(code=code, lines=[f"{problem}."], data={**(data or {}), "error": problem}))


def found_runner() -> Runner:
    """Return the runner of the settings.

    Raises:
        Refused: No setting asks for one, or a setting is bad.
    """
    try:
        return driving.runner()
    except ConfigError as error:
        raise refusal(str(error), code=Exit.UNREADABLE) from error


def found_store() -> DjangoRolloutStore:
    """Return the store of the settings.

    Raises:
        Refused: As `found_runner`.
    """
    try:
        return driving.store()
    except ConfigError as error:
        raise refusal(str(error), code=Exit.UNREADABLE) from error


def away(error: DatabaseError) -> str:
    """Say that the database cannot be used, and what to do where its tables are missing."""
    remedy = schema.REMEDY if schema.is_behind(error) else ""
    state: object = getattr(error.__cause__, "sqlstate", None)
    if not remedy and (state in _POSTGRES or any(words in str(error) for words in _SQLITE)):
        remedy = _MIGRATE
    return f"the database cannot be used: {type(error).__name__}" + (f": {remedy}" if remedy else "")


def moment_text(seconds: float) -> str:
    """Return a moment as programs read it: ISO 8601, UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
