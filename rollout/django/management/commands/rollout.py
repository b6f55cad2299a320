"""`manage.py rollout …`: the tree of commands about who is in and how far it goes.

Parsing and printing only; the modules of `rollout/django/management/` add their commands and answer.
Invariant: no system check stands in the way, for a bad setting must not disable the kill switch, nor the tool
that mends it. Every command, option and exit code is in docs/reference/commands.md.
"""

from __future__ import annotations

from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseError

from rollout.django.management import (
    acting,
    clear_trip,
    flag,
    flag_change,
    flag_load,
    history,
    killing,
    planning,
    running_command,
    status,
)
from rollout.django.management.words import away
from rollout.errors import ConfigError
from webhooks_core.django.answer import Answer, Exit, tell
from webhooks_core.django.management.picking import Refused

MODULES = (running_command, status, acting, killing, clear_trip, history, planning)


class Command(BaseCommand):
    """Parse the tree and print the answer."""

    help = "A rollout: run it, see it, stop it; and flags."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own shape

    def add_arguments(self, parser: CommandParser) -> None:
        """Add every command."""
        nouns = parser.add_subparsers(dest="noun", required=True, metavar="NOUN")
        for module in MODULES:
            module.add(nouns)
        _add_flag(nouns)
        _add_json(parser)

    def handle(self, *_args: Any, answer: Callable[..., Answer], json: bool, **options: Any) -> None:
        """Answer, and end with the answer's exit code."""
        try:
            said = answer({**options, "json": json})
        except Refused as refusal:
            said = refusal.answer
        except DatabaseError as error:
            said = Answer(code=Exit.UNREADABLE, lines=[f"{away(error)}."], data={"error": away(error)})
        except ConfigError as error:  # the rollout's row, of a newer release or damaged
            said = Answer(code=Exit.UNREADABLE, lines=[f"{error}."], data={"error": str(error)})
        tell(self, said, as_json=json)


def _add_json(parser: ArgumentParser) -> None:
    """Give every command its `--json`."""
    groups = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    if not groups:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    for group in groups:
        for below in group.choices.values():
            _add_json(below)


def _add_flag(nouns: _SubParsersAction[CommandParser]) -> None:
    verbs = nouns.add_parser("flag", help="the flags").add_subparsers(required=True, metavar="VERB")
    _add(verbs, "list", "every flag, its owner, and the switches above", _list)
    show = _add(verbs, "show", "one flag; with --unit, why the gate is open or closed for it", _show)
    show.add_argument("key")
    show.add_argument("--unit", help="id of a unit, such as a tournament's")
    show.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for rules; may be repeated",
    )
    change = _add(verbs, "set", "change a percentage in the flag file, or in the database", _set)
    change.add_argument("key")
    change.add_argument("percentage", help="0 to 100, such as 12.5")
    filled = _add(verbs, "load", "put a flag file's flags into the database", flag_load.load)
    filled.add_argument("file", help="JSON or TOML")
    for each in (change, filled):
        each.add_argument("--yes", action="store_true", help="needed where units go out")
        each.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
        each.add_argument("--reason", default="", help="why, for the log")
    check = _add(verbs, "lint", "check a flag file", _lint)
    check.add_argument("file", nargs="?", help='the file; the one of ROLLOUT["FILE"] when left out')


def _add(
    verbs: _SubParsersAction[CommandParser], name: str, about: str, answer: Callable[[dict[str, Any]], Answer]
) -> CommandParser:
    parser = verbs.add_parser(name, help=about, description=about)
    parser.set_defaults(answer=answer)
    return parser


def _list(_options: dict[str, Any]) -> Answer:
    return flag.list_flags()


def _show(options: dict[str, Any]) -> Answer:
    return flag.show_flag(options["key"], unit=options["unit"], attributes=options["attribute"])


def _set(options: dict[str, Any]) -> Answer:
    names = ("key", "percentage", "yes", "dry_run", "reason")
    return flag_change.set_flag(flag_change.Order(**{name: options[name] for name in names}))


def _lint(options: dict[str, Any]) -> Answer:
    return flag_change.lint(options["file"])
