"""The journal is only added to: no code path updates or deletes one of its rows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.test_sizes import ROOT, sources

# Statements, by any way of writing them, that change or remove what is in a table.
CHANGES = re.compile(
    r"\b(update|delete\s+from|replace\s+into|truncate(\s+table)?|drop\s+table|alter\s+table)\s+(only\s+)?"
    r"[\"`]?rollout_journalentry|do\s+update.*rollout_journalentry|rollout_journalentry.*do\s+update",
    re.IGNORECASE | re.DOTALL,
)
# The way to read it; the table's name anywhere else may become part of another statement.
READS = re.compile(r"\b(from|join)\s+rollout_journalentry\b", re.IGNORECASE)
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


def of_the_journal(source: str) -> list[str]:
    """Every text of *source* that names the journal's table."""
    return [text for text in texts(ast.parse(source)) if "rollout_journalentry" in text]


def names_to_write(text: str) -> bool:
    """Whether it names the table for anything but reading."""
    return "rollout_journalentry" in READS.sub("", text)


def with_migrations() -> list[Path]:
    """Every source file of the two packages."""
    return [*sources(), *(ROOT / "rollout").rglob("migrations/*.py")]


def test_no_statement_changes_or_removes_a_row_of_the_journal() -> None:
    """The one that writes adds, and nothing else names the table in a statement that does not read."""
    named = [
        (path.relative_to(ROOT).as_posix(), text)
        for path in with_migrations()
        for text in of_the_journal(path.read_text())
    ]

    assert [(path, text) for path, text in named if CHANGES.search(text)] == []
    assert {path for path, text in named if names_to_write(text)} == {"rollout/django/store.py"}


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        pytest.param('A = "UPDATE rollout_journalentry SET content = %s"', True, id="update"),
        pytest.param("A = 'DELETE FROM \"rollout_journalentry\" WHERE id < 9'", True, id="delete"),
        pytest.param('A = f"DELETE FROM rollout_journalentry WHERE id < {last}"', True, id="put-together"),
        pytest.param(
            'A = "INSERT INTO rollout_journalentry (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2"',
            True,
            id="upsert",
        ),
        pytest.param('A = "INSERT INTO rollout_journalentry (id) VALUES (1)"', False, id="insert"),
        pytest.param('A = "SELECT content FROM rollout_journalentry"', False, id="select"),
    ],
)
def test_a_statement_that_changes_the_journal_would_be_seen(source: str, is_found: bool) -> None:
    """Whatever else the file says after it."""
    found = of_the_journal(source + '\ndef read() -> None:\n    A = "SELECT 1 FROM rollout_journalentry"\n')

    assert any(CHANGES.search(text) for text in found) is is_found


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
