"""The page about the outbox shows the table that the code goes by."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from webhooks_core.outbox.states import ENDED, TRANSITIONS, State

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "outbox.md"
PLACE = re.compile(r"(<!-- transitions: begin[^\n]*-->\n).*?(<!-- transitions: end -->)", re.DOTALL)


def drawn() -> str:
    """Draw the table of arrows, by state."""
    lines = ["", "| from | when | to |", "|---|---|---|"]
    for state in State:
        arrows = [(cause, after) for (before, cause), after in TRANSITIONS.items() if before is state]
        lines += [f"| {state} | {cause} | {after} |" for cause, after in arrows]
    ends = ", ".join(f"*{state}*" for state in State if state in ENDED)
    return "\n".join([*lines, "", f"The ends, as far as order is concerned: {ends}.", "", ""])


def written() -> str:
    """Return the page with the table drawn anew."""
    return PLACE.sub(lambda found: found[1] + drawn() + found[2], PAGE.read_text())


def test_the_page_shows_every_arrow_of_the_table() -> None:
    """The table is generated, and stale is a failure (`python tests/docs/test_outbox_page.py` writes it)."""
    assert PAGE.read_text() == written()


def test_every_state_can_be_reached_from_pending() -> None:
    """A state that no arrow leads to is a mistake in the table."""
    reached = {State.PENDING}
    for _ in State:
        reached |= {after for (before, _cause), after in TRANSITIONS.items() if before in reached}

    assert reached == set(State)


if __name__ == "__main__":
    PAGE.write_text(written())
    sys.stdout.write(f"{PAGE}\n")
