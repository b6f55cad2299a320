"""The journal is only added to: no code path updates or deletes one of its rows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.architecture.test_sizes import ROOT, sources

# Statements, by any way of writing them, that change or remove what is in a table.
CHANGES = re.compile(
    r"\b(update|delete\s+from|replace\s+into|truncate(\s+table)?|drop\s+table|alter\s+table)\s+(only\s+)?"
    r"[\"`]?rollout_journalentry|do\s+update.*rollout_journalentry|rollout_journalentry.*do\s+update",
    re.IGNORECASE | re.DOTALL,
)
# Django's ways, on a model or a set of rows.
CALLS = {
    *("save", "delete", "update", "bulk_update", "update_or_create", "_raw_delete", "save_base"),
    *("bulk_create", "create", "get_or_create"),
}


def texts(tree: ast.AST) -> list[str]:
    """Every text in it; of one that is put together, all its constant parts."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append(" ".join(each.value for each in node.values if isinstance(each, ast.Constant)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def with_migrations() -> list[Path]:
    """Every source file of the two packages."""
    return [*sources(), *(ROOT / "rollout").rglob("migrations/*.py")]


def test_no_statement_changes_or_removes_a_row_of_the_journal() -> None:
    """The one that writes adds, and nothing else names the table in a statement that does not read."""
    named = {
        path.relative_to(ROOT).as_posix(): text
        for path in with_migrations()
        for text in texts(ast.parse(path.read_text()))
        if "rollout_journalentry" in text
    }

    assert [path for path, text in named.items() if CHANGES.search(text)] == []
    assert set(named) == {"rollout/django/store.py"}


def test_no_code_writes_through_the_journals_model() -> None:
    """Who imports it reads: no call of what changes rows, on whatever name."""
    users = [
        path
        for path in sources()
        if any(
            isinstance(node, ast.ImportFrom)
            and node.module == "rollout.django.models"
            and any(each.name in ("JournalEntry", "*") for each in node.names)
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]

    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in users
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS
    ]

    assert len(users) >= 3
    assert calls == []
