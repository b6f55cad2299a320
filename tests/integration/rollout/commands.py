"""Run `manage.py rollout …` in this process, and be somebody who uses the admin."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from django.core.management import call_command


def run(*arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed, to either stream."""
    out = StringIO()
    try:
        call_command("rollout", *arguments, stdout=out, stderr=out, no_color=True)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def run_json(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The same with `--json`: one object, and the exit code in it."""
    code, text = run(*arguments, "--json")
    said = json.loads(text)
    assert (said["ok"], said["exit_code"]) == (code == 0, code)
    return code, said


class Person:
    """Somebody who is logged in, and may do all."""

    pk = 17

    def get_username(self) -> str:
        """Return the login name."""
        return "anna"

    def has_perm(self, _perm: str, /) -> bool:
        """Have every permission."""
        return True
