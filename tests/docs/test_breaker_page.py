"""The table of the breaker's arrows on its page is drawn from the table in the code."""

from __future__ import annotations

from pathlib import Path

from webhooks_core.breaker import TRANSITIONS

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "breaker.md"
BEGIN = "<!-- transitions: begin (drawn by tests/docs/test_breaker_page.py) -->\n"
END = "<!-- transitions: end -->\n"


def drawn() -> str:
    """Draw TRANSITIONS as Markdown."""
    rows = [
        f"| {before.name} | {cause.value} | {after.name} |" for (before, cause), after in TRANSITIONS.items()
    ]
    return "\n".join(["", "| from | because | to |", "|---|---|---|", *rows, "", ""])


def test_the_diagram_is_fresh() -> None:
    """STYLE §1.3: paste what this test wanted between the markers."""
    text = PAGE.read_text(encoding="utf-8")

    shown = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]

    assert shown == drawn()
