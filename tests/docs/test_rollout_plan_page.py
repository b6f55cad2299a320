"""The table of the controller's arrows on its page is drawn from the table in the code."""

from __future__ import annotations

from pathlib import Path

from rollout.controller import TRANSITIONS

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "rollout-plan.md"
BEGIN = "<!-- transitions: begin (drawn by tests/docs/test_rollout_plan_page.py) -->\n"
END = "<!-- transitions: end -->\n"


def drawn() -> str:
    """Draw TRANSITIONS as Markdown: one row for each cause and end, with all states that it leads from."""
    rows: dict[tuple[str, str], list[str]] = {}
    for (before, cause), after in TRANSITIONS.items():
        name = "the same" if cause.name in ("STORE_ACCEPTED", "TRIP_CLEARED", "FLAG_CHANGED") else after.value
        rows.setdefault((cause.value, name), []).append(before.value)
    lines = [f"| {', '.join(states)} | {cause} | {after} |" for (cause, after), states in rows.items()]
    return "\n".join(["", "| from | because | to |", "|---|---|---|", *lines, "", ""])


def test_the_diagram_is_fresh() -> None:
    """STYLE §1.3: run this file as a script to draw it again."""
    text = PAGE.read_text(encoding="utf-8")

    shown = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]

    assert shown == drawn()


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        page[: page.index(BEGIN) + len(BEGIN)] + drawn() + page[page.index(END) :], encoding="utf-8"
    )
