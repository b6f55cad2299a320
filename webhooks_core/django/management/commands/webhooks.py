"""`manage.py webhooks …`: the tree of commands about sending.

Parsing and printing only; the modules of `webhooks_core/django/management/` add their commands and answer.
Invariant: no system check stands in the way of a tool that finds out what is wrong. Every command, option
and exit code is in docs/reference/commands.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseError

from webhooks_core.django import schema
from webhooks_core.django.answer import Answer, Exit, tell
from webhooks_core.django.management import keeping, moving, reconciling, run_worker, send_test, showing
from webhooks_core.django.management.picking import Refused, add_json


class Command(BaseCommand):
    """Parse the tree and print the answer."""

    help = "Sending: run a worker, look into the outbox, move deliveries, send a test event."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own shape

    def add_arguments(self, parser: CommandParser) -> None:
        """Add every command."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for module in (run_worker, showing, moving, keeping, reconciling, send_test):
            module.add(verbs)
        add_json(verbs.choices)

    def handle(self, *_args: Any, json: bool, **options: Any) -> None:
        """Answer, and end with the answer's exit code."""
        answer: Callable[[dict[str, Any]], Answer] = options["answer"]
        try:
            said = answer(options)
        except Refused as refusal:
            said = refusal.answer
        except DatabaseError as error:
            problem = f"the database cannot be used: {type(error).__name__}"
            problem += f": {schema.REMEDY}" * schema.is_behind(error)
            said = Answer(code=Exit.UNREADABLE, lines=[problem], data={"error": problem})
        tell(self, said, as_json=json)
