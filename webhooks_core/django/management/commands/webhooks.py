"""`manage.py webhooks …`: the tree of commands about sending.

Parsing and printing only; `webhooks_core/django/management/send_test.py` answers. Invariant: no system
check stands in the way of a tool that finds out what is wrong. Every command, option and exit code is in
docs/reference/commands.md.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from webhooks_core.django.answer import tell
from webhooks_core.django.management.send_test import send_test


class Command(BaseCommand):
    """Parse the tree and print the answer."""

    help = "Sending: send a test event to an endpoint."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own shape

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `send-test`."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        about = "send one signed event to an endpoint now, whatever master switch and percentage say"
        test = verbs.add_parser("send-test", help=about, description=about)
        test.add_argument("--endpoint", default="default", help="id of the endpoint (default: %(default)s)")
        test.add_argument("--event", default="test", help="name of the event (default: %(default)s)")
        test.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *_args: Any, json: bool, **options: Any) -> None:
        """Answer, and end with the answer's exit code."""
        tell(self, send_test(endpoint_id=options["endpoint"], event=options["event"]), as_json=json)
